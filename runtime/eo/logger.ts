import { destination, pino, symbols, type Logger } from 'pino'
import type { CallContext } from './call-context.ts'

/** Variable that sets the log level of a component. @defaultValue info */
export const LOG_LEVEL_ENV = 'HOLDFAST_LOG_LEVEL'

/** Takes each line of a log besides the log's own output. */
type LineTap = (line: string) => void

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

/** Sees every line of such a log, of its children too; a log of other making has none to see. */
export function tapLog(log: Logger, tap: LineTap | null): void {
  const output = (log as unknown as Readonly<Record<symbol, unknown>>)[symbols.streamSym]
  if (output instanceof TappedOutput) output.tap = tap
}

class TappedOutput {
  tap: LineTap | null = null
  readonly #output = destination({ dest: 1, sync: true })

  write(line: string): void {
    this.#output.write(line)
    this.tap?.(line)
  }

  /** Called by pino after a fatal line. */
  flushSync(): void {
    this.#output.flushSync()
  }
}

const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 70 }
