import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import type { IncomingCall, IocAddress, PresenceEvent, Rmd } from '../../ioc/index.ts'
import { Cpm, CpmCallbacks, Dispatcher } from '../../runtime/internal.ts'
import type { RegisteredNamesNews } from '../../runtime/internal.ts'
import { type AgentCommand, AgentCommands, type AgentEvent } from '../director/interface.ts'
import { ANY_INCARNATION } from '../director/running-table.ts'
import type { Model, NodeModel } from '../model/model.ts'
import type { ModelSource } from '../model/source.ts'
import { cpmHandlers } from './agent-cpm.ts'
import { DirectorLink } from './agent-director-link.ts'
import { AgentGroups } from './agent-groups.ts'
import { AgentHealth, type HealthPorts } from './agent-health.ts'
import { AgentMonitoring } from './agent-monitoring.ts'
import { AgentNames } from './agent-names.ts'
import type { CallbackClient, RunnerPorts } from './component-ports.ts'
import { ComponentRunner } from './component-runner.ts'
import type { ProcessTableView } from './passive-monitor.ts'

/** Time for kills and clean-up beyond the terminate time-outs, when the node stops. */
const STOP_GRACE_MS = 3_000

/** What the agent needs from its node's checkpoint replicas. */
export interface CheckpointPort {
  /** @returns false when the call is not one of the checkpoint's. */
  dispatch(call: IncomingCall): boolean
  becomePrimary(grant: ReplicaGrant): void
  setReplicas(grant: ReplicaGrant): void
  becomeNone(csi: string): void
  dropConnection(caller: string): void
}

/** Who replicates one CSI under one epoch; nodes by number. */
export interface ReplicaGrant {
  readonly csi: string
  readonly epoch: number
  readonly replicas: readonly number[]
  readonly inSync: readonly number[] | null
}

/** What the agent takes from the operating system, by way of its node process. */
export type AgentSystem = Pick<RunnerPorts, 'launch' | 'runCommand' | 'isDead' | 'crashText'> &
  HealthPorts & { readonly processes: ProcessTableView }

export interface AgentOptions {
  readonly model: Model
  /** Version of the model that the agent has now. */
  readonly modelVersion: () => number
  /** Takes a newer model in, for the whole node. @throws SdkError when it cannot be read here. */
  readonly takeModel: (source: ModelSource) => Model
  readonly node: NodeModel
  readonly pid: number
  readonly rmd: Rmd
  readonly checkpoint: CheckpointPort
  /** Other services of the node. @returns false when the call is none of theirs. */
  readonly dispatch?: (call: IncomingCall) => boolean
  readonly system: AgentSystem
  /** Number of the first life; above those of every earlier life of this node. */
  readonly firstIncarnation: number
  readonly log: Logger
  /** The director wants this node process to end; with `restart` it is expected back. */
  readonly onEnd: (how: 'stop' | 'restart', why: string) => void
}

/**
 * The node's agent: launches its components, passes roles on to them, watches that they live, and tells the director.
 * It decides nothing about roles. When no director can be heard its components go on serving under the roles they have.
 *
 * Commands are accepted from the director of the present term only; an older one gets STALE_TERM.
 */
export class Agent {
  readonly #options: AgentOptions
  readonly #log: Logger
  readonly #runners = new Map<string, ComponentRunner>()
  readonly #callers = new Map<string, ComponentRunner>()
  readonly #dispatcher: Dispatcher
  readonly #director: DirectorLink
  readonly #names: AgentNames
  readonly #groups: AgentGroups
  readonly #health: AgentHealth
  readonly #monitoring: AgentMonitoring
  #nodeIds: ReadonlyMap<string, number> = new Map()
  readonly #ports: RunnerPorts
  #model: Model
  #incarnation: number
  #invocation = 0
  #highestTerm = 0
  #stopping: Promise<void> | null = null

  constructor(options: AgentOptions) {
    const { model, node, rmd, system, log } = options
    this.#options = options
    this.#model = model
    this.#log = log.child({ part: 'agent' })
    this.#incarnation = options.firstIncarnation
    this.#names = new AgentNames({
      callbacks: (caller) => this.#callbacks(caller),
      log: this.#log,
    })
    this.#groups = new AgentGroups({
      callbacks: (caller) => this.#callbacks(caller),
      ask: (track, read) => this.#director.protectionGroups(track, read),
      log: this.#log,
    })
    this.#health = new AgentHealth(
      { ...system, nextInvocation: () => (this.#invocation -= 1) },
      this.#log,
    )
    this.#monitoring = new AgentMonitoring(
      {
        nowMs: system.nowMs,
        processes: system.processes,
        nextInvocation: () => (this.#invocation -= 1),
        callbacks: (caller) => this.#callbacks(caller),
      },
      this.#log,
    )
    this.#director = new DirectorLink({
      rmd,
      node: node.name,
      nodeId: node.id,
      pid: options.pid,
      modelVersion: options.modelVersion,
      log: this.#log,
      facts: () => this.#facts(),
      onJoined: (names) => this.#onJoined(names),
    })
    this.#ports = this.#runnerPorts()
    this.#useComponents(model)
    this.#dispatcher = new Dispatcher(this.#log)
    this.#install()
  }

  /** Begins to serve calls and to watch components. */
  start(): void {
    const { rmd, checkpoint, dispatch } = this.#options
    rmd.onPresence((event) => this.#onPresence(event))
    this.#health.start(this.#runners.values())
    rmd.serve((call) => {
      if (checkpoint.dispatch(call) || dispatch?.(call) === true) return
      this.#dispatcher.serve(call)
    })
  }

  /** A director leads under `term` and listens at `address`. */
  follow(address: IocAddress, term: number): void {
    this.#highestTerm = Math.max(this.#highestTerm, term)
    this.#director.follow(address, term)
  }

  /** The director cannot be heard. Components go on. */
  directorLost(): void {
    this.#director.lose()
    this.#names.directorLost()
  }

  /** There is a director, and it cannot be heard. */
  directorCut(): void {
    this.#director.lose()
  }

  /** True while a director has taken this agent in. */
  get isDirected(): boolean {
    return this.#director.isJoined
  }

  /** The component behind a connection; null for other programs. */
  componentOf(caller: string): string | null {
    return this.#callers.get(caller)?.model.name ?? null
  }

  /** Names that components registered: programs of this node are told. */
  namesRegistered(news: RegisteredNamesNews): void {
    this.#names.register(news)
  }

  /** For the checkpoint's replicas. @throws SdkError STALE_EPOCH, TRY_AGAIN. */
  changeInSync(change: Parameters<DirectorLink['changeInSync']>[0]): Promise<void> {
    return this.#director.changeInSync(change)
  }

  /** A beat of a component's watchdog thread. */
  onHeartbeat(component: string, beat: number, stampAgeMs: number): void {
    this.#health.onHeartbeat(component, beat, stampAgeMs)
  }

  /**
   * Goes by another model from now on. What runs goes on; changed commands count from the next time they are run.
   * Components that left the model had no process: otherwise the director would not have taken it.
   */
  useModel(model: Model): void {
    this.#model = model
    this.#useComponents(model)
    this.#health.start(this.#runners.values())
  }

  #useComponents(model: Model): void {
    const { node } = this.#options
    this.#nodeIds = new Map([...model.nodes.values()].map(({ name, id }) => [name, id]))
    for (const component of model.components.values()) {
      const runner = this.#runners.get(component.name)
      // One that others act for is wherever they are.
      if (component.node !== node.name && component.mediation === null) continue
      if (runner !== undefined) runner.useModel(component)
      else this.#runners.set(component.name, new ComponentRunner(component, this.#ports, this.#log))
    }
    for (const [name, runner] of this.#runners) {
      const known = model.components.get(name)
      if (known && (known.node === node.name || known.mediation !== null)) continue
      if (runner.phase.kind !== 'idle') runner.terminate(ANY_INCARNATION, 'it left the model')
      this.#runners.delete(name)
    }
  }

  /** A component that others act for belongs to this node's truth only while that happens here. */
  #facts(): ComponentRunner['facts'][] {
    const here = [...this.#runners.values()].filter(
      ({ model, presence }) => model.mediation === null || presence !== 'UNINSTANTIATED',
    )
    return here.map((runner) => runner.facts)
  }

  /** Components that the process behind the connection acts for. */
  #mediatedBy(caller: string): ComponentRunner[] {
    return [...this.#runners.values()].filter(
      ({ model, life }) => model.mediation !== null && life?.caller === caller,
    )
  }

  /** Ends every component in reverse order of instantiation, then stops watching. Repeats share one run. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const levels = new Map<number, ComponentRunner[]>()
    for (const runner of this.#runners.values()) {
      // What others act for goes before them.
      const { mediation } = runner.model
      const instantiationLevel = mediation ? Infinity : runner.model.instantiationLevel
      levels.set(instantiationLevel, [...(levels.get(instantiationLevel) ?? []), runner])
    }
    for (const [, runners] of [...levels].sort((a, b) => b[0] - a[0])) {
      await this.#terminateAll(runners)
    }
    this.#health.stop()
    this.#monitoring.stop()
    this.#director.lose()
    this.#names.close()
    this.#groups.close()
  }

  async #terminateAll(runners: readonly ComponentRunner[]): Promise<void> {
    const timeoutMs = Math.max(0, ...runners.map((runner) => runner.model.terminateTimeoutMs))
    for (const runner of runners) {
      if (runner.phase.kind !== 'idle') runner.terminate(ANY_INCARNATION, 'the node stops')
    }
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs + STOP_GRACE_MS)
    })
    await Promise.race([Promise.all(runners.map((runner) => runner.whenIdle())), late])
    clearTimeout(timer)
  }

  #onJoined(names: Parameters<AgentNames['replace']>[0]): void {
    this.#names.replace(names)
    void this.#groups.renew()
  }

  #emit(event: AgentEvent): void {
    this.#director.report(event)
    // The event leaves at the end of this turn: it does not wait for its line.
    setImmediate(() => this.#log.info({ event }, 'component event'))
  }

  #callbacks(caller: string): CallbackClient {
    return this.#options.rmd.client(CpmCallbacks, { to: { caller } })
  }

  #onPresence(event: PresenceEvent): void {
    if (event.kind !== 'death') return
    const { caller } = event
    this.#names.forget(caller)
    this.#groups.forget(caller)
    this.#callers.get(caller)?.disconnected(caller)
  }

  #runnerPorts(): RunnerPorts {
    const { system, checkpoint, node } = this.#options
    return {
      nodeId: node.id,
      launch: (component, assigned) => system.launch(component, assigned),
      runCommand: (component, command, options) => system.runCommand(component, command, options),
      isDead: (pid) => system.isDead(pid),
      crashText: (component, pid) => system.crashText(component, pid),
      callbacks: (caller) => this.#callbacks(caller),
      becomePrimary: (command) =>
        checkpoint.becomePrimary({
          csi: command.descriptor.csi,
          epoch: command.descriptor.epoch,
          ...this.#numbers(command),
        }),
      releasePrimary: (csi) => checkpoint.becomeNone(csi),
      mediator: (component) => {
        const phase = this.#runners.get(component)?.phase
        if (phase?.kind !== 'running' || phase.life.caller === null) return null
        return { caller: phase.life.caller, address: phase.life.address }
      },
      roleEnded: (component, csi) => {
        const caller = this.#runners.get(component)?.life?.caller
        if (caller == null) return
        for (const runner of this.#mediatedBy(caller)) {
          const { mediation } = runner.model
          if (mediation?.kind === 'proxied' && mediation.csi === csi) runner.abandon()
        }
      },
      running: (component, life) => {
        const runner = this.#runners.get(component)
        if (runner !== undefined) this.#health.registered(runner, life)
      },
      nextIncarnation: () => (this.#incarnation += 1),
      nextInvocation: () => (this.#invocation -= 1),
      isDirected: () => this.isDirected || this.#stopping !== null,
      emit: (event) => this.#emit(event),
      ended: (caller) => {
        if (caller === null) return
        for (const runner of this.#mediatedBy(caller)) runner.abandon()
        this.#callers.delete(caller)
        checkpoint.dropConnection(caller)
      },
    }
  }

  // --- calls ---

  #install(): void {
    const { model, node } = this.#options
    const cpm = cpmHandlers({
      node: node.name,
      nodeId: node.id,
      cluster: model.cluster,
      model: () => this.#model,
      names: this.#names,
      groups: this.#groups,
      health: this.#health,
      monitoring: this.#monitoring,
      elsewhere: this.#director,
      runner: (component) => this.#runners.get(component),
      runnerOf: (caller) => this.#callers.get(caller),
      mediatedBy: (caller) => this.#mediatedBy(caller),
      bind: (caller, runner) => this.#callers.set(caller, runner),
    })
    this.#dispatcher.install(Cpm, cpm)
    this.#dispatcher.install(AgentCommands, {
      commands: ({ term, session, commands }) => {
        this.#checkTerm(term)
        if (session !== this.#director.session) {
          throw new SdkError(
            'TRY_AGAIN',
            `newer facts than those of join ${session} are on the way`,
          )
        }
        for (const command of commands) this.#perform(command)
        return {}
      },
      names: ({ term, names, complete, isEcho }) => {
        this.#checkTerm(term)
        if (complete) this.#names.replace(names)
        else this.#names.merge(names, { isEcho })
        return {}
      },
      protectionGroups: ({ term, groups }) => {
        this.#checkTerm(term)
        this.#groups.receive(groups)
        return {}
      },
    })
  }

  #checkTerm(term: number): void {
    if (term < this.#highestTerm) {
      throw new SdkError('STALE_TERM', `term ${term} is over: ${this.#highestTerm} has begun`)
    }
    if (term !== this.#director.term) {
      throw new SdkError('TRY_AGAIN', `this agent does not follow the director of term ${term}`)
    }
  }

  #perform(command: AgentCommand): void {
    const { kind, why } = command
    if (this.#stopping !== null && kind !== 'terminate' && kind !== 'cleanup') return
    switch (kind) {
      case 'restartNode':
        return this.#options.onEnd('restart', why)
      case 'stopNode':
        return this.#options.onEnd('stop', why)
      case 'useModel':
        if (command.source.version <= this.#options.modelVersion()) return
        this.#log.info({ version: command.source.version, why }, 'another model')
        return this.useModel(this.#options.takeModel(command.source))
      case 'setReplicas': {
        const { csi, epoch } = command
        return this.#options.checkpoint.setReplicas({ csi, epoch, ...this.#numbers(command) })
      }
      default: {
        const runner = this.#runners.get(command.component)
        if (runner === undefined) {
          this.#log.error({ command }, 'a command for a component that this node does not have')
        } else if (isHere(runner, command)) performOn(runner, command)
      }
    }
  }

  #numbers(command: {
    readonly replicas: readonly string[]
    readonly inSync: readonly string[] | null
  }): Pick<ReplicaGrant, 'replicas' | 'inSync'> {
    const numbers = (names: readonly string[]): number[] =>
      names.flatMap((name) => this.#nodeIds.get(name) ?? [])
    const { replicas, inSync } = command
    return { replicas: numbers(replicas), inSync: inSync === null ? null : numbers(inSync) }
  }
}

type ComponentCommand = Extract<AgentCommand, { readonly component: string }>

function performOn(runner: ComponentRunner, command: ComponentCommand): void {
  switch (command.kind) {
    case 'instantiate':
      return runner.instantiate(command)
    case 'terminate':
      return runner.terminate(command.incarnation, command.why)
    case 'cleanup':
      return runner.cleanup(command.incarnation, command.why, command.mediation)
    case 'monitor':
      return runner.monitor(command.incarnation, command.monitored)
    case 'csiSet':
      return runner.csiSet(command)
    case 'csiRemove':
      return runner.csiRemove(command)
    case 'errorReport':
      return runner.fail(command.why, command.recovery)
  }
}

/**
 * Nothing is known here of a component that nobody of this node acts for: no answer about it would be true. An order
 * that says who is to act for it makes it known.
 */
function isHere({ model, phase }: ComponentRunner, command: ComponentCommand): boolean {
  if (model.mediation === null || phase.kind !== 'idle') return true
  return 'mediation' in command && command.mediation !== null
}
