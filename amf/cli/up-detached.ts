import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isSdkError, SdkError } from '../../idl/index.ts'
import { loadModel } from '../model/load.ts'
import type { Model } from '../model/model.ts'
import { toolPath } from '../model/tool-path.ts'
import { effectiveModel } from '../node/node-model.ts'
import { openLink } from '../operator/link.ts'
import { runDirOfCluster } from '../operator/run-dir.ts'
import type { ClusterView } from '../operator/view.ts'
import { watchCluster } from '../operator/watch.ts'
import { print, timeoutMsOf, type CliIo, type GlobalOptions } from './context.ts'
import { CommandFailure, EXIT } from './exit-code.ts'
import { problemsOf } from './render.ts'
import { isAllAssigned } from './settled.ts'
import type { StartReport } from './up-foreground.ts'

/** `up --detach`: leaves a supervisor behind in a session of its own, and waits until the cluster serves. */
export async function runUpDetached(
  io: CliIo,
  options: GlobalOptions,
  modelPath: string,
): Promise<void> {
  const timeoutMs = timeoutMsOf(options)
  const deadlineMs = performance.now() + timeoutMs
  // Problems of the model are this program's to tell: the background process has no terminal.
  const { cluster } = loadModel(modelPath)
  const runDir = runDirOfCluster({ option: options.runDir, env: io.env }, cluster)
  mkdirSync(runDir, { recursive: true, mode: 0o700 })
  const { model, notice } = effectiveModel(runDir, modelPath)
  if (notice !== null) io.stderr(`${notice}\n`)
  const pid = await launchSupervisor(resolve(modelPath), realpathSync(runDir), timeoutMs)
  io.stderr(`started in the background (pid ${pid}); waiting until all is assigned\n`)
  await waitAssigned(io, { model, runDir: realpathSync(runDir) }, deadlineMs - performance.now())
  print(io, options, {
    document: { cluster: model.cluster, runDir: realpathSync(runDir), pid, result: 'ASSIGNED' },
    text: `cluster ${model.cluster} is up, run directory ${realpathSync(runDir)}`,
  })
}

async function launchSupervisor(
  modelPath: string,
  runDir: string,
  timeoutMs: number,
): Promise<number> {
  const log = openSync(join(runDir, 'up.log'), 'a', 0o600)
  const tool = toolPath()
  const child = spawn(
    process.execPath,
    [tool, 'up', modelPath, '--supervise', '--run-dir', runDir],
    { detached: true, cwd: '/', stdio: ['ignore', log, log, 'ipc'] },
  )
  closeSync(log)
  const report = await firstReport(child, timeoutMs)
  if (child.connected) child.disconnect()
  child.unref()
  if (report.kind === 'failed') throw new SdkError(report.code, report.message)
  return report.pid
}

function firstReport(child: ChildProcess, timeoutMs: number): Promise<StartReport> {
  return new Promise((resolveReport) => {
    const fail = (code: string, message: string): void =>
      resolveReport({ kind: 'failed', code, message })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail('TIMEOUT', 'the background supervisor did not start in time; it was ended')
    }, timeoutMs)
    child.once('message', (message) => {
      clearTimeout(timer)
      resolveReport(message as StartReport)
    })
    child.once('error', (error) => fail('FAILED_OPERATION', error.message))
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      fail('FAILED_OPERATION', `the supervisor ended (${signal ?? `code ${code}`}); see up.log`)
    })
  })
}

async function waitAssigned(
  io: CliIo,
  { model, runDir }: { readonly model: Model; readonly runDir: string },
  timeoutMs: number,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  const watch = watchCluster((signal) => openLink(runDir, signal))
  const giveUp = (): void => void watch.stop()
  io.signal.addEventListener('abort', giveUp, { once: true })
  try {
    for (let last = null as ClusterView | null; ;) {
      const leftMs = Math.max(1, deadlineMs - performance.now())
      last = await watch.until((view) => view !== last, leftMs)
      if (last.settled || (await isBest(model, runDir, last))) return
      if (performance.now() >= deadlineMs) throw new SdkError('TIMEOUT', 'not assigned in time')
    }
  } catch (error) {
    if (!isSdkError(error, 'TIMEOUT')) throw error
    const missing = watch.view === null ? [watch.trouble ?? ''] : problemsOf(watch.view.status)
    const hint = `look into ${join(runDir, 'up.log')} and ${join(runDir, 'nodes', '*', 'node.log')}`
    throw new CommandFailure(
      'TIMEOUT',
      `not everything is assigned; the cluster keeps running:\n  ${[...missing, hint].join('\n  ')}`,
      EXIT.timedOut,
    )
  } finally {
    io.signal.removeEventListener('abort', giveUp)
    await watch.stop()
  }
}

/** Only a cluster that stands still short of FULLY_ASSIGNED is asked what operators locked. */
async function isBest(model: Model, runDir: string, view: ClusterView): Promise<boolean> {
  const link = await openLink(runDir)
  try {
    return await isAllAssigned(model, view.status, async (entity) => {
      const { states } = await link.management.state({ entity })
      return states['administrative']
    })
  } catch (error) {
    if (isSdkError(error)) return false
    throw error
  } finally {
    await link.close()
  }
}
