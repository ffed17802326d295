import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SdkError } from '../../idl/index.ts'
import { isFinished, readProcessStat, type ProcessStat } from '../../ioc/backplane/internal.ts'
import { COMPONENT_ENV } from '../../runtime/internal.ts'
import { ancestorsOf, environOf, listProcesses } from './process-table.ts'

const SWEEP_TIMEOUT_MS = 5_000
const RESCAN_MS = 2

/**
 * Kills what a dead launcher of this run directory left behind, of one node or of all, with the
 * process groups, and resolves when none of it runs any more. @returns the pids that were found.
 *
 * An orphan is a process whose environment names the run directory (and the node) and a launcher,
 * `HOLDFAST_PARENT_PID`, that does not live any more. So a living node and its components are left
 * alone, and so is a shell in which somebody set the run directory by hand. Never touched: the
 * caller, its ancestors and their groups, and any process whose environment cannot be read.
 *
 * @throws SdkError TIMEOUT naming the pids that still run after 5 s.
 */
export async function sweepOrphans(runDir: string, node?: string): Promise<readonly number[]> {
  const swept = new Set<number>()
  const deadlineMs = performance.now() + SWEEP_TIMEOUT_MS
  const directory = canonical(runDir)
  for (;;) {
    // Again until a pass finds none: a killed node process makes orphans of its components.
    const orphans = findOrphans(directory, node)
    if (orphans.length === 0) return [...swept]
    for (const { pid } of orphans) swept.add(pid)
    if (performance.now() > deadlineMs) {
      const pids = orphans.map(({ pid }) => pid).join(', ')
      throw new SdkError('TIMEOUT', `left over processes of ${runDir} cannot be killed: ${pids}`)
    }
    killAll(orphans)
    await delay(RESCAN_MS)
  }
}

function findOrphans(directory: string, node: string | undefined): readonly ProcessStat[] {
  const untouchable = ancestorsOf(process.pid)
  return listProcesses().filter((stat) => {
    if (untouchable.has(stat.pid)) return false
    const environ = environOf(stat.pid)
    const dir = environ?.get(COMPONENT_ENV.runDir)
    if (environ === undefined || dir === undefined) return false
    const ofNode = environ.get(COMPONENT_ENV.node)
    if (ofNode === undefined || (node !== undefined && ofNode !== node)) return false
    if (canonical(dir) !== directory) return false
    return !hasLauncher(stat, Number(environ.get(COMPONENT_ENV.parentPid)))
  })
}

/**
 * A process that started later than its "launcher's" child has the pid only since the launcher
 * died.
 */
function hasLauncher(stat: ProcessStat, launcherPid: number): boolean {
  // Not launched by us at all: somebody gave himself our variables.
  if (!Number.isSafeInteger(launcherPid) || launcherPid <= 0) return true
  const launcher = readProcessStat(launcherPid)
  return launcher !== undefined && !isFinished(launcher) && launcher.startTime <= stat.startTime
}

function killAll(orphans: readonly ProcessStat[]): void {
  const own = new Set(
    [...ancestorsOf(process.pid)].map((pid) => readProcessStat(pid)?.processGroup),
  )
  for (const { pid, processGroup, startTime } of orphans) {
    // A stopped process dies of it too. Its group holds what it started, unless it never got one of
    // its own.
    if (processGroup > 1 && !own.has(processGroup)) send(-processGroup)
    if (readProcessStat(pid)?.startTime === startTime) send(pid)
  }
}

function send(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}

function canonical(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}
