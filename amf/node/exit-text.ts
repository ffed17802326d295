import type { ProcessExit } from './component-ports.ts'

/** Standard error kept in a cause: its last lines say why a runtime gave up. */
const TAIL_CHARACTERS = 300

/** How a process ended, in words: `process 4711 was killed by SIGKILL`. */
export function exitText(pid: number, exit: ProcessExit): string {
  if (exit.signal !== null) return `process ${pid} was killed by ${exit.signal}`
  return `process ${pid} exited with code ${exit.code ?? 'unknown'}`
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
