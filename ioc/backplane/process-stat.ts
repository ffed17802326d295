/**
 * The fields of `/proc/PID/stat` (proc(5)) that tell processes apart and say whether one still
 * runs.
 */
export interface ProcessStat {
  readonly pid: number
  /**
   * One letter: R running, S sleeping, D uninterruptible, T stopped, t traced, Z zombie, X dead.
   */
  readonly state: string
  readonly parentPid: number
  readonly processGroup: number
  readonly session: number
  /**
   * True from the first moment of the thread's exit on: it runs no instruction of the program any
   * more.
   */
  readonly exiting: boolean
  /** Clock ticks since boot. */
  readonly startTime: number
}

/** `PF_EXITING` of the kernel's `task->flags`, field 9. */
const FLAG_EXITING = 0x4

/**
 * Parses one line of `/proc/PID/stat`; undefined when it is none.
 * The program's name stands in parentheses and may itself hold spaces and parentheses: fields count
 * from the last one.
 */
export function parseProcessStat(text: string): ProcessStat | undefined {
  const open = text.indexOf(' (')
  const close = text.lastIndexOf(') ')
  if (open < 0 || close < open) return undefined
  const fields = text
    .slice(close + 2)
    .trimEnd()
    .split(' ')
  const at = (number: number): number => Number(fields[number - 3])
  const stat = {
    pid: Number(text.slice(0, open)),
    state: fields[0] ?? '',
    parentPid: at(4),
    processGroup: at(5),
    session: at(6),
    exiting: (at(9) & FLAG_EXITING) !== 0,
    startTime: at(22),
  }
  return Number.isNaN(stat.startTime) || stat.state.length !== 1 ? undefined : stat
}

/** True when the thread or process can run nothing of its program any more. */
export function isFinished(stat: ProcessStat): boolean {
  return stat.exiting || stat.state === 'Z' || stat.state === 'X' || stat.state === 'x'
}
