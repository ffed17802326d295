import type { ProcessError, Recovery } from '../../runtime/internal.ts'

/**
 * Passive monitoring of processes: a core. What a look at the process table shows comes in, who ended how goes out. SAF
 * AMF B.04.01, passive monitoring.
 *
 * P1 A process is its pid together with its start time: another one that got the pid later is not it.
 * P2 How a process ended is known only when it is seen as a zombie. One that is gone without that counts as every error
 *    that is monitored: an end that nobody can explain is none to trust.
 * P3 Descendants are found as long as their parents live; once found they are monitored for themselves.
 */

/** A process as a look at the table shows it. */
export interface ProcessView {
  readonly startTime: number
  /** How it ended; null while it lives. A zombie has ended. */
  readonly ended: ProcessError | null
}

export interface ProcessTableView {
  /** null: there is no such process. */
  readonly look: (pid: number) => ProcessView | null
  readonly childrenOf: (pid: number) => readonly number[]
}

/** What was asked for about one process. */
export interface Monitor {
  readonly pid: number
  readonly startTime: number
  /** Levels of descendants; -1: all. */
  readonly depth: number
  readonly errors: ReadonlyMap<ProcessError, Recovery>
  /** Descendants that were found, with the levels below them that count. */
  readonly descendants: ReadonlyMap<number, { readonly startTime: number; readonly depth: number }>
}

/** Descendants of one monitor at most; further ones are not monitored. */
export const DESCENDANTS_MAX = 256

export interface PollOutcome {
  /** null: nothing of it is left to monitor. */
  readonly monitor: Monitor | null
  readonly failure: { readonly recovery: Recovery; readonly cause: string } | null
}

/** Monitoring of a process begins, or more of its errors are monitored; what was said last about an error counts. */
export function monitorWith(
  before: Monitor | undefined,
  request: {
    readonly pid: number
    readonly startTime: number
    readonly depth: number
    readonly errors: readonly ProcessError[]
    readonly recovery: Recovery
  },
): Monitor {
  const { pid, startTime, depth, errors, recovery } = request
  const same = before?.startTime === startTime ? before : undefined
  const all = new Map(same?.errors)
  for (const error of errors) all.set(error, recovery)
  return { pid, startTime, depth, errors: all, descendants: same?.descendants ?? new Map() }
}

/** These errors are monitored no more; null when none is left. */
export function monitorWithout(monitor: Monitor, errors: readonly ProcessError[]): Monitor | null {
  const left = new Map([...monitor.errors].filter(([error]) => !errors.includes(error)))
  return left.size === 0 ? null : { ...monitor, errors: left }
}

/** One look at everything that the monitor is about. */
export function pollMonitor(monitor: Monitor, table: ProcessTableView): PollOutcome {
  const known = new Map(monitor.descendants)
  known.set(monitor.pid, { startTime: monitor.startTime, depth: monitor.depth })
  const alive: Monitor['descendants'] extends ReadonlyMap<infer K, infer V> ? Map<K, V> : never =
    new Map()
  for (const [pid, { startTime, depth }] of known) {
    const view = table.look(pid)
    const isIt = view?.startTime === startTime
    if (isIt && view.ended === null) {
      alive.set(pid, { startTime, depth })
      continue
    }
    const failure = failureOf(monitor, pid, isIt ? view.ended : null)
    if (failure !== null) return { monitor: null, failure }
  }
  findDescendants(alive, table)
  const descendants = new Map([...alive].filter(([pid]) => pid !== monitor.pid))
  const isOver = alive.size === 0
  return { monitor: isOver ? null : { ...monitor, descendants }, failure: null }
}

/** Grows the map while it is walked: children of children are found in the same look. */
function findDescendants(
  alive: Map<number, { readonly startTime: number; readonly depth: number }>,
  table: ProcessTableView,
): void {
  for (const [pid, { depth }] of alive) {
    if (depth === 0) continue
    for (const child of table.childrenOf(pid)) {
      const view = table.look(child)
      if (view?.ended !== null || alive.has(child) || alive.size > DESCENDANTS_MAX) continue
      alive.set(child, { startTime: view.startTime, depth: depth < 0 ? -1 : depth - 1 })
    }
  }
}

const WORST_FIRST = ['ABNORMAL_END', 'EXIT_NON_ZERO', 'EXIT_ZERO'] as const

const WORDS: Readonly<Record<ProcessError, string>> = {
  ABNORMAL_END: 'was ended by a signal',
  EXIT_NON_ZERO: 'exited with an error',
  EXIT_ZERO: 'exited with code 0',
}

function failureOf(
  monitor: Monitor,
  pid: number,
  ended: ProcessError | null,
): PollOutcome['failure'] {
  const which = pid === monitor.pid ? '' : `, a descendant of ${String(monitor.pid)},`
  const error = ended ?? WORST_FIRST.find((each) => monitor.errors.has(each))
  const recovery = error && monitor.errors.get(error)
  if (recovery === undefined) return null
  const how = ended === null ? 'is gone' : WORDS[ended]
  return { recovery, cause: `monitored process ${String(pid)}${which} ${how}` }
}
