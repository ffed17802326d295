import { readdirSync, readFileSync } from 'node:fs'
import { isFinished, readProcessStat, type ProcessStat } from '../../ioc/backplane/internal.ts'

/** Every process of the machine that is no zombie, as `/proc` shows it now. */
export function listProcesses(): readonly ProcessStat[] {
  const processes: ProcessStat[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue
    const stat = readProcessStat(Number(name))
    if (stat !== undefined && !isFinished(stat)) processes.push(stat)
  }
  return processes
}

/**
 * The environment that a process was started with; undefined when it cannot be read: another user's
 * process, a kernel thread, or a process that ended meanwhile.
 */
export function environOf(pid: number): ReadonlyMap<string, string> | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return undefined
  }
  if (text === '') return undefined
  const environ = new Map<string, string>()
  for (const line of text.split('\0')) {
    const at = line.indexOf('=')
    if (at > 0) environ.set(line.slice(0, at), line.slice(at + 1))
  }
  return environ
}

/** The process itself, its parent, and so on up to the first process. */
export function ancestorsOf(pid: number): ReadonlySet<number> {
  const ancestors = new Set<number>()
  for (let at = pid; at > 0 && !ancestors.has(at); at = readProcessStat(at)?.parentPid ?? 0) {
    ancestors.add(at)
  }
  return ancestors
}
