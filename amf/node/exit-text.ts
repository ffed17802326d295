import type { ProcessExit } from './component-ports.ts'

/** Standard error kept in a cause: its last lines say why a runtime gave up. */
const TAIL_CHARACTERS = 300

/** How a process ended, in words: `process 4711 was killed by SIGKILL`. */
export function exitText(pid: number | null, exit: ProcessExit): string {
  const what = pid === null ? 'it' : `process ${pid}`
  if (exit.signal !== null) return `${what} was killed by ${exit.signal}`
  if (exit.code === null) return `${what} is gone`
  return `${what} exited with code ${exit.code}`
}

/** End of a process's standard error in one line; empty when it wrote nothing. */
export function tailText(stderr: string): string {
  const line = stderr
    .trim()
    .split(/\s*\n\s*/)
    .join(' | ')
  return line.length <= TAIL_CHARACTERS ? line : `...${line.slice(-TAIL_CHARACTERS)}`
}

/** An error in one line. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
