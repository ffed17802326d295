import { mkdirSync, realpathSync, watch } from 'node:fs'
import { resolve } from 'node:path'
import { loadModel } from '../model/load.ts'
import type { Model } from '../model/model.ts'
import { toolPath } from '../model/tool-path.ts'
import { APPLIED_MODEL_FILE, effectiveModel } from '../node/node-model.ts'
import {
  startSupervisor,
  type SupervisedNode,
  type Supervisor,
  type SupervisorEvent,
} from '../node/supervisor.ts'
import { openLink } from '../operator/link.ts'
import { runDirOfCluster } from '../operator/run-dir.ts'
import { watchCluster, type ClusterWatch } from '../operator/watch.ts'
import { type CliIo, type GlobalOptions } from './context.ts'
import { codeOf } from './exit-code.ts'
import { showLive } from './live-view.ts'

export interface UpRequest {
  readonly model: string
  /** True in the process that `--detach` leaves behind. */
  readonly background: boolean
}

/** What the background supervisor tells the program that started it, once, before it lets go of it. */
export type StartReport =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

/** How long nodes may take to stop in order before they are killed. */
const STOP_MS = 20_000

/** `up`: supervises the nodes of a model until it is told to stop. */
export async function runUp(io: CliIo, options: GlobalOptions, request: UpRequest): Promise<void> {
  if (!request.background) return supervise(io, options, request, () => undefined)
  let reported = false
  const report = (message: StartReport): void => {
    if (reported) return
    reported = true
    process.send?.(message, () => process.disconnect?.())
  }
  try {
    await supervise(io, options, request, () => report({ kind: 'started', pid: process.pid }))
  } catch (error) {
    report({
      kind: 'failed',
      code: codeOf(error),
      message: error instanceof Error ? error.message : String(error),
    })
    throw error
  }
}

async function supervise(
  io: CliIo,
  options: GlobalOptions,
  request: UpRequest,
  onStarted: () => void,
): Promise<void> {
  const { cluster } = loadModel(request.model)
  const runDir = prepareRunDir(io, options, cluster)
  const place = { modelPath: resolve(request.model), runDir }
  const { model, notice } = effectiveModel(runDir, request.model)
  if (notice !== null) io.stderr(`${notice}\n`)
  const supervisor = await startNodes(model, place, io.isTerminal ? () => undefined : io.stderr)
  const follow = followModel(supervisor, place, io.stderr)
  onStarted()
  // A second Ctrl-C does not wait: the kernel ends every process below this one with it.
  const stopNow = io.signal.aborted ? Promise.resolve() : aborted(io.signal)
  const clusterWatch = watchCluster((signal) => openLink(runDir, signal))
  const heading = `cluster ${model.cluster}, run directory ${runDir}`
  const live = request.background
    ? null
    : showLive(quietWhenJson(io, options), clusterWatch, heading)
  if (!io.isTerminal && !request.background) io.stderr(`${heading}\n`)
  try {
    await Promise.race([stopNow, supervisor.done])
  } finally {
    follow.close()
    live?.stop()
    process.once('SIGINT', () => process.kill(process.pid, 'SIGKILL'))
    await stopAll(io, supervisor, clusterWatch)
  }
  if (options.json === true)
    io.stdout(`${JSON.stringify({ cluster: model.cluster, runDir, result: 'STOPPED' })}\n`)
}

async function stopAll(io: CliIo, supervisor: Supervisor, watch: ClusterWatch): Promise<void> {
  io.stderr('stopping; Ctrl-C again kills\n')
  await watch.stop()
  await supervisor.stop(STOP_MS)
  io.stderr('stopped\n')
}

function startNodes(model: Model, place: Place, say: (text: string) => void): Promise<Supervisor> {
  const { runDir } = place
  return startSupervisor({
    runDir,
    onEvent: (event) => {
      const text = eventText(event)
      if (text !== null) say(`${text}\n`)
    },
    nodes: nodesOf(model, place),
  })
}

interface Place {
  readonly modelPath: string
  readonly runDir: string
}

function nodesOf(model: Model, { modelPath, runDir }: Place): SupervisedNode[] {
  const tool = toolPath()
  return [...model.nodes.keys()].map((name) => ({
    name,
    argv: [process.execPath, tool, 'node', name, '--model', modelPath, '--run-dir', runDir],
    env: {},
  }))
}

/** Starts processes of nodes that an applied model adds, and ends those of nodes that it lacks. */
function followModel(
  supervisor: Supervisor,
  place: Place,
  say: (text: string) => void,
): { close(): void } {
  return watch(place.runDir, (_event, file) => {
    if (file !== APPLIED_MODEL_FILE) return
    try {
      const { model } = effectiveModel(place.runDir, place.modelPath)
      supervisor.setNodes(nodesOf(model, place))
    } catch (error) {
      say(`the applied model cannot be read: ${String(error)}\n`)
    }
  })
}

/** Starts are no news; ends are. */
function eventText(event: SupervisorEvent): string | null {
  if (event.kind === 'nodeStarted') return null
  if (event.kind === 'nodeStartFailed')
    return `node ${event.node} cannot be started: ${event.message}; again in ${event.restartInMs} ms`
  const how = event.signal ?? `code ${event.code}`
  const next = event.restartInMs === null ? '' : `; started again in ${event.restartInMs} ms`
  const lastWords = event.code === 0 ? '' : event.stderrTail.trim()
  return `node ${event.node} (pid ${event.pid}) ended (${how})${next}${lastWords && `\n${lastWords}`}`
}

/** Makes the run directory, private, and gives its one true name. */
function prepareRunDir(io: CliIo, options: GlobalOptions, cluster: string): string {
  const runDir = runDirOfCluster({ option: options.runDir, env: io.env }, cluster)
  mkdirSync(runDir, { recursive: true, mode: 0o700 })
  return realpathSync(runDir)
}

function quietWhenJson(io: CliIo, options: GlobalOptions): CliIo {
  return options.json === true ? { ...io, stdout: io.stderr, isTerminal: false } : io
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolveAborted) =>
    signal.addEventListener('abort', () => resolveAborted(), { once: true }),
  )
}
