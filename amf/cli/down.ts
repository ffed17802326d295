import { isSdkError } from '../../idl/index.ts'
import { openLink } from '../operator/link.ts'
import { processesOf, type ClusterProcess } from '../operator/processes.ts'
import { pause, untilDone } from '../operator/retry.ts'
import { findRunDir, isRunning } from '../operator/run-dir.ts'
import { print, timeoutMsOf, type CliIo, type GlobalOptions } from './context.ts'
import { CommandFailure, EXIT } from './exit-code.ts'

/** `down`: components, then nodes, then the supervisor; nothing is left when it returns 0. */
export async function runDown(io: CliIo, options: GlobalOptions): Promise<void> {
  const runDir = findRunDir({ option: options.runDir, env: io.env })
  const deadlineMs = performance.now() + timeoutMsOf(options)
  if (!isRunning(runDir))
    throw new CommandFailure('NOT_EXIST', `no cluster runs at ${runDir}`, EXIT.notFound)
  await stopComponents(io, runDir, Math.max(1, (deadlineMs - performance.now()) / 2))
  // In this order, or the supervisor would start again what ends.
  await endAll(runDir, 'up', deadlineMs)
  await endAll(runDir, 'node', deadlineMs)
  const left = await untilNone(runDir, () => true, deadlineMs)
  if (left.length > 0) {
    const names = left.map((one) => `${one.kind} ${one.name} (pid ${one.pid})`).join(', ')
    throw new CommandFailure('TIMEOUT', `still running: ${names}`, EXIT.timedOut)
  }
  print(io, options, { document: { runDir, result: 'STOPPED' }, text: `stopped ${runDir}` })
}

/** Orderly through the director. Where none answers, the nodes stop their components themselves. */
async function stopComponents(io: CliIo, runDir: string, timeoutMs: number): Promise<void> {
  try {
    const link = await openLink(runDir, io.signal)
    try {
      await untilDone(
        (remainingMs) => link.management.stopCluster({}, { timeoutMs: remainingMs }),
        {
          timeoutMs,
          what: 'stop of the cluster',
          signal: io.signal,
        },
      )
    } finally {
      await link.close()
    }
  } catch (error) {
    if (isSdkError(error, 'INTERRUPT')) throw error
    io.stderr(
      `no orderly stop (${error instanceof Error ? error.message : String(error)}); ending the nodes\n`,
    )
  }
}

async function endAll(
  runDir: string,
  kind: ClusterProcess['kind'],
  deadlineMs: number,
): Promise<void> {
  for (const one of processesOf(runDir)) {
    if (one.kind !== kind) continue
    try {
      process.kill(one.pid, 'SIGTERM')
    } catch {
      // Gone meanwhile.
    }
  }
  await untilNone(runDir, (one) => one.kind === kind, deadlineMs)
}

async function untilNone(
  runDir: string,
  matches: (one: ClusterProcess) => boolean,
  deadlineMs: number,
): Promise<readonly ClusterProcess[]> {
  for (;;) {
    const left = processesOf(runDir).filter(
      (one) => one.kind !== 'tool' && one.state !== 'Z' && matches(one),
    )
    if (left.length === 0 || performance.now() > deadlineMs) return left
    await pause(25)
  }
}
