import { destination, pino, type Logger } from 'pino'
import type { CallContext } from './call-context.ts'

/** Variable that sets the log level of a component. @defaultValue info */
export const LOG_LEVEL_ENV = 'HOLDFAST_LOG_LEVEL'

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
  const to = destination({ dest: 1, sync: true })
  return pino({ level, base: { ...bindings }, ...(context === undefined ? {} : { mixin }) }, to)
}

const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 70 }
