import { readdirSync, readFileSync } from 'node:fs'
import type { ProcessError } from '../../runtime/internal.ts'
import { isFinished, readProcessStat, type ProcessStat } from '../../ioc/backplane/internal.ts'
import type { ProcessView } from './passive-monitor.ts'

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

/** A process for passive monitoring: whether it lives, and how it ended where that can still be seen. */
export function lookAt(pid: number): ProcessView | null {
  const stat = readProcessStat(pid)
  if (stat === undefined) return null
  const { startTime, state } = stat
  // While it is exiting its status is not final.
  return { startTime, ended: state === 'Z' || state === 'X' ? endOf(pid) : null }
}

/** The wait status of a zombie is the last field of its `stat` (proc(5), exit_code). */
function endOf(pid: number): ProcessError {
  let text = ''
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return 'ABNORMAL_END'
  }
  const status = Number(text.trimEnd().split(' ').at(-1))
  if ((status & 0x7f) !== 0) return 'ABNORMAL_END'
  return status === 0 ? 'EXIT_ZERO' : 'EXIT_NON_ZERO'
}

/** Processes that any thread of this one started and that live. */
export function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
      const text = readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')
      return text.split(' ').filter(Boolean).map(Number)
    })
  } catch {
    return []
  }
}

/** The process itself, its parent, and so on up to the first process. */
export function ancestorsOf(pid: number): ReadonlySet<number> {
  const ancestors = new Set<number>()
  for (let at = pid; at > 0 && !ancestors.has(at); at = readProcessStat(at)?.parentPid ?? 0) {
    ancestors.add(at)
  }
  return ancestors
}
