import { destination, pino, symbols, type Logger } from 'pino'
import type { CallContext } from './call-context.ts'

/** Variable that sets the log level of a component. @defaultValue info */
export const LOG_LEVEL_ENV = 'HOLDFAST_LOG_LEVEL'

/** Takes the lines of a log besides the log's own output, in order, some {@link TAP_AFTER_MS} later. */
type LineTap = (lines: readonly string[]) => void

/** What a tap does with a line costs more than the line: it waits until what the line tells of is over. */
const TAP_AFTER_MS = 25
const UNTOLD_COUNT_MAX = 1_000

/**
 * The log of a component: JSON lines on standard output, which the agent writes to a file. Lines are written at once,
 * so that the last one before a death is there. With a context, lines of a function carry the trace of its call.
 */
export function componentLogger(
  bindings: Readonly<Record<string, unknown>>,
  context?: Pick<CallContext, 'trace'>,
): Logger {
  const wanted = process.env[LOG_LEVEL_ENV]
  const level = wanted !== undefined && wanted in LEVELS ? wanted : 'info'
  const mixin = (): object => {
    const trace = context?.trace
    return trace === undefined ? {} : { trace }
  }
  const options = { level, base: { ...bindings }, ...(context === undefined ? {} : { mixin }) }
  return pino(options, new TappedOutput())
}

/** Standard output as the destination of a logger whose lines {@link tapLog} can see; written at once. */
export function tappedOutput(): { write(line: string): void } {
  return new TappedOutput()
}

/**
 * Sees every line of such a log, of its children too; a log of other making has none to see. The tap before hears of
 * what it has not seen yet.
 */
export function tapLog(log: Logger, tap: LineTap | null): void {
  outputOf(log)?.useTap(tap)
}

/** The tap of such a log hears now of every line so far. */
export function tellTap(log: Logger): void {
  outputOf(log)?.tell()
}

function outputOf(log: Logger): TappedOutput | null {
  const output = (log as unknown as Readonly<Record<symbol, unknown>>)[symbols.streamSym]
  return output instanceof TappedOutput ? output : null
}

class TappedOutput {
  readonly #output = destination({ dest: 1, sync: true })
  #tap: LineTap | null = null
  #untold: string[] = []
  #timer: NodeJS.Timeout | undefined

  useTap(tap: LineTap | null): void {
    this.tell()
    this.#tap = tap
  }

  write(line: string): void {
    this.#output.write(line)
    if (this.#tap === null) return
    this.#untold.push(line)
    if (this.#untold.length >= UNTOLD_COUNT_MAX) this.tell()
    else this.#timer ??= setTimeout(() => this.tell(), TAP_AFTER_MS)
  }

  tell(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const lines = this.#untold
    this.#untold = []
    if (lines.length > 0) this.#tap?.(lines)
  }

  /** Called by pino after a fatal line. */
  flushSync(): void {
    this.#output.flushSync()
  }
}

const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 70 }
