import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { isSdkError, SdkError } from '../../idl/index.ts'
import { ownIdentity, tryProcessLock } from '../../ioc/backplane/internal.ts'
import { COMPONENT_ENV } from '../../runtime/internal.ts'
import { sweepOrphans } from './orphans.ts'
import { launchProcess, type LaunchedProcess, type ProcessEnd } from './process-launcher.ts'
import { afterEnd, DEFAULT_BACKOFF, type RestartBackoff } from './restart-backoff.ts'

/** A node that was taken out is empty: it ends at once, or it hangs. */
const LEAVE_TIMEOUT_MS = 5_000

/** One node process that the supervisor keeps running. */
export interface SupervisedNode {
  readonly name: string
  readonly argv: readonly string[]
  /** Added to the supervisor's own environment. */
  readonly env: Readonly<Record<string, string>>
}

export type SupervisorEvent =
  | { readonly kind: 'nodeStarted'; readonly node: string; readonly pid: number }
  | {
      readonly kind: 'nodeExited'
      readonly node: string
      readonly pid: number
      readonly code: number | null
      readonly signal: string | null
      readonly stderrTail: string
      /** null: it is not started again. */
      readonly restartInMs: number | null
    }
  | {
      readonly kind: 'nodeStartFailed'
      readonly node: string
      readonly message: string
      readonly restartInMs: number
    }

export interface SupervisorOptions {
  readonly runDir: string
  /** In the order of their start. */
  readonly nodes: readonly SupervisedNode[]
  readonly onEvent?: (event: SupervisorEvent) => void
  readonly backoff?: RestartBackoff
}

export interface Supervisor {
  /**
   * Resolves when no node runs any more: after `stop`, or when all of them ended by themselves with
   * exit code 0.
   */
  readonly done: Promise<void>
  /**
   * Keeps these nodes running from now on: starts the ones that are new, ends (SIGTERM, then SIGKILL) and forgets those
   * that are not there any more. The others are left alone.
   */
  setNodes(nodes: readonly SupervisedNode[]): void
  /** Pid of a node's process; null while it does not run. */
  pidOf(node: string): number | null
  /**
   * Ends the nodes one by one, the last first: SIGTERM, and SIGKILL after the node's share of
   * `timeoutMs`. Nothing of the tree is left when it resolves. May be called again; the first time-
   * out holds.
   */
  stop(timeoutMs: number): Promise<void>
}

/**
 * Runs node processes and starts a dead one again, with back-off. The whole tree ends when the
 * calling process dies. A node that ends with exit code 0 ended on purpose and is not started
 * again.
 *
 * `RUN_DIR/up.json` holds the supervisor's process identity while it runs. Output of a node goes to
 * `RUN_DIR/nodes/NAME/node.log`.
 * @throws SdkError ALREADY_EXIST when a living process supervises the run directory.
 */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const runDir = resolve(options.runDir)
  if (mkdirSync(runDir, { recursive: true, mode: 0o700 }) !== undefined) chmodSync(runDir, 0o700)
  const release = lockRunDir(runDir)
  try {
    await sweepOrphans(runDir)
    return new NodeSupervisor({ ...options, runDir }, release)
  } catch (error) {
    release()
    throw error
  }
}

function lockRunDir(runDir: string): () => void {
  const lock = tryProcessLock(join(runDir, 'up'))
  if (!lock.held) {
    throw new SdkError(
      'ALREADY_EXIST',
      `the cluster in ${runDir} is up already (process ${lock.holder.pid}); ` +
        'remedy: "holdfast down" stops it, or choose another --run-dir',
      { context: { runDir, pid: lock.holder.pid } },
    )
  }
  const file = join(runDir, 'up.json')
  writeFileSync(`${file}.new`, `${JSON.stringify(ownIdentity())}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return () => {
    rmSync(file, { force: true })
    lock.release()
  }
}

class NodeSupervisor implements Supervisor {
  readonly done: Promise<void>
  readonly #options: SupervisorOptions
  readonly #runDir: string
  #nodes: readonly NodeKeeper[]
  /** Of nodes that were taken out and have not ended yet. */
  readonly #leaving = new Set<NodeKeeper>()
  #stopping: Promise<void> | null = null

  constructor(options: SupervisorOptions, release: () => void) {
    this.#options = options
    this.#runDir = options.runDir
    this.#nodes = options.nodes.map((node) => new NodeKeeper(node, options))
    this.done = this.#end(release)
  }

  pidOf(node: string): number | null {
    return this.#nodes.find(({ name }) => name === node)?.pid ?? null
  }

  setNodes(nodes: readonly SupervisedNode[]): void {
    if (this.#stopping !== null) return
    const wanted = new Set(nodes.map(({ name }) => name))
    for (const keeper of this.#nodes.filter(({ name }) => !wanted.has(name))) {
      this.#leaving.add(keeper)
      void keeper.stop(LEAVE_TIMEOUT_MS).then(() => this.#leaving.delete(keeper))
    }
    const known = new Map(this.#nodes.map((keeper) => [keeper.name, keeper]))
    this.#nodes = nodes.map((node) => known.get(node.name) ?? new NodeKeeper(node, this.#options))
  }

  stop(timeoutMs: number): Promise<void> {
    this.#stopping ??= this.#stop(timeoutMs)
    return this.#stopping
  }

  async #stop(timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    // No one starts again from here on, also not while another one is waited for.
    for (const node of this.#nodes) node.retire()
    const left = this.#nodes.toReversed()
    for (const [index, node] of left.entries()) {
      const shareMs = (deadlineMs - performance.now()) / (left.length - index)
      await node.stop(Math.max(0, shareMs))
    }
    await this.done
  }

  #all(): NodeKeeper[] {
    return [...this.#nodes, ...this.#leaving]
  }

  async #end(release: () => void): Promise<void> {
    // Nodes may be added, or may leave, while the others are waited for.
    for (let ended = new Set<NodeKeeper>(); !this.#all().every((node) => ended.has(node));) {
      ended = new Set(this.#all())
      await Promise.all([...ended].map((node) => node.done))
    }
    try {
      await sweepOrphans(this.#runDir)
    } finally {
      release()
    }
  }
}

/** Keeps one node process running. */
class NodeKeeper {
  readonly name: string
  readonly done: Promise<void>
  readonly #node: SupervisedNode
  readonly #options: SupervisorOptions
  readonly #retired = new AbortController()
  #process: LaunchedProcess | null = null
  #backoff: RestartBackoff

  constructor(node: SupervisedNode, options: SupervisorOptions) {
    this.name = node.name
    this.#node = node
    this.#options = options
    this.#backoff = options.backoff ?? DEFAULT_BACKOFF
    this.done = this.#keep()
  }

  get pid(): number | null {
    return this.#process?.pid ?? null
  }

  retire(): void {
    this.#retired.abort()
  }

  async stop(timeoutMs: number): Promise<void> {
    this.retire()
    const running = this.#process
    running?.signal('SIGTERM')
    const timer = setTimeout(() => running?.kill(), timeoutMs)
    await this.done
    clearTimeout(timer)
  }

  async #keep(): Promise<void> {
    while (!this.#retired.signal.aborted) {
      const startedMs = performance.now()
      const launched = this.#tryLaunch()
      if (launched === null) {
        await this.#pause()
        continue
      }
      this.#process = launched
      this.#emit({ kind: 'nodeStarted', node: this.name, pid: launched.pid })
      const end = await launched.exited
      this.#process = null
      await launched.drained
      if (!(await this.#ended(launched, end, performance.now() - startedMs))) return
    }
  }

  /** @returns true when it is to be started again, after the pause. */
  async #ended(launched: LaunchedProcess, end: ProcessEnd, upMs: number): Promise<boolean> {
    const isFinal = this.#retired.signal.aborted || end.code === 0
    const { delayMs, backoff } = afterEnd(this.#backoff, upMs)
    this.#backoff = backoff
    this.#emit({
      kind: 'nodeExited',
      node: this.name,
      pid: launched.pid,
      ...end,
      stderrTail: launched.stderrTail(),
      restartInMs: isFinal ? null : delayMs,
    })
    if (isFinal) return false
    await this.#wait(delayMs)
    return true
  }

  #tryLaunch(): LaunchedProcess | null {
    const { runDir } = this.#options
    try {
      return launchProcess({
        argv: this.#node.argv,
        env: {
          ...process.env,
          ...this.#node.env,
          [COMPONENT_ENV.runDir]: runDir,
          [COMPONENT_ENV.node]: this.name,
        },
        logFile: join(runDir, 'nodes', this.name, 'node.log'),
      })
    } catch (error) {
      if (!isSdkError(error)) throw error
      const { message } = error
      const restartInMs = this.#backoff.nextMs
      this.#emit({ kind: 'nodeStartFailed', node: this.name, message, restartInMs })
      return null
    }
  }

  async #pause(): Promise<void> {
    const { delayMs, backoff } = afterEnd(this.#backoff, 0)
    this.#backoff = backoff
    await this.#wait(delayMs)
  }

  async #wait(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#retired.signal }).catch(() => undefined)
  }

  #emit(event: SupervisorEvent): void {
    this.#options.onEvent?.(event)
  }
}
