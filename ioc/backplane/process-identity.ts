import { readdirSync, readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { SdkError } from '../../idl/index.ts'
import type { ProcessIdentity } from './backplane.ts'
import { isFinished, parseProcessStat, type ProcessStat } from './process-stat.ts'

/**
 * The identity of a process that runs now; undefined when there is none with this pid, or only a
 * zombie.
 */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const stat = readProcessStat(pid)
  if (stat === undefined || isFinished(stat)) return undefined
  return { pid, startTime: stat.startTime, bootId: bootId() }
}

/** The identity of the process that asks. */
export function ownIdentity(): ProcessIdentity {
  const own = identityOf(process.pid)
  if (own !== undefined) return own
  throw new SdkError('NOT_SUPPORTED', 'cannot read /proc/self/stat; remedy: mount /proc')
}

/** True when both mean the same life of the same process. */
export function sameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.startTime === b.startTime && a.bootId === b.bootId
}

/**
 * False when the process is gone, is a zombie, was started in another boot, or its pid belongs to a
 * later process now. A process all of whose threads are exiting counts as gone: nothing more of its
 * program can run, although the kernel may need a while (about 95 ms a GB of heap) to give its
 * memory back.
 */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false
  const stat = readProcessStat(identity.pid)
  if (stat === undefined || stat.startTime !== identity.startTime) return false
  // The first thread may be a zombie while another one still runs, so every thread is asked.
  return !isFinished(stat) || hasRunningThread(identity.pid)
}

/** `/proc/PID/stat`, or undefined when there is no such process. */
export function readProcessStat(pid: number): ProcessStat | undefined {
  return readStat(`/proc/${pid}/stat`)
}

/**
 * Sends SIGKILL to exactly this process (it works on a stopped one) and waits until nothing of it
 * runs any more. Resolves at once when it is gone already.
 * @throws SdkError TIMEOUT when it still runs after `timeoutMs` (uninterruptible sleep);
 * INVALID_PARAMETER for the caller's own process; OP_NOT_PERMITTED when it belongs to another user.
 */
export async function proveGone(identity: ProcessIdentity, timeoutMs: number): Promise<void> {
  if (!isAlive(identity)) return
  killProcess(identity)
  const deadlineMs = performance.now() + timeoutMs
  for (let turn = 0; isAlive(identity); turn++) {
    if (performance.now() > deadlineMs) {
      throw new SdkError(
        'TIMEOUT',
        `process ${identity.pid} still runs ${timeoutMs} ms after SIGKILL (state ` +
          `${readProcessStat(identity.pid)?.state ?? '?'}); it waits for a device or a file system`,
        { context: { pid: identity.pid, timeoutMs } },
      )
    }
    if (turn < 3) await new Promise<void>((done) => setImmediate(done))
    else await delay(turn < 50 ? 1 : 10)
  }
}

/**
 * Sends SIGKILL when the process of this identity still runs. @throws as {@link proveGone}, without
 * waiting.
 */
export function killProcess(identity: ProcessIdentity): void {
  if (identity.pid === process.pid) {
    throw new SdkError('INVALID_PARAMETER', `process ${identity.pid} cannot prove itself gone`)
  }
  if (!isAlive(identity)) return
  try {
    process.kill(identity.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return
    throw new SdkError(
      'OP_NOT_PERMITTED',
      `may not kill process ${identity.pid}; remedy: run every node of a cluster as one user`,
      { cause: error, context: { pid: identity.pid } },
    )
  }
}

function hasRunningThread(pid: number): boolean {
  let threads: string[]
  try {
    threads = readdirSync(`/proc/${pid}/task`)
  } catch {
    return false
  }
  return threads.some((thread) => {
    const stat = readStat(`/proc/${pid}/task/${thread}/stat`)
    return stat !== undefined && !isFinished(stat)
  })
}

function readStat(path: string): ProcessStat | undefined {
  try {
    return parseProcessStat(readFileSync(path, 'latin1'))
  } catch {
    return undefined
  }
}

/** Names one life of the machine: monotonic times of different ones do not compare. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}
