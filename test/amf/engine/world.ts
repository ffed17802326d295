// Longer than usual: the agents of every kind of component are one world, checked as a whole.
import {
  checkInvariants,
  initialState,
  nextDeadlineMs,
  stateOf,
  step,
} from '../../../amf/engine/engine.ts'
import type {
  AdminOperation,
  AdminResult,
  ComponentFacts,
  EngineCommand,
  EngineEvent,
  EngineState,
  PersistedRecord,
  StandbyPlace,
} from '../../../amf/engine/engine.ts'
import type { Model } from '../../../amf/model/model.ts'
import type { HaReadiness, HaState, Recovery } from '../../../runtime/internal.ts'

/** Longer than usual: a whole small cluster in one place. */

/** One component as it really is on its node: the truth that the engine only hears of. */
interface Process {
  presence:
    | 'UNINSTANTIATED'
    | 'INSTANTIATING'
    | 'INSTANTIATED'
    | 'TERMINATING'
    | 'INSTANTIATION_FAILED'
    | 'TERMINATION_FAILED'
  incarnation: number
  /** Who acts for it, and where, for a component without a process of its own. */
  mediator: { readonly component: string; readonly node: string } | null
  readonly assignments: Map<
    string,
    {
      haState: HaState
      asked: HaState
      epoch: number
      confirmed: boolean
      invocation: number
      told?: StandbyPlace
    }
  >
  monitored?: boolean
  readonly haReadiness: Map<string | null, HaReadiness>
}

/** An answer of an agent that has not reached the director yet. */
interface Answer {
  readonly node: string
  readonly event: EngineEvent
  readonly component: string
  readonly does: string
}

type SetCommand = Extract<EngineCommand, { kind: 'csiSet' }>

/** What goes wrong in a world: decides for each thing that an agent is about to do. */
export interface Mischief {
  /** The agent does this and says nothing until `release`. */
  holds(component: string, does: string): boolean
}

/**
 * A cluster of simulated agents around the engine. Commands take effect at once on the agents; their answers wait in
 * `answers` and are delivered one at a time. After every step the invariants are checked, on the engine's state and on
 * the agents' truth.
 */
export class World {
  model: Model
  state: EngineState
  nowMs = 0
  term = 0
  readonly store = new Map<string, unknown>()
  readonly answers: Answer[] = []
  readonly log: string[] = []
  readonly results = new Map<string, AdminResult>()
  readonly names = new Map<string, string | null>()
  readonly processes = new Map<string, Process>()
  readonly nodesUp = new Set<string>()
  /** By service instance and number of the unit: the take-over rank that its component was told. */
  readonly standbyRanks = new Map<string, Map<string, number>>()
  /** Steps of all worlds of this process. */
  static steps = 0
  readonly #mischief: Mischief
  readonly #epochs = new Map<string, number>()
  /** The director dies at its next step: what it persists is durable, what it commands never leaves. */
  crashing = false
  readonly #reported: EngineEvent[] = []
  #incarnations = 0
  #ids = 0
  #modelVersion = 0

  constructor(model: Model, mischief: Mischief = { holds: () => false }) {
    this.model = model
    this.state = initialState(model)
    this.#mischief = mischief
    for (const name of model.components.keys()) this.processes.set(name, newProcess())
  }

  /** The same world once more: what happens to one does not happen to the other. */
  fork(): World {
    const copy = new World(this.model, this.#mischief)
    copy.state = this.state
    copy.nowMs = this.nowMs
    copy.term = this.term
    for (const [key, value] of this.store) copy.store.set(key, value)
    copy.answers.push(...this.answers)
    for (const [id, result] of this.results) copy.results.set(id, result)
    copy.processes.clear()
    for (const [name, process] of this.processes) {
      copy.processes.set(name, {
        ...process,
        assignments: new Map([...process.assignments].map(([csi, held]) => [csi, { ...held }])),
        haReadiness: new Map(process.haReadiness),
      })
    }
    for (const node of this.nodesUp) copy.nodesUp.add(node)
    for (const [csi, epoch] of this.#epochs) copy.#epochs.set(csi, epoch)
    copy.#reported.push(...this.#reported)
    copy.#incarnations = this.#incarnations
    copy.#ids = this.#ids
    copy.#modelVersion = this.#modelVersion
    return copy
  }

  /** A director takes office: it knows the records, and hears the agents that are up. */
  startDirector(): void {
    this.term += 1
    this.state = initialState(this.model)
    const records: PersistedRecord[] = [...this.store].map(([key, value]) => ({ key, value }))
    this.step({ kind: 'directorStarted', term: this.term, records })
    for (const node of [...this.nodesUp]) this.join(node)
  }

  /** The node's agent connects and tells the truth. Answers that wait there are part of it already, or follow. */
  join(node: string): void {
    this.nodesUp.add(node)
    this.step({ kind: 'nodeJoined', node, facts: this.facts(node) })
  }

  facts(node: string): ComponentFacts[] {
    return [...this.model.components.values()]
      .filter(({ name, node: own, mediation }) =>
        mediation ? this.process(name).mediator?.node === node : own === node,
      )
      .map(({ name }) => {
        const process = this.process(name)
        const isUp = process.presence === 'INSTANTIATED' || process.presence === 'TERMINATING'
        return {
          component: name,
          presence: process.presence,
          pid: isUp ? process.incarnation : null,
          incarnation: process.incarnation,
          address: isUp ? { node: 1, port: 100 + process.incarnation } : null,
          mediator: process.mediator?.component ?? null,
          assignments: [...process.assignments].map(([csi, { asked, epoch, confirmed, told }]) => ({
            csi,
            haState: asked,
            epoch,
            confirmed,
            told: told ?? null,
          })),
          monitored: process.monitored === true,
          haReadiness: [...process.haReadiness].map(([csi, state]) => ({ csi, state })),
        }
      })
  }

  process(name: string): Process {
    const process = this.processes.get(name)
    if (!process) throw new Error(`no component ${name}`)
    return process
  }

  nodeFails(node: string): void {
    this.nodesUp.delete(node)
    for (const component of this.model.components.values()) {
      if (component.node !== node || component.mediation?.kind === 'proxied') continue
      this.processes.set(component.name, newProcess())
    }
    for (const component of this.model.components.values()) {
      if (component.node === node) this.#abandon(component.name)
    }
    this.#drop((answer) => answer.node === node)
    // A node comes back as another process: nothing of the old one's connection can arrive any more.
    this.#reported.length = 0
    this.step({ kind: 'nodeGone', node, cause: `${node} died` })
  }

  componentFails(name: string, recovery: Recovery = 'noRecommendation'): void {
    const process = this.process(name)
    const node = this.model.components.get(name)?.node ?? ''
    const at = this.model.components.get(name)?.mediation ? (process.mediator?.node ?? '') : node
    if (process.presence === 'UNINSTANTIATED' || !this.nodesUp.has(at)) return
    const { incarnation } = process
    process.presence = 'UNINSTANTIATED'
    process.assignments.clear()
    process.haReadiness.clear()
    this.#drop((answer) => answer.component === name)
    this.#abandon(name)
    const cause = `${name} died`
    this.step({ kind: 'componentFailed', component: name, incarnation, recovery, cause })
  }

  /** The component says how far it is able to take a CSI; null: all of them. */
  haReadiness(component: string, csi: string | null, state: HaReadiness): void {
    const process = this.process(component)
    const node = this.model.components.get(component)?.node ?? ''
    if (process.presence !== 'INSTANTIATED' || !this.nodesUp.has(node)) return
    if (csi === null) process.haReadiness.clear()
    process.haReadiness.set(csi, state)
    const { incarnation } = process
    this.step({ kind: 'haReadiness', component, incarnation, csi, state })
  }

  admin(operation: AdminOperation, entity: string): string {
    this.#ids += 1
    const id = `${operation}-${String(this.#ids)}`
    this.step({ kind: 'admin', id, operation, entity })
    return id
  }

  inSync(csi: string, node: string, inSync: boolean, epoch?: number): string {
    this.#ids += 1
    const id = `sync-${String(this.#ids)}`
    const present = this.csiState(csi).epoch
    this.step({ kind: 'inSyncChange', id, csi, node, inSync, epoch: epoch ?? present })
    return id
  }

  /** An operator gives the cluster another model. @returns the id of the answer. */
  changeModel(model: Model): string {
    this.#ids += 1
    this.#modelVersion += 1
    const id = `apply-${String(this.#ids)}`
    const source = { text: '', path: '', version: this.#modelVersion }
    const records = [...this.store].map(([key, value]) => ({ key, value }))
    this.step({ kind: 'modelChange', id, model, source, records })
    return id
  }

  csiState(csi: string): { readonly epoch: number; readonly inSync: readonly string[] | null } {
    for (const group of this.state.groups) {
      const found = group.csis.get(csi)
      if (found) return found
    }
    throw new Error(`no CSI ${csi}`)
  }

  /** Delivers everything, those that are held excepted, until nothing waits. */
  settle(limit = 1_000): void {
    for (let count = 0; this.deliverNext(); count += 1) {
      if (count > limit) throw new Error('the world does not come to rest')
    }
  }

  deliverNext(index = 0): boolean {
    const free = this.answers.filter(
      (answer) => !this.#mischief.holds(answer.component, answer.does),
    )
    const answer = free[index % Math.max(1, free.length)]
    if (!answer) return false
    // Answers of one node stay in order.
    const first = free.find((other) => other.node === answer.node) ?? answer
    this.answers.splice(this.answers.indexOf(first), 1)
    this.#happen(first)
    this.#reported.unshift(first.event)
    this.#reported.splice(8)
    this.step(first.event)
    return true
  }

  /** Lets time pass, with the ticks that the engine asks for. */
  advance(ms: number): void {
    const endMs = this.nowMs + ms
    for (let ticks = 0; ; ticks += 1) {
      // A deadline that a tick does not take away would keep a director busy for ever.
      if (ticks > 200) throw new Error(`ticks without end at ${String(this.nowMs)} ms`)
      const dueMs = nextDeadlineMs(this.state)
      if (dueMs === null || dueMs > endMs) break
      this.nowMs = Math.max(this.nowMs, dueMs)
      this.step({ kind: 'tick' })
      const next = nextDeadlineMs(this.state)
      if (next !== null && next <= this.nowMs) throw new Error(`still due at ${String(next)} ms`)
      this.settle()
    }
    this.nowMs = endMs
    this.settle()
  }

  /** Time jumps to the next deadline, and answers stay on their way: they are late. False when nothing is due. */
  tick(): boolean {
    const dueMs = nextDeadlineMs(this.state)
    if (dueMs === null) return false
    this.nowMs = Math.max(this.nowMs, dueMs)
    this.step({ kind: 'tick' })
    return true
  }

  /** The agent did it and its report is lost. */
  lose(index: number): void {
    const answer = this.answers[index % Math.max(1, this.answers.length)]
    if (!answer) return
    this.answers.splice(this.answers.indexOf(answer), 1)
    this.#happen(answer)
  }

  /** An agent reports again what it reported lately. */
  repeat(index: number): void {
    const event = this.#reported[index % Math.max(1, this.#reported.length)]
    if (event) this.step(event)
  }

  /** The component's agent gives up starting it. */
  startFails(component: string): void {
    const process = this.process(component)
    if (process.presence !== 'INSTANTIATING') return
    process.presence = 'INSTANTIATION_FAILED'
    process.assignments.clear()
    this.#drop((answer) => answer.component === component)
    this.step({ kind: 'instantiationFailed', component, cause: `${component} exits at once` })
  }

  /** The component survives its clean-up. A second attempt works. */
  stopFails(component: string): void {
    const process = this.process(component)
    if (process.presence !== 'TERMINATING') return
    process.presence = 'TERMINATION_FAILED'
    this.#drop((answer) => answer.component === component)
    this.step({ kind: 'cleanupFailed', component, cause: `${component} survives SIGKILL` })
  }

  /** Nodes that the present active one keeps replicas on; none while nobody is ACTIVE. */
  replicaNodes(csi: string): readonly string[] {
    for (const group of this.state.groups) {
      const found = group.csis.get(csi)
      const holder = found?.grants[0]
      const known = holder && this.processes.get(holder.component)?.assignments.get(csi)
      if (found && known?.confirmed === true && known.haState === 'ACTIVE') return found.replicas
    }
    return []
  }

  step(event: EngineEvent): void {
    World.steps += 1
    const result = step(this.model, this.state, event, this.nowMs)
    this.state = result.state
    for (const command of result.commands) {
      // The model is durable with the records: the next director has it.
      const isDurable = command.kind === 'persist' || command.kind === 'useModel'
      if (isDurable || !this.crashing) this.#perform(command)
    }
    const broken = [...checkInvariants(this.model, this.state), ...this.truthBroken()]
    if (broken.length > 0) throw new Error(`after ${JSON.stringify(event)}:\n${broken.join('\n')}`)
  }

  stateOf(entity: string): Readonly<Record<string, string>> | undefined {
    return stateOf(this.model, this.state, entity)?.states
  }

  /** I2 on the agents' truth: no two processes hold ACTIVE for one single-active CSI. */
  truthBroken(): string[] {
    const broken: string[] = []
    for (const csi of this.model.csis.keys()) {
      const instance = this.model.serviceInstances.get(
        this.model.csis.get(csi)?.serviceInstance ?? '',
      )
      const sg = this.model.serviceGroups.get(instance?.serviceGroup ?? '')
      if (sg?.redundancy === 'N-way-active') continue
      const holders = [...this.processes].filter(([, process]) => {
        const role = process.assignments.get(csi)?.haState
        return role === 'ACTIVE' || role === 'QUIESCING'
      })
      if (holders.length > 1) {
        broken.push(`truth: ${holders.map(([name]) => name).join(' and ')} are ACTIVE for ${csi}`)
      }
    }
    return broken
  }

  /** What leaves the model has no process; what joins it starts with none. */
  #useModel(model: Model): void {
    for (const [name, process] of this.processes) {
      const moved = model.components.get(name)?.node !== this.model.components.get(name)?.node
      if (!moved) continue
      if (process.presence !== 'UNINSTANTIATED' && process.presence !== 'INSTANTIATION_FAILED') {
        throw new Error(`${name} left its node while it was ${process.presence}`)
      }
      this.processes.delete(name)
    }
    for (const name of model.components.keys()) {
      if (!this.processes.has(name)) this.processes.set(name, newProcess())
    }
    this.#drop(({ component }) => !this.processes.has(component))
    for (const node of this.nodesUp) if (!model.nodes.has(node)) this.nodesUp.delete(node)
    this.model = model
  }

  /** It acts for others no more: a proxied one lives on, a contained one does not. `csi`: for that one only. */
  #abandon(mediator: string, csi?: string): void {
    for (const { name, mediation } of this.model.components.values()) {
      const process = this.process(name)
      if (process.mediator?.component !== mediator || (csi ?? mediation?.csi) !== mediation?.csi) {
        continue
      }
      if (mediation?.kind === 'proxied') process.mediator = null
      else if (csi === undefined) this.processes.set(name, newProcess())
      else continue
      this.#drop((answer) => answer.component === name)
    }
  }

  #drop(which: (answer: Answer) => boolean): void {
    for (const answer of this.answers.filter(which)) {
      this.answers.splice(this.answers.indexOf(answer), 1)
    }
  }

  #perform(command: EngineCommand): void {
    switch (command.kind) {
      case 'persist':
        if (command.record.value === null && !command.record.key.startsWith('insync/')) {
          this.store.delete(command.record.key)
        } else this.store.set(command.record.key, structuredClone(command.record.value))
        return
      case 'answer':
        this.results.set(command.id, command.result)
        this.log.push(
          `answer ${command.id.split('-').slice(0, -1).join('-')}: ${command.result.ok ? 'ok' : command.result.code}`,
        )
        return
      case 'notify': {
        const { kind, entity, to } = command.notification
        if (kind === 'alarmRaised' || kind === 'alarmCleared' || kind === 'recovery') {
          this.log.push(`${kind} ${entity} ${to}`)
        }
        return
      }
      case 'useModel':
        this.#useModel(command.model)
        return
      case 'publishName':
        this.names.set(command.name, command.component)
        return
      case 'setReplicas':
        return
      case 'restartNode':
        this.log.push(`restartNode ${command.node}`)
        return
      default:
        if (this.nodesUp.has(command.node)) this.#order(command)
    }
  }

  #order(
    command: Extract<EngineCommand, { component: string; node: string }> & { kind: string },
  ): void {
    const { component } = command
    const process = this.process(component)
    if (command.kind === 'instantiate') {
      const { mediation, descriptor } = command as Extract<EngineCommand, { kind: 'instantiate' }>
      const by = mediation ? ` by ${mediation.mediator}` : ''
      this.log.push(`${mediation?.kept ? 'adopt' : 'instantiate'} ${component}${by}`)
      if (mediation) {
        process.mediator = { component: mediation.mediator, node: command.node }
        if (mediation.kept) {
          process.incarnation = mediation.incarnation
          this.#checkKept(component, process, mediation.kept)
        }
      }
      if (process.presence === 'TERMINATING' || process.presence === 'TERMINATION_FAILED') return
      if (process.presence === 'UNINSTANTIATED' || process.presence === 'INSTANTIATION_FAILED') {
        this.#incarnations += 1
        process.incarnation = mediation?.incarnation ?? this.#incarnations
        process.presence = 'INSTANTIATING'
        if (descriptor) this.#instantiateActive(component, descriptor)
      }
      this.#drop((answer) => answer.component === component && answer.does === 'instantiate')
      const { incarnation } = process
      const address = { node: 1, port: 100 + incarnation }
      const event: EngineEvent = {
        kind: 'componentRegistered',
        component,
        incarnation,
        pid: incarnation,
        address,
      }
      this.#answer(command.node, component, 'instantiate', event)
      return
    }
    if (!('incarnation' in command)) return
    const order = 'mediation' in command ? command.mediation : null
    if (order) {
      const { mediator } = order as { readonly mediator: string }
      process.mediator = { component: mediator, node: command.node }
      process.incarnation = command.incarnation as number
    }
    if (command.incarnation !== process.incarnation) return
    if (command.kind === 'terminate' || command.kind === 'cleanup') {
      this.log.push(`${command.kind} ${component}`)
      if (process.presence !== 'UNINSTANTIATED') process.presence = 'TERMINATING'
      this.#drop((answer) => answer.component === component)
      const { incarnation } = process
      this.#answer(command.node, component, command.kind, {
        kind: 'componentTerminated',
        component,
        incarnation,
      })
    } else if (command.kind === 'monitor') {
      const { monitored } = command as Extract<EngineCommand, { kind: 'monitor' }>
      this.log.push(`${monitored ? 'AM_START' : 'AM_STOP'} ${component}`)
      const { incarnation } = process
      const event = { kind: 'monitoring', component, incarnation, monitored } as const
      this.#answer(command.node, component, 'monitor', event)
    } else if (command.kind === 'csiSet') this.#csiSet(command as SetCommand)
    else if (command.kind === 'csiRemove')
      this.#csiRemove(command as Extract<EngineCommand, { kind: 'csiRemove' }>)
  }

  #csiSet(command: SetCommand): void {
    const { component, haState, descriptor, incarnation, invocation } = command
    const { csi, flags, transition, activeComponent, epoch } = descriptor
    const detail = [flags, transition, activeComponent].filter((text) => text !== null).join(' ')
    this.log.push(`${component} ${csi} ${haState} (${detail})`)
    const process = this.process(component)
    if (haState === 'ACTIVE') this.#checkGrant(command)
    this.#noteRank(component, csi, descriptor.standbyRank)
    if (process.presence !== 'INSTANTIATED') return
    const before = process.assignments.get(csi)
    const isMediated = process.mediator !== null
    if ((flags === 'ADD_ONE') !== (before === undefined) && this.term === 1 && !isMediated) {
      throw new Error(
        `${component} got ${flags} for ${csi}, which it ${before ? 'has' : 'has not'}`,
      )
    }
    const known = before?.haState ?? null
    if (haState === 'STANDBY' && (known === 'ACTIVE' || known === 'QUIESCING')) {
      throw new Error(`${component} was asked to go from ${String(known)} to STANDBY for ${csi}`)
    }
    if (this.model.components.get(component)?.preInstantiable === false) {
      throw new Error(`${component} is not pre-instantiable and was told ${haState}`)
    }
    // A role grows when it is taken and shrinks when it is confirmed: the dangerous end of each counts as the truth.
    const now = haState === 'ACTIVE' ? 'ACTIVE' : (known ?? haState)
    process.assignments.set(csi, {
      haState: now,
      asked: haState,
      epoch,
      confirmed: false,
      invocation,
      ...(haState === 'STANDBY'
        ? { told: { standbyRank: descriptor.standbyRank, activeComponent } }
        : {}),
    })
    const event: EngineEvent = {
      kind: 'csiSetDone',
      component,
      incarnation,
      csi,
      haState,
      invocation,
      complete: true,
    }
    this.#answer(command.node, component, haState, event)
  }

  /** What may be ACTIVE is not called anything else before its new proxy. */
  #checkKept(
    component: string,
    process: Process,
    kept: readonly { readonly csi: string; readonly haState: HaState }[],
  ): void {
    for (const [csi, { haState }] of process.assignments) {
      const told = kept.find((one) => one.csi === csi)?.haState
      if (haState !== 'ACTIVE' || told === 'ACTIVE' || told === 'QUIESCING') continue
      throw new Error(`${component} is ACTIVE for ${csi}, its proxy was told ${String(told)}`)
    }
  }

  #instantiateActive(component: string, descriptor: SetCommand['descriptor']): void {
    const node = this.model.components.get(component)?.node ?? ''
    this.#checkGrant({ node, component, inSync: null, descriptor })
    const { csi, epoch } = descriptor
    const rest = { epoch, confirmed: false, invocation: 0 }
    this.process(component).assignments.set(csi, { haState: 'ACTIVE', asked: 'ACTIVE', ...rest })
  }

  /** An ACTIVE is new, recorded before it is sent, and goes where everything acknowledged is. */
  #checkGrant({
    node,
    component,
    inSync,
    descriptor: { csi, epoch },
  }: Pick<SetCommand, 'node' | 'component' | 'inSync' | 'descriptor'>): void {
    const sg = this.model.components.get(component)?.serviceGroup ?? ''
    const isShared = this.model.serviceGroups.get(sg)?.redundancy === 'N-way-active'
    if (inSync !== null && !inSync.includes(node) && !isShared) {
      throw new Error(
        `${component} on ${node} got ${csi}, which is in sync on ${inSync.join()} only`,
      )
    }
    if (epoch <= (this.#epochs.get(csi) ?? 0)) {
      throw new Error(`epoch ${String(epoch)} of ${csi} was used before`)
    }
    this.#epochs.set(csi, epoch)
    const record = this.store.get(`grant/${csi}`) as { grants: { epoch: number }[] } | undefined
    const isRecorded = record?.grants.some((grant) => grant.epoch === epoch) === true
    if (!isRecorded) throw new Error(`the grant of ${csi} was not recorded first`)
  }

  #noteRank(component: string, csi: string, rank: number): void {
    const instance = this.model.csis.get(csi)?.serviceInstance ?? ''
    const unit = (this.model.components.get(component)?.serviceUnit ?? '').replace(/^\D+/, '')
    const ranks = this.standbyRanks.get(instance) ?? new Map<string, number>()
    this.standbyRanks.set(instance, ranks.set(unit, rank))
  }

  #csiRemove(command: Extract<EngineCommand, { kind: 'csiRemove' }>): void {
    const { component, csi, incarnation, invocation } = command
    this.log.push(`${component} ${csi} removed`)
    const event: EngineEvent = { kind: 'csiRemoveDone', component, incarnation, csi, invocation }
    this.#answer(command.node, component, 'REMOVED', event)
  }

  #answer(node: string, component: string, does: string, event: EngineEvent): void {
    this.answers.push({ node, component, does, event })
  }

  /** What the agent reports has become true on its node. */
  #happen({ component, event }: Answer): void {
    const process = this.process(component)
    if (event.kind === 'monitoring') process.monitored = event.monitored
    else if (event.kind === 'componentRegistered') {
      process.presence = 'INSTANTIATED'
      // Its agent starts its monitor with it; the engine hears of it a moment later.
      process.monitored = false
      if (this.model.components.get(component)?.amStart) {
        const { incarnation } = event
        const began = { kind: 'monitoring', component, incarnation, monitored: true } as const
        const node = this.model.components.get(component)?.node ?? ''
        this.#answer(node, component, 'monitor', began)
      }
      if (this.model.components.get(component)?.preInstantiable === false) {
        for (const assignment of process.assignments.values()) assignment.confirmed = true
      }
    } else if (event.kind === 'componentTerminated') {
      process.presence = 'UNINSTANTIATED'
      process.assignments.clear()
      process.haReadiness.clear()
      this.#abandon(component)
    } else if (event.kind === 'csiRemoveDone') {
      process.assignments.delete(event.csi)
      this.#abandon(component, event.csi)
    } else if (event.kind === 'csiSetDone') {
      const assignment = process.assignments.get(event.csi)
      if (!assignment) return
      assignment.haState = event.haState === 'QUIESCING' ? 'QUIESCED' : event.haState
      assignment.asked = assignment.haState
      assignment.confirmed = true
      if (assignment.haState !== 'ACTIVE') this.#abandon(component, event.csi)
    }
  }
}

function newProcess(): Process {
  const maps = { assignments: new Map(), haReadiness: new Map() }
  return { presence: 'UNINSTANTIATED', incarnation: 0, mediator: null, ...maps }
}
