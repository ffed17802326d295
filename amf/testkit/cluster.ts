import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { SdkError } from '../../idl/index.ts'
import { connect, type Connection } from '../../runtime/index.ts'
import type { AdminOperation } from '../engine/contract.ts'
import { openLink } from '../operator/link.ts'
import { processesOf, type ClusterProcess } from '../operator/processes.ts'
import { nodePid } from '../operator/run-dir.ts'
import { pause } from '../operator/retry.ts'
import type { ClusterView } from '../operator/view.ts'
import { watchCluster, type ClusterWatch } from '../operator/watch.ts'
import { startChild, type Child } from './child.ts'
import { NodeFaults } from './faults.ts'
import { roleChangesOf, type RoleChange } from './history.ts'
import { TestHooks } from './hooks.ts'
import { isThere, untilTrue } from './process-look.ts'

export interface ClusterOptions {
  /** An existing run directory is used as it is: that is how a crashed cluster comes back. @defaultValue a new one */
  readonly runDir?: string
  /** Starts these nodes only, each a process of its own that nobody restarts. @defaultValue all, under `holdfast up` */
  readonly nodes?: readonly string[]
  /** Added to the environment of every process. */
  readonly env?: Readonly<Record<string, string>>
  /**
   * What to wait for before `startCluster` resolves: every service instance FULLY_ASSIGNED, a director, or nothing.
   * @defaultValue 'assigned' ('director' when `nodes` is given)
   */
  readonly waitFor?: 'assigned' | 'director' | 'nothing'
  /** How long that may take. @defaultValue 30_000 */
  readonly timeoutMs?: number
  /** Keeps the run directory at `stop`. @defaultValue false when it was made here */
  readonly keep?: boolean
  /**
   * The processes do nothing but what they do in production, to be measured: the engine does not check its invariants,
   * sockets have no place for faults, and `cut`, `heal` and `delay` throw BAD_OPERATION. @defaultValue false
   */
  readonly plain?: boolean
}

/** What was killed, and when on this program's monotonic clock: just before the signal was sent. */
export interface Killed {
  readonly pid: number
  readonly atMs: number
}

/** A cluster of real processes on this machine. Names are those of the model. */
export interface Cluster {
  readonly runDir: string
  /** The newest view; null before the first. */
  readonly view: ClusterView | null
  /** Asks for the status now. */
  refresh(): Promise<ClusterView>
  /** Resolves with the first view, asked for after this call or later, that satisfies the predicate. */
  until(predicate: (view: ClusterView) => boolean, timeoutMs: number): Promise<ClusterView>
  /** Role changes since `startCluster`, oldest first. */
  history(): readonly RoleChange[]
  /** SIGKILL of a component, of a node's process, or of `up` (the supervisor). Resolves when the process is gone. */
  kill(name: string): Promise<Killed>
  /** SIGKILL of every process at the same time, the supervisor included. The run directory stays. */
  killAll(): Promise<void>
  /** SIGSTOP of a component or node process. */
  freeze(name: string): Promise<Killed>
  /** SIGCONT of what was frozen; the process may have been killed meanwhile. */
  thaw(frozen: Killed): void
  /** Blocks the event loop of a component that offers {@link TestHooks}. */
  block(component: string, ms: number): Promise<void>
  /**
   * Cuts the network between two nodes, their components included: nothing arrives and nobody is told; connections
   * stand still, and what ends meanwhile shows after {@link heal}. 0 stands for programs that listen nowhere, such as
   * clients of the test; they see the end of a process at once. Resolves when the cut is in force everywhere.
   *
   * @throws SdkError INVALID_PARAMETER for what are no two nodes.
   */
  cut(a: string | 0, b: string | 0): Promise<void>
  /** Ends a cut and a delay. What was on its way goes on. */
  heal(a: string | 0, b: string | 0): Promise<void>
  /** Everything between two nodes takes `ms` longer, each way, in order. 0 to 60_000; replaces a cut. */
  delay(a: string | 0, b: string | 0, ms: number): Promise<void>
  /** Starts nodes (all when left out) after `killAll`, or nodes that are not running. */
  start(nodes?: readonly string[]): Promise<void>
  /** One administrative operation to its end. */
  admin(operation: AdminOperation, entity: string, timeoutMs?: number): Promise<void>
  /** A connection as any program outside a component makes it. The caller closes it, or `stop` does. */
  connect(): Promise<Connection>
  /** Every process of the cluster as `/proc` shows it now, zombies included; operators' tools left out. */
  processes(): readonly ClusterProcess[]
  /** The log of one node process, of `up`, or of a component: the last `sizeMax` characters, '' when there is none. */
  log(name: string, sizeMax?: number): string
  /**
   * Stops everything in order and removes a run directory that was made here. May be called again.
   *
   * @throws SdkError FAILED_OPERATION when a process outlived it; it is killed then.
   */
  stop(): Promise<void>
}

/**
 * Starts a cluster of real processes in a private run directory. Everything of it ends with the calling process.
 *
 * @param model - path of a `cluster.yaml`, or the model as plain data (paths in it absolute).
 * @throws SdkError TIMEOUT when it does not come up, with the end of the logs.
 */
export async function startCluster(
  model: string | Readonly<Record<string, unknown>>,
  options: ClusterOptions = {},
): Promise<Cluster> {
  const cluster = new RealCluster(model, options)
  try {
    await cluster.startFirst()
  } catch (error) {
    const logs = cluster.logTails()
    await cluster.stop().catch(() => undefined)
    throw new SdkError('TIMEOUT', `the cluster did not come up: ${messageOf(error)}\n${logs}`, {
      cause: error,
    })
  }
  return cluster
}

const STOP_MS = 15_000

class RealCluster implements Cluster {
  readonly runDir: string
  readonly #modelPath: string
  readonly #options: ClusterOptions
  /** Directory made here: removed at the end. */
  readonly #ownDir: string | null
  /** null: plain. */
  readonly #faults: NodeFaults | null
  readonly #children = new Map<string, Child>()
  readonly #connections = new Set<Connection>()
  readonly #onExit = (): void => this.#killChildrenNow()
  #watch: ClusterWatch
  #stopped: Promise<void> | null = null

  constructor(model: string | Readonly<Record<string, unknown>>, options: ClusterOptions) {
    this.#options = options
    const needsDir = options.runDir === undefined || typeof model !== 'string'
    this.#ownDir = needsDir ? mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-')) : null
    const runDir = options.runDir ?? join(this.#ownDir ?? '', 'run')
    mkdirSync(runDir, { recursive: true, mode: 0o700 })
    this.runDir = realpathSync(runDir)
    this.#modelPath = typeof model === 'string' ? resolve(model) : this.#writeModel(model)
    this.#faults = options.plain === true ? null : new NodeFaults(this.runDir, this.#modelPath)
    this.#watch = watchCluster((signal) => openLink(this.runDir, signal))
    process.once('exit', this.#onExit)
  }

  get view(): ClusterView | null {
    return this.#watch.view
  }

  async startFirst(): Promise<void> {
    const { nodes, timeoutMs = 30_000 } = this.#options
    const waitFor = this.#options.waitFor ?? (nodes === undefined ? 'assigned' : 'director')
    await this.start(nodes)
    if (waitFor === 'nothing') return
    const ready = this.#watch.until(
      (view) => (waitFor === 'assigned' ? view.settled : view.director !== null),
      timeoutMs,
    )
    const exits = [...this.#children.values()].map(async (child) => {
      const { code, signal } = await child.exited
      throw new SdkError('FAILED_OPERATION', `${child.name} ended (${signal ?? `code ${code}`})`)
    })
    await Promise.race([ready, ...exits])
  }

  cut(a: string | 0, b: string | 0): Promise<void> {
    return this.#setFault(a, b, { cut: true, delayMs: 0 })
  }

  heal(a: string | 0, b: string | 0): Promise<void> {
    return this.#setFault(a, b, { cut: false, delayMs: 0 })
  }

  delay(a: string | 0, b: string | 0, ms: number): Promise<void> {
    return this.#setFault(a, b, { cut: false, delayMs: ms })
  }

  async start(nodes?: readonly string[]): Promise<void> {
    if (nodes === undefined) return this.#startChild('up', ['up', this.#modelPath])
    for (const node of nodes) this.#startChild(node, ['node', node, '--model', this.#modelPath])
  }

  refresh(): Promise<ClusterView> {
    return this.#watch.refresh()
  }

  until(predicate: (view: ClusterView) => boolean, timeoutMs: number): Promise<ClusterView> {
    return this.#watch.until(predicate, timeoutMs)
  }

  history(): readonly RoleChange[] {
    return roleChangesOf(this.#watch)
  }

  async kill(name: string): Promise<Killed> {
    const killed = await this.#signal(name, 'SIGKILL')
    await this.#untilGone(killed.pid)
    // Gone and reaped: the same name may be started again at once.
    await [...this.#children.values()].find((child) => child.pid === killed.pid)?.exited
    return killed
  }

  async killAll(): Promise<void> {
    for (const one of this.processes()) sendSignal(one.pid, 'SIGKILL')
    await Promise.all([...this.#children.values()].map((child) => child.exited))
    await this.#untilEmpty(STOP_MS)
    this.#children.clear()
  }

  freeze(name: string): Promise<Killed> {
    return this.#signal(name, 'SIGSTOP')
  }

  thaw(frozen: Killed): void {
    sendSignal(frozen.pid, 'SIGCONT')
  }

  async block(component: string, ms: number): Promise<void> {
    const view = await this.refresh()
    const addresses = view.status.serviceInstances
      .flatMap((si) => si.assignments.flatMap((a) => a.components))
      .filter((one) => one.name === component && one.address !== null)
    const address = addresses[0]?.address
    if (address === undefined || address === null)
      throw new SdkError('NOT_EXIST', `component ${component} has no address: it holds no role`)
    const connection = await this.connect()
    await connection.rmd.client(TestHooks, { to: address }).block({ ms })
    await connection.close()
    this.#connections.delete(connection)
  }

  async admin(operation: AdminOperation, entity: string, timeoutMs = 30_000): Promise<void> {
    const link = await openLink(this.runDir)
    try {
      await link.admin(operation, entity, timeoutMs)
    } finally {
      await link.close()
    }
  }

  async connect(): Promise<Connection> {
    const connection = await connect({ runDir: this.runDir })
    this.#connections.add(connection)
    return connection
  }

  processes(): readonly ClusterProcess[] {
    return processesOf(this.runDir).filter((one) => one.kind !== 'tool')
  }

  log(name: string, sizeMax = 4_000): string {
    const view = this.#watch.view
    const unit = view?.status.serviceUnits.find((su) => su.components.some((c) => c.name === name))
    const files = [
      join(this.runDir, `${name}.testkit.log`),
      join(this.runDir, 'nodes', name, 'node.log'),
      ...(unit ? [join(this.runDir, 'nodes', unit.node, 'components', `${name}.log`)] : []),
    ]
    return files
      .map((file) => readTail(file, sizeMax))
      .join('')
      .slice(-sizeMax)
  }

  /** The ends of all logs of processes that were started here, for error texts. */
  logTails(): string {
    return [...this.#children.keys()]
      .map((name) => `--- ${name}\n${this.log(name, 2_000)}`)
      .join('\n')
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll()
    return this.#stopped
  }

  async #stopAll(): Promise<void> {
    await this.#watch.stop()
    for (const connection of this.#connections) await connection.close().catch(() => undefined)
    const children = [...this.#children.values()]
    for (const child of children) child.signal('SIGTERM')
    const allEnded = new AbortController()
    const ended = Promise.all(children.map((child) => child.exited)).then(() => allEnded.abort())
    // The pause ends with them: its timer would keep the calling program alive.
    await Promise.race([ended, pause(STOP_MS, allEnded.signal)])
    const late = children.filter((child) => child.running).map((child) => child.name)
    for (const child of children) child.signal('SIGKILL')
    const left = await this.#untilEmpty(2_000).catch(() => this.processes())
    for (const one of left) sendSignal(one.pid, 'SIGKILL')
    if (left.length > 0) await this.#untilEmpty(2_000).catch(() => undefined)
    process.off('exit', this.#onExit)
    if (this.#ownDir !== null && this.#options.keep !== true)
      rmSync(this.#ownDir, { recursive: true, force: true, maxRetries: 3 })
    if (late.length === 0 && left.length === 0) return
    const names = left.map((one) => `${one.pid} ${one.kind} ${one.name}`).join(', ')
    throw new SdkError(
      'FAILED_OPERATION',
      late.length > 0
        ? `did not stop within ${STOP_MS} ms of SIGTERM: ${late.join(', ')}`
        : `outlived the stop of the cluster: ${names}`,
    )
  }

  #testEnv(): Readonly<Record<string, string>> {
    return this.#faults === null ? {} : { HOLDFAST_CHECK: '1', ...this.#faults.env }
  }

  async #setFault(
    a: string | 0,
    b: string | 0,
    fault: { readonly cut: boolean; readonly delayMs: number },
  ): Promise<void> {
    if (this.#faults !== null) return this.#faults.set(a, b, fault)
    throw new SdkError('BAD_OPERATION', 'this cluster was started with { plain: true }: no faults')
  }

  #startChild(name: string, words: readonly string[]): void {
    if (this.#children.get(name)?.running === true)
      throw new SdkError('ALREADY_EXIST', `${name} is running already`)
    const child = startChild({
      name,
      words: [...words, '--run-dir', this.runDir],
      env: { ...this.#testEnv(), ...this.#options.env },
      logFile: join(this.runDir, `${name}.testkit.log`),
    })
    this.#children.set(name, child)
  }

  #writeModel(model: Readonly<Record<string, unknown>>): string {
    const path = join(this.#ownDir ?? this.runDir, 'cluster.yaml')
    writeFileSync(path, stringify(model))
    return path
  }

  async #signal(name: string, signal: NodeJS.Signals): Promise<Killed> {
    const pid = await this.#pidOf(name)
    const atMs = performance.now()
    sendSignal(pid, signal)
    return { pid, atMs }
  }

  async #pidOf(name: string): Promise<number> {
    const child = this.#children.get(name)
    if (child?.running === true) return child.pid
    const node = this.#view()?.status.nodes.some((one) => one.name === name) === true
    const pid = node ? nodePid(this.runDir, name) : await this.#componentPid(name)
    if (pid === null || !isThere(pid)) throw new SdkError('NOT_EXIST', `no process of ${name} runs`)
    return pid
  }

  async #componentPid(name: string): Promise<number | null> {
    const view = await this.refresh().catch(() => this.#watch.view)
    if (view === null) throw new SdkError('TRY_AGAIN', 'the cluster has no status yet')
    return view.component(name).pid
  }

  #view(): ClusterView | null {
    return this.#watch.view
  }

  async #untilGone(pid: number): Promise<void> {
    await untilTrue(() => !isThere(pid), 10_000, `process ${pid} to end`)
  }

  async #untilEmpty(timeoutMs: number): Promise<readonly ClusterProcess[]> {
    await untilTrue(() => this.processes().length === 0, timeoutMs, 'all processes to end')
    return []
  }

  #killChildrenNow(): void {
    for (const child of this.#children.values()) child.signal('SIGKILL')
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  if (pid <= 0) return // 0 and below would reach whole process groups.
  try {
    process.kill(pid, signal)
  } catch {
    // Gone meanwhile.
  }
}

function readTail(file: string, sizeMax: number): string {
  try {
    return readFileSync(file, 'utf8').slice(-sizeMax)
  } catch {
    return ''
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
