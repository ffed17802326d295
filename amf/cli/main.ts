#!/usr/bin/env node
import type { ExitCode } from './exit-code.ts'
import { keepNewSpaceSmall } from '../../runtime/light.ts'

/** A component that runs has its role by then: a standby goes on keeping its memory small. */
const ROLE_MS = 2_000

/**
 * The `holdfast` program. A component process is this program too, so that nothing of the operator's tools is loaded
 * into it: `holdfast component FILE` takes the short way.
 */
async function main(): Promise<void> {
  const argv = process.argv.slice(2)
  if (argv[0] === 'component' && !argv.some((word) => word === '--help' || word === '-h')) {
    const letGrow = keepNewSpaceSmall()
    const { runComponentCommand } = await import('./component-command.ts')
    await runComponentCommand(argv.slice(1), () => setTimeout(letGrow, ROLE_MS).unref())
    return
  }
  const { runCommandLine } = await import('./program.ts')
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort()
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal)
  const code: ExitCode = await runCommandLine(argv, {
    env: process.env,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    signal: interrupt.signal,
  })
  process.exitCode = code
  // Pipes and files are written synchronously on Linux; a forgotten handle must not keep an operator waiting.
  setTimeout(() => process.exit(code), 500).unref()
}

// A reader that went away (`holdfast events | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
})

void main()
