import { SdkError } from '../../../idl/index.ts'

/** Severities by their numbers. SAFplus, section 16; TRACE is the original's other name of DEBUG5. */
export const LOG_SEVERITY = {
  EMERGENCY: 1,
  ALERT: 2,
  CRITICAL: 3,
  ERROR: 4,
  WARNING: 5,
  NOTICE: 6,
  INFO: 7,
  DEBUG: 8,
  DEBUG2: 9,
  DEBUG3: 10,
  DEBUG4: 11,
  TRACE: 12,
  DEBUG6: 13,
  DEBUG7: 14,
  DEBUG8: 15,
  DEBUG9: 16,
} as const

/** Name of a severity, the gravest first. */
export type LogSeverity = keyof typeof LOG_SEVERITY

const NAMES = Object.keys(LOG_SEVERITY) as readonly LogSeverity[]
const ALIASES: Readonly<Record<string, LogSeverity>> = {
  DEBUG1: 'DEBUG',
  DEBUG5: 'TRACE',
  FATAL: 'CRITICAL',
  WARN: 'WARNING',
}

/** Levels of pino from the gravest on, with the severities that they stand for. */
const LEVELS = [
  { level: 'fatal', number: 60, severity: 'CRITICAL', last: 3 },
  { level: 'error', number: 50, severity: 'ERROR', last: 4 },
  { level: 'warn', number: 40, severity: 'WARNING', last: 5 },
  { level: 'info', number: 30, severity: 'INFO', last: 7 },
  { level: 'debug', number: 20, severity: 'DEBUG', last: 8 },
  { level: 'trace', number: 10, severity: 'TRACE', last: 16 },
] as const

/** Level of pino, as of `app.log`. */
export type LogLevel = (typeof LEVELS)[number]['level']

/** Name of a severity's number, 1 to 16; numbers outside are the nearest. */
export function severityName(severity: number): LogSeverity {
  return NAMES[Math.min(Math.max(severity, 1), NAMES.length) - 1] ?? 'INFO'
}

/** The severity for a number of pino's levels. */
export function severityOfLevel(levelNumber: number): number {
  const found = LEVELS.find(({ number }) => levelNumber >= number)
  return LOG_SEVERITY[found?.severity ?? 'TRACE']
}

/** The level of pino for a severity's number. */
export function levelOfSeverity(severity: number): { level: LogLevel; number: number } {
  return LEVELS.find(({ last }) => severity <= last) ?? { level: 'trace', number: 10 }
}

/**
 * Number of a severity or level, whatever its case: `ERROR`, `warn`, `trace`, `DEBUG3`.
 * @throws SdkError INVALID_PARAMETER
 */
export function parseSeverity(text: string): number {
  const name = text.toUpperCase()
  const known = (ALIASES[name] ?? name) as LogSeverity
  if (Object.hasOwn(LOG_SEVERITY, known)) return LOG_SEVERITY[known]
  const message = `"${text}" is no severity; one of ${NAMES.join(', ')}`
  throw new SdkError('INVALID_PARAMETER', message)
}
