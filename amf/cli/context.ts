import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { openLink, type Link } from '../operator/link.ts'
import { findRunDir } from '../operator/run-dir.ts'

/** The world as a command sees it: handed in, so that tests can watch it. */
export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The document or table that was asked for, and nothing else. */
  readonly stdout: (text: string) => void
  /** Prose, progress and errors. */
  readonly stderr: (text: string) => void
  readonly isTerminal: boolean
  /** Aborts at the first Ctrl-C. */
  readonly signal: AbortSignal
}

/** Options that every command takes. */
export interface GlobalOptions {
  readonly runDir?: string
  readonly json?: boolean
  readonly timeout?: number
  readonly debug?: boolean
}

/** What a command gave back: the same thing as a document and as text. */
export interface Result {
  readonly document: unknown
  readonly text: string
}

/** Default of `--timeout`. */
export const DEFAULT_TIMEOUT_MS = 60_000

export function timeoutMsOf(options: GlobalOptions, defaultMs = DEFAULT_TIMEOUT_MS): number {
  return options.timeout === undefined ? defaultMs : Math.round(options.timeout * 1000)
}

/** Runs something against the cluster that the options name, and always lets go of it. */
export async function withLink<T>(
  io: CliIo,
  options: GlobalOptions,
  use: (link: Link, runDir: string) => Promise<T>,
): Promise<T> {
  const runDir = findRunDir({ option: options.runDir, env: io.env })
  const link = await openLink(runDir, io.signal)
  try {
    return await use(link, runDir)
  } finally {
    await link.close()
  }
}

/** Prints a result in the form that was asked for. */
export function print(io: CliIo, options: GlobalOptions, result: Result): void {
  if (options.json === true) io.stdout(`${JSON.stringify(result.document)}\n`)
  else if (result.text !== '') io.stdout(`${result.text.replace(/\n+$/, '')}\n`)
}

/** Global and own options of a command in one object. */
export function optionsOf<T extends GlobalOptions>(command: Command): T {
  return command.optsWithGlobals<T>()
}

/** Parses `--timeout S`. */
export function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds <= 0 || seconds > 600) {
    throw new InvalidArgumentError('must be a number of seconds above 0 and up to 600.')
  }
  return seconds
}
