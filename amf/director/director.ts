// Longer than usual: every call of agents and operators arrives here; what decides, waits or keeps has its own file.
import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import type { IncomingCall, NameEntry, Rmd } from '../../ioc/index.ts'
import type { Backplane, MembershipView, ProcessIdentity } from '../../ioc/internal.ts'
import { Dispatcher } from '../../runtime/internal.ts'
import type { Recovery } from '../../runtime/internal.ts'
import type { EngineEvent } from '../engine/contract.ts'
import type { Model } from '../model/model.ts'
import type { ModelSource } from '../model/source.ts'
import { agentCommandOf, type NodeCommand } from './agent-command.ts'
import { AgentLink } from './agent-link.ts'
import { applyModel } from './apply-model.ts'
import { ClusterStop } from './cluster-stop.ts'
import { EngineLoop, type OutgoingCommand } from './engine-loop.ts'
import type { Engine } from './engine-port.ts'
import { History } from './history.ts'
import type { ClusterStatus } from './interface.ts'
import { DirectorNode, Management } from './interface.ts'
import { type ApplyRequest, managementHandlers } from './management.ts'
import { DIRECTOR_CSI, DIRECTOR_NAME, NameTable } from './name-table.ts'
import { LaunchGate } from './launch-gate.ts'
import { Nodes } from './nodes.ts'
import { Operations } from './operations.ts'
import { ProtectionGroups } from './protection-groups.ts'
import { RecordStore } from './record-store.ts'
import { RunningTable } from './running-table.ts'
import { afterSilence } from './silence-window.ts'
import { StateWaiters } from './state-waiters.ts'

/** Epochs are `term * EPOCH_BASE + counter`. */
const EPOCH_BASE = 2 ** 32
/** Ids of requests that the director makes itself, told apart from operators' by it. */
const OWN_ID_PREFIX = 'in-sync:'
const ID_LENGTH_MAX = 200
const OVER = 'this director has ended: ask again, another one takes over'

export interface DirectorOptions<State> {
  readonly engine: Engine<State>
  readonly model: Model
  /** Of the model, when an operator applied it; null: it is the one of the file. */
  readonly source: ModelSource | null
  /** @throws SdkError INVALID_PARAMETER with every problem of a model's text. */
  readonly parseModel: (source: ModelSource) => Model
  /** An operator's model is in force and durable. */
  readonly onModel: (model: Model, source: ModelSource) => void
  readonly node: string
  readonly term: number
  readonly backplane: Pick<Backplane, 'store' | 'proveGone'>
  /** Opens the director's own port (22) of this node. */
  readonly openRmd: () => Promise<Rmd>
  /** Milliseconds that never run backwards in this process and mean about the same in every node process. */
  readonly nowMs: () => number
  readonly self: ProcessIdentity
  readonly identityOf: (pid: number) => ProcessIdentity | undefined
  readonly isAlive: (process: ProcessIdentity) => boolean
  readonly sweep: (node: string, process: ProcessIdentity) => Promise<void>
  readonly check: boolean
  readonly log: Logger
  /** The director found out that it directs no more. */
  readonly onStale: () => void
}

/**
 * The shell around the engine: one a term, on the node that leads. Takes events of agents and operators, steps the
 * engine, makes its records durable and performs its commands. Everything it knows is either in the store or with the
 * agents, so that it may end at any instant: the next one asks both.
 */
export class Director<State> {
  readonly #options: DirectorOptions<State>
  readonly #log: Logger
  readonly #records: RecordStore
  readonly #loop: EngineLoop<State>
  readonly #nodes: Nodes
  readonly #links = new Map<string, AgentLink>()
  readonly #names = new NameTable()
  readonly #history = new History((records) => {
    for (const notification of records) this.#log.info({ notification }, 'notification')
  })
  readonly #operations = new Operations()
  readonly #waiters: StateWaiters
  readonly #groups: ProtectionGroups
  readonly #running: RunningTable
  readonly #launches: LaunchGate
  #source: ModelSource | null
  #clusterStop: ClusterStop | null = null
  #rmd: Rmd | null = null
  #view: MembershipView | null = null
  #stopSilence: () => void = () => undefined
  #changeCount = 0
  #stopping: Promise<void> | null = null

  constructor(options: DirectorOptions<State>) {
    const { engine, model, term, backplane, log } = options
    this.#options = options
    this.#source = options.source
    this.#log = log.child({ part: 'director', term })
    this.#records = new RecordStore(backplane.store, term)
    this.#running = new RunningTable(model)
    this.#launches = new LaunchGate((commands) => this.#sendAll(commands), options.nowMs)
    this.#waiters = new StateWaiters((entity) =>
      engine.stateOf(this.#model, this.#loop.state, entity),
    )
    this.#groups = new ProtectionGroups({
      term,
      members: (csi) => engine.protectionGroup(this.#model, this.#loop.state, csi),
      send: (node, groups) => this.#links.get(node)?.sendGroups(groups) ?? Promise.resolve(),
    })
    this.#loop = new EngineLoop({
      engine,
      model,
      records: this.#records,
      nowMs: options.nowMs,
      check: options.check,
      isOperation: (id) => !id.startsWith(OWN_ID_PREFIX),
      log: this.#log,
      perform: (commands) => this.#perform(commands),
      onStale: () => this.#becomeStale(),
    })
    this.#nodes = new Nodes({
      records: this.#records,
      self: options.self,
      log: this.#log,
      proveGone: (process, timeoutMs) => backplane.proveGone(process, timeoutMs),
      sweep: options.sweep,
      isAlive: options.isAlive,
      identityOf: options.identityOf,
      onGone: (node, cause) => this.#post({ kind: 'nodeGone', node, cause }),
    })
  }

  get #model(): Model {
    return this.#loop.model
  }

  /** Opens the port, takes over what is recorded and waits for the agents. */
  async start(): Promise<void> {
    const rmd = await this.#options.openRmd()
    if (this.#stopping !== null) {
      await rmd.close()
      return
    }
    this.#rmd = rmd
    const { term, model } = this.#options
    const epoch = term * EPOCH_BASE
    this.#names.set({ name: DIRECTOR_NAME, csi: DIRECTOR_CSI, address: rmd.address, epoch })
    const dispatcher = new Dispatcher(this.#log, epoch)
    this.#install(dispatcher)
    rmd.onPresence((event) => {
      if (event.kind === 'death') this.#onDeath(event.caller)
    })
    this.#post({ kind: 'directorStarted', term, records: this.#records.engineRecords() })
    this.#fenceAbsent()
    rmd.serve((call) => dispatcher.serve(call))
    this.#stopSilence = afterSilence(model.timing.nodeSilenceMs, this.#options.nowMs, () => {
      if (this.#stopping === null) this.#fenceSilent()
    })
    this.#log.info({ node: this.#options.node, address: rmd.address }, 'director started')
  }

  /** The backplane's view changed: a process that left it is fenced. */
  onMembership(view: MembershipView): void {
    const before = this.#view
    this.#view = view
    for (const member of before?.members ?? []) {
      const present = view.members.some(
        (other) => other.node === member.node && other.process.pid === member.process.pid,
      )
      const recorded = this.#nodes.members.get(member.node)
      if (present || recorded?.pid !== member.process.pid) continue
      this.#lose(member.node, `node ${member.node} is not heard any more`)
    }
  }

  /** Ends without touching what serves. Repeats share one run. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#loop.stop()
    this.#nodes.close()
    this.#launches.close()
    this.#stopSilence()
    this.#operations.close(OVER)
    this.#waiters.close(OVER)
    this.#groups.close()
    this.#history.close()
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
    await this.#rmd?.close()
    this.#log.info('director stopped')
  }

  #becomeStale(): void {
    this.#log.warn('another director has taken office')
    void this.stop()
    this.#options.onStale()
  }

  #post(event: EngineEvent): void {
    this.#running.observe(event)
    this.#clusterStop?.onChange()
    if (this.#clusterStop === null) this.#loop.post(event)
  }

  // --- nodes ---

  /** Nodes of which no process can be left, as far as that is known at once. */
  #fenceAbsent(): void {
    for (const node of this.#model.nodes.keys()) {
      const identity = this.#nodes.members.get(node)
      if (identity === undefined) void this.#nodes.fence(node, 'the node is not running')
      else if (!this.#options.isAlive(identity)) {
        void this.#nodes.fence(node, diedText(node, identity))
      }
    }
  }

  /** Node processes that live, may have ACTIVE components, and did not come to this director. */
  #fenceSilent(): void {
    for (const node of this.#nodes.members.keys()) {
      if (this.#links.has(node)) continue
      void this.#nodes.fence(node, `node ${node} did not come to the new director in time`)
    }
  }

  #onDeath(caller: string): void {
    for (const [node, link] of this.#links) {
      if (link.caller === caller) this.#lose(node, `the connection to node ${node} closed`)
    }
  }

  #lose(node: string, cause: string): void {
    this.#links.get(node)?.close()
    this.#links.delete(node)
    this.#groups.forget(node)
    this.#clusterStop?.onChange()
    if (this.#stopping !== null || this.#clusterStop?.nodesStopping === true) return
    const identity = this.#nodes.members.get(node)
    const died = identity !== undefined && !this.#options.isAlive(identity)
    void this.#nodes.fence(node, died ? diedText(node, identity) : cause)
  }

  async #join(
    input: {
      readonly node: string
      readonly nodeId: number
      readonly pid: number
      readonly session: number
      readonly modelVersion: number
    },
    facts: Extract<EngineEvent, { kind: 'nodeJoined' }>['facts'],
    call: IncomingCall,
  ): Promise<void> {
    if (this.#clusterStop !== null) throw new SdkError('TRY_AGAIN', 'the cluster stops')
    const { node, nodeId, pid, session, modelVersion } = input
    const known = this.#model.nodes.get(node)
    if (known === undefined || known.id !== nodeId) {
      const wanted = known === undefined ? 'the model has no such node' : `its id is ${known.id}`
      throw new SdkError('INVALID_PARAMETER', `node ${node} with id ${nodeId} refused: ${wanted}`)
    }
    await this.#nodes.admit(node, pid)
    if (this.#stopping !== null) throw new SdkError('TRY_AGAIN', OVER)
    this.#links.get(node)?.close()
    const link = new AgentLink({
      rmd: this.#openedRmd(),
      node,
      term: this.#options.term,
      caller: call.caller,
      session,
      log: this.#log,
      onStale: () => this.#becomeStale(),
      names: () => this.#names.entries,
    })
    this.#links.set(node, link)
    this.#log.info({ node, pid }, 'node joined')
    // Before the first command: it may be about a component that the node's own model lacks.
    if (this.#source !== null && modelVersion < this.#source.version) {
      link.push({ kind: 'useModel', source: this.#source, why: `${node} has an older model` })
      link.flush()
    }
    this.#post({ kind: 'nodeJoined', node, facts })
    // It may have died while an earlier life was fenced: nobody would tell of that death again.
    const identity = this.#nodes.members.get(node)
    if (identity !== undefined && !this.#options.isAlive(identity)) {
      this.#lose(node, diedText(node, identity))
    }
  }

  #openedRmd(): Rmd {
    if (this.#rmd === null) throw new SdkError('TRY_AGAIN', OVER)
    return this.#rmd
  }

  // --- calls ---

  #install(dispatcher: Dispatcher): void {
    dispatcher.install(DirectorNode, {
      join: async ({ term, facts, ...node }, call) => {
        this.#checkTerm(term)
        await this.#join(node, facts, call)
        return { names: this.#names.entries }
      },
      events: ({ node, term, events }, call) => {
        this.#checkTerm(term)
        this.#checkJoined(node, call)
        for (const event of events) this.#post(event)
        return {}
      },
      protectionGroups: ({ node, term, track, read }, call) => {
        this.#checkTerm(term)
        this.#checkJoined(node, call)
        return { groups: this.#groups.track(node, track, read) }
      },
      errorReport: (report) => this.#errorReport(report),
      errorClear: ({ component }) => this.#errorClear(component),
      inSyncChange: ({ csi, epoch, node, inSync }) => this.#changeInSync(csi, epoch, node, inSync),
    })
    const management = managementHandlers({
      status: () => this.#status(),
      stateOf: (entity) => this.#options.engine.stateOf(this.#model, this.#loop.state, entity),
      stateWords: (entity) => this.#options.engine.stateWords(this.#model, entity),
      why: (entity) => this.#options.engine.why(this.#model, this.#loop.state, entity),
      term: this.#options.term,
      history: this.#history,
      waiters: this.#waiters,
      admin: (request) => this.#admin(request),
      stopCluster: () => this.#stopCluster(),
      applyModel: (request) => this.#applyModel(request),
    })
    dispatcher.install(Management, management)
  }

  #checkTerm(term: number): void {
    if (term === this.#options.term) return
    const message = `this director holds term ${this.#options.term}, not ${term}`
    throw new SdkError('STALE_TERM', message)
  }

  #checkJoined(node: string, call: IncomingCall): void {
    if (this.#links.get(node)?.caller === call.caller) return
    throw new SdkError('INVALID_STATE', `node ${node} has to join first`)
  }

  #errorReport({
    component,
    recovery,
    cause,
  }: {
    readonly component: string
    readonly recovery: Recovery
    readonly cause: string
  }): Record<string, never> {
    const node = this.#model.components.get(component)?.node
    if (node === undefined) throw new SdkError('NOT_EXIST', `there is no component ${component}`)
    const link = this.#links.get(node)
    if (link === undefined) throw new SdkError('TRY_AGAIN', `node ${node} is not there`)
    link.push({ kind: 'errorReport', component, recovery, why: cause })
    link.flush()
    return {}
  }

  /** The same as an operator's repair of the component, asked by a component. */
  #errorClear(component: string): Promise<Record<string, never>> {
    if (!this.#model.components.has(component)) {
      throw new SdkError('NOT_EXIST', `there is no component ${component}`)
    }
    this.#changeCount += 1
    const id = `error-clear:${this.#options.term}:${this.#changeCount}`
    return this.#admin({ id, operation: 'repair', entity: component })
  }

  async #changeInSync(
    csi: string,
    epoch: number,
    nodeId: number,
    inSync: boolean,
  ): Promise<Record<string, never>> {
    if (this.#clusterStop !== null) throw new SdkError('TRY_AGAIN', 'the cluster stops')
    const node = [...this.#model.nodes.values()].find((one) => one.id === nodeId)?.name
    if (node === undefined) throw new SdkError('INVALID_PARAMETER', `no node has the id ${nodeId}`)
    this.#changeCount += 1
    const id = `${OWN_ID_PREFIX}${this.#options.term}:${this.#changeCount}`
    const answer = this.#operations.wait(id)
    this.#post({ kind: 'inSyncChange', id, csi, epoch, node, inSync })
    return answer
  }

  #admin(
    request: Omit<Extract<EngineEvent, { kind: 'admin' }>, 'kind'>,
  ): Promise<Record<string, never>> {
    return this.#request(request.id, () => ({ kind: 'admin', ...request }))
  }

  /** An operator's request, answered when the engine answers its id. */
  #request(id: string, event: () => EngineEvent): Promise<Record<string, never>> {
    if (id === '' || id.length > ID_LENGTH_MAX || id.startsWith(OWN_ID_PREFIX)) {
      const message = `id ${id.slice(0, ID_LENGTH_MAX)}: 1 to ${ID_LENGTH_MAX} characters are allowed`
      return Promise.reject(new SdkError('INVALID_PARAMETER', message))
    }
    const kept = this.#records.answerOf(id)
    const again = this.#operations.has(id)
    if (kept === undefined && this.#clusterStop !== null) {
      return Promise.reject(new SdkError('TRY_AGAIN', 'the cluster stops'))
    }
    const answer = this.#operations.wait(id)
    if (kept !== undefined) this.#operations.answer(id, kept)
    else if (!again) this.#post(event())
    return answer
  }

  #applyModel(request: ApplyRequest): Promise<{ version: number; changes: string[] }> {
    const { engine, parseModel, node } = this.#options
    return applyModel(request, {
      node,
      version: () => this.#modelVersion,
      parse: parseModel,
      check: (after) => engine.checkChange(this.#model, this.#loop.state, after),
      records: () => this.#records.engineRecords(),
      request: (id, event) => this.#request(id, event),
    })
  }

  get #modelVersion(): number {
    return this.#source?.version ?? 0
  }

  #status(): ClusterStatus {
    const { engine, node, term } = this.#options
    const status = engine.status(this.#model, this.#loop.state)
    return { ...status, cluster: this.#model.cluster, director: { node, term } }
  }

  #stopCluster(): Promise<void> {
    if (this.#clusterStop === null) {
      this.#log.info('the cluster stops')
      this.#clusterStop = new ClusterStop({
        model: this.#model,
        running: this.#running,
        status: this.#status(),
        ownNode: this.#options.node,
        links: this.#links,
        log: this.#log,
      })
      this.#loop.stop()
      this.#operations.close('the cluster stops')
    }
    return this.#clusterStop.done
  }

  // --- commands ---

  #perform(commands: readonly OutgoingCommand[]): void {
    const changedNames: NameEntry[] = []
    const outgoing: NodeCommand[] = []
    for (const command of commands) {
      switch (command.kind) {
        case 'useModel':
          this.#useModel(command)
          break
        case 'publishName':
          this.#publish(command, changedNames)
          break
        case 'notify':
          this.#history.add(command.notification)
          break
        case 'answer':
          this.#operations.answer(command.id, command.result)
          break
        default:
          outgoing.push(...this.#launches.admit(command))
      }
    }
    this.#sendAll(outgoing)
    if (changedNames.length > 0) this.#tell(changedNames)
    this.#waiters.check()
    this.#groups.check()
  }

  /**
   * One agent tells the clients of all nodes at once: if possible not that of a new active one, which has its role to
   * give, and whose word would come milliseconds later.
   */
  #tell(changed: readonly NameEntry[]): void {
    const busy = new Set(changed.map(({ address }) => address?.node))
    const nodes = [...this.#links.keys()]
    const teller = nodes.find((node) => !busy.has(this.#model.nodes.get(node)?.id)) ?? nodes[0]
    for (const [node, link] of this.#links) link.sendNames(changed, { isEcho: node !== teller })
  }

  /** Everybody here gets the model before any command that follows; nodes that are in it no more end. */
  #useModel({ model, source, why }: Extract<OutgoingCommand, { kind: 'useModel' }>): void {
    this.#source = source
    this.#running.useModel(model)
    this.#options.onModel(model, source)
    for (const [node, link] of this.#links) {
      link.push({ kind: 'useModel', source, why })
      if (!model.nodes.has(node)) link.push({ kind: 'stopNode', why: `${node} left the model` })
      link.flush()
    }
    const known = new Set([...model.csis.values()].map((csi) => csi.logicalName)).add(DIRECTOR_NAME)
    if (!this.#names.keepOnly((name) => known.has(name))) return
    for (const link of this.#links.values()) link.sendNames(this.#names.entries, { complete: true })
  }

  /** A command for a node that is not here is dropped: the engine hears of the node's end, or of its facts. */
  #sendAll(commands: readonly NodeCommand[]): void {
    const touched = new Set<AgentLink>()
    for (const command of commands) {
      const link = this.#links.get(command.node)
      if (link === undefined || this.#clusterStop !== null) continue
      if (command.kind === 'instantiate') this.#running.launching(command.component)
      link.push(agentCommandOf(command))
      touched.add(link)
    }
    for (const link of touched) link.flush()
  }

  #publish(command: Extract<OutgoingCommand, { kind: 'publishName' }>, changed: NameEntry[]): void {
    const { name, csi, address, epoch } = command
    if (name === DIRECTOR_NAME) return
    const entry = { name, csi, address, epoch }
    if (this.#names.set(entry)) changed.push(entry)
  }
}

function diedText(node: string, { pid }: ProcessIdentity): string {
  return `node process ${pid} of ${node} died`
}
