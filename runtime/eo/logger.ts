import { destination, pino, type Logger } from 'pino'

/** Variable that sets the log level of a component. @defaultValue info */
export const LOG_LEVEL_ENV = 'HOLDFAST_LOG_LEVEL'

/**
 * The log of a component: JSON lines on standard output, which the agent writes to a file. Lines are written at once,
 * so that the last one before a death is there.
 */
export function componentLogger(bindings: Readonly<Record<string, unknown>>): Logger {
  const wanted = process.env[LOG_LEVEL_ENV]
  const level = wanted !== undefined && wanted in LEVELS ? wanted : 'info'
  return pino({ level, base: { ...bindings } }, destination({ dest: 1, sync: true }))
}

const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 70 }
