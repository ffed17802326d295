import {
  checkInvariants,
  initialState,
  nextDeadlineMs,
  step,
  type AdminOperation,
  type AdminResult,
  type EngineCommand,
  type EngineEvent,
  type EngineState,
  type Notification,
} from '../engine/engine.ts'
import type { ComponentModel, Model } from '../model/model.ts'
import type { Durations } from './durations.ts'
import { ServiceMeter } from './service-meter.ts'
import { TaskQueue } from './task-queue.ts'
import {
  addressOf,
  factsOf,
  NO_PROCESS,
  withRole,
  type VirtualProcess,
  type VirtualRole,
} from './virtual-process.ts'

/** Something that happens at an agent, or is heard of by the director, at its time. */
interface Task {
  readonly atMs: number
  readonly node: string
  /** Of one component, or of the node as a whole. */
  readonly component: string | null
  readonly event: EngineEvent | { readonly kind: 'nodeBack' }
}

type Order = Extract<EngineCommand, { component: string; node: string }>
type Launch = Extract<EngineCommand, { kind: 'instantiate' }>
type Role = Extract<EngineCommand, { kind: 'csiSet' | 'csiRemove' }>

/** What the cluster did: the engine's notifications and operators' answers, at their virtual times. */
export type Happening =
  | { readonly kind: 'notification'; readonly notification: Notification }
  | { readonly kind: 'answer'; readonly id: string; readonly result: AdminResult }

interface ClusterOptions {
  readonly durations: Durations
  /** Told of everything that happens; a copy of a cluster is given its own. */
  readonly onHappening: (atMs: number, happening: Happening) => void
  /** Check the engine's invariants after every step: slow in large models. */
  readonly checks: boolean
}

/** Steps without any time passing, above which the engine cannot be coming to rest. */
const STEPS_AT_ONCE_MAX = 100_000

/**
 * A cluster in virtual time: the real engine, one director that never dies, and simulated agents and components that
 * do at once and without fault what they are told, each thing in its duration. Time passes in `advanceTo` only.
 */
export class VirtualCluster {
  readonly model: Model
  readonly meter: ServiceMeter
  /** Invariants that did not hold, each with its time. Anything here is a defect of the engine. */
  readonly violations: string[] = []
  nowMs = 0
  #state: EngineState
  #processes: Map<string, VirtualProcess>
  #queue = new TaskQueue<Task>()
  readonly #up = new Set<string>()
  readonly #options: ClusterOptions
  #incarnations = 0
  #ids = 0

  constructor(model: Model, options: ClusterOptions) {
    this.model = model
    this.#options = options
    this.#state = initialState(model)
    this.#processes = new Map([...model.components.keys()].map((name) => [name, NO_PROCESS]))
    this.meter = new ServiceMeter(model)
  }

  get state(): EngineState {
    return this.#state
  }

  /** The first director takes office and every node joins. */
  start(): void {
    this.#step({ kind: 'directorStarted', term: 1, records: [] })
    for (const node of this.model.nodes.keys()) this.#join(node)
  }

  /** An independent cluster in the same state; service is metered from now on. */
  copy(options: Partial<ClusterOptions>): VirtualCluster {
    const copy = new VirtualCluster(this.model, { ...this.#options, ...options })
    copy.nowMs = this.nowMs
    copy.#state = this.#state
    copy.#processes = new Map(this.#processes)
    copy.#queue = this.#queue.copy()
    copy.#incarnations = this.#incarnations
    copy.#ids = this.#ids
    for (const node of this.#up) copy.#up.add(node)
    for (const group of this.model.serviceGroups.keys()) copy.#meterGroup(group)
    return copy
  }

  isUp(node: string): boolean {
    return this.#up.has(node)
  }

  process(component: string): VirtualProcess {
    return this.#processes.get(component) ?? NO_PROCESS
  }

  /** Lets time pass, with everything that becomes due. */
  advanceTo(endMs: number): void {
    let stepsAtOnce = 0
    for (let next = this.nextMs; next !== null && next <= endMs; next = this.nextMs) {
      stepsAtOnce = next > this.nowMs ? 0 : stepsAtOnce + 1
      if (stepsAtOnce > STEPS_AT_ONCE_MAX) {
        throw new Error(`the engine does not come to rest at ${String(this.nowMs)} ms`)
      }
      this.nowMs = Math.max(this.nowMs, next)
      if (this.#queue.nextMs !== null && this.#queue.nextMs <= this.nowMs) this.#doNext()
      else this.#step({ kind: 'tick' })
    }
    this.nowMs = Math.max(this.nowMs, endMs)
  }

  /** Lets time pass until nothing is under way or due, at most up to `limitMs`. */
  advanceUntilQuiet(limitMs: number): void {
    for (let next = this.nextMs; next !== null && next <= limitMs; next = this.nextMs) {
      this.advanceTo(Math.max(next, this.nowMs))
    }
  }

  /** When something is due next; null when nothing ever is without an event from outside. */
  get nextMs(): number | null {
    const queued = this.#queue.nextMs
    const deadline = nextDeadlineMs(this.#state)
    return queued === null || (deadline !== null && deadline < queued) ? deadline : queued
  }

  /** The process dies now. False when there is none. */
  failComponent(component: string): boolean {
    const actual = this.process(component)
    if (actual.presence === 'UNINSTANTIATED') return false
    const { incarnation, mediator } = actual
    const { node: own = '', mediation = null } = this.model.components.get(component) ?? {}
    const node = mediation ? mediator?.node : own
    // Nobody sees the end of what nobody acts for.
    if (node === undefined) return false
    this.#put(component, { ...NO_PROCESS, incarnation, mediator })
    this.#queue.remove((task) => task.component === component)
    this.#abandon(component)
    this.#later(this.#options.durations.detectMs, {
      node,
      component,
      event: {
        kind: 'componentFailed',
        component,
        incarnation,
        recovery: 'noRecommendation',
        cause: `${component} died`,
      },
    })
    return true
  }

  /** The node and everything on it is gone, until `bringBack`. False when it is gone already. */
  failNode(node: string): boolean {
    if (!this.#up.has(node)) return false
    this.#loseNode(node, `${node} died`)
    return true
  }

  /** A lost node starts again. False when it is there. */
  bringBack(node: string): boolean {
    if (this.#up.has(node)) return false
    this.#queue.remove((task) => task.node === node && task.event.kind === 'nodeBack')
    const { nodeDetectMs, nodeRestartMs } = this.#options.durations
    // It never joins before the director knows that it was gone.
    const delayMs = Math.max(nodeDetectMs + 1, nodeRestartMs)
    this.#later(delayMs, { node, component: null, event: { kind: 'nodeBack' } })
    return true
  }

  /** An operator asks; the answer comes as a happening with the id that this returns. */
  admin(operation: AdminOperation, entity: string): string {
    this.#ids += 1
    const id = `operator-${String(this.#ids)}`
    this.#step({ kind: 'admin', id, operation, entity })
    return id
  }

  #step(event: EngineEvent): void {
    const result = step(this.model, this.#state, event, this.nowMs)
    this.#state = result.state
    for (const command of result.commands) this.#perform(command)
    if (!this.#options.checks) return
    const at = `${String(this.nowMs)} ms, after ${event.kind}: `
    const broken = [...checkInvariants(this.model, this.#state), ...this.#twoActives()]
    for (const text of broken) {
      if (this.violations.length < 100) this.violations.push(`${at}${text}`)
    }
  }

  /** The promise itself, on what is really there: one process at most may be ACTIVE for a CSI. */
  #twoActives(): string[] {
    const found: string[] = []
    for (const sg of this.model.serviceGroups.values()) {
      if (sg.redundancy === 'N-way-active') continue
      const components = sg.serviceUnits.flatMap((unit) => unit.components)
      for (const { name: csi } of sg.serviceInstances.flatMap((instance) => instance.csis)) {
        const holders = components.filter(({ name }) => {
          const role = this.process(name).roles.get(csi)?.haState
          return role === 'ACTIVE' || role === 'QUIESCING'
        })
        if (holders.length > 1) {
          found.push(`${holders.map(({ name }) => name).join(' and ')} are ACTIVE for ${csi}`)
        }
      }
    }
    return found
  }

  #perform(command: EngineCommand): void {
    const { onHappening } = this.#options
    switch (command.kind) {
      case 'notify':
        onHappening(this.nowMs, { kind: 'notification', notification: command.notification })
        return
      case 'answer':
        onHappening(this.nowMs, { kind: 'answer', id: command.id, result: command.result })
        return
      case 'restartNode':
        if (!this.#up.has(command.node)) return
        this.#loseNode(command.node, `${command.node} restarts: ${command.why}`)
        this.bringBack(command.node)
        return
      case 'instantiate':
      case 'terminate':
      case 'cleanup':
      case 'csiSet':
      case 'csiRemove':
        if (this.#up.has(command.node)) this.#order(command)
        return
      // The director that remembers never dies here, nobody calls by name or writes, and nothing watches from outside.
      case 'persist':
      case 'monitor':
      case 'publishName':
      case 'setReplicas':
      case 'useModel':
    }
  }

  #order(command: Order): void {
    const { component, node } = command
    const actual = this.process(component)
    if (command.kind === 'instantiate') {
      this.#launch(command)
      return
    }
    if (command.kind === 'cleanup' && command.mediation) {
      const { mediator, incarnation } = command.mediation
      const by = { component: mediator, node }
      this.#put(component, { ...actual, incarnation, mediator: by })
    } else if (command.incarnation !== actual.incarnation) return
    const { terminateMs, cleanupMs } = this.#options.durations
    if (command.kind === 'csiSet' || command.kind === 'csiRemove') this.#assign(command)
    else {
      const now = this.process(component)
      const { incarnation } = now
      if (now.presence !== 'UNINSTANTIATED') {
        const roles = [...now.roles].map(([csi, role]) => [csi, silent(role)] as const)
        this.#put(component, { ...now, presence: 'TERMINATING', roles: new Map(roles) })
      }
      this.#queue.remove((task) => task.component === component)
      this.#later(command.kind === 'terminate' ? terminateMs : cleanupMs, {
        node,
        component,
        event: { kind: 'componentTerminated', component, incarnation },
      })
    }
  }

  #launch({ node, component, mediation, descriptor }: Launch): void {
    const actual = this.process(component)
    const by = mediation && { component: mediation.mediator, node }
    if (mediation?.kept) {
      this.#put(component, { ...actual, incarnation: mediation.incarnation, mediator: by })
    } else if (actual.presence === 'TERMINATING' || actual.presence === 'INSTANTIATING') return
    else if (actual.presence === 'UNINSTANTIATED') {
      this.#incarnations += 1
      const incarnation = mediation?.incarnation ?? this.#incarnations
      this.#put(component, {
        presence: 'INSTANTIATING',
        incarnation,
        mediator: by,
        roles: descriptor ? rolesOf(descriptor) : new Map(),
      })
    }
    const { incarnation } = this.process(component)
    this.#later(this.#options.durations.launchMs, {
      node,
      component,
      event: {
        kind: 'componentRegistered',
        component,
        incarnation,
        pid: incarnation,
        address: addressOf(incarnation),
      },
    })
  }

  #assign(command: Role): void {
    const { component, node, incarnation, invocation } = command
    const actual = this.process(component)
    if (actual.presence !== 'INSTANTIATED') return
    const { callbackMs, quiescingMs } = this.#options.durations
    if (command.kind === 'csiRemove') {
      const role = actual.roles.get(command.csi)
      if (role) this.#put(component, withRole(actual, command.csi, silent(role)))
      const { csi } = command
      const event: EngineEvent = { kind: 'csiRemoveDone', component, incarnation, csi, invocation }
      this.#later(callbackMs, { node, component, event })
      return
    }
    const { haState } = command
    const { csi, epoch } = command.descriptor
    const before = actual.roles.get(csi)
    const role: VirtualRole = {
      // A role is there from the asking on, and ends when its end is confirmed.
      haState: haState === 'ACTIVE' ? 'ACTIVE' : (before?.haState ?? haState),
      asked: haState,
      epoch,
      confirmed: false,
      serves: before?.serves === true && (haState === 'ACTIVE' || haState === 'QUIESCING'),
    }
    this.#put(component, withRole(actual, csi, role))
    this.#later(callbackMs + (haState === 'QUIESCING' ? quiescingMs : 0), {
      node,
      component,
      event: {
        kind: 'csiSetDone',
        component,
        incarnation,
        csi,
        haState,
        invocation,
        complete: true,
      },
    })
  }

  #doNext(): void {
    const task = this.#queue.take()
    if (!task) return
    if (task.event.kind === 'nodeBack') this.#join(task.node)
    else {
      if (task.component !== null) this.#becomeTrue(task.component, task.event)
      this.#step(task.event)
    }
  }

  /** What an agent reports has become true on its node. */
  #becomeTrue(component: string, event: EngineEvent): void {
    const actual = this.process(component)
    switch (event.kind) {
      case 'componentRegistered': {
        const isNpi = this.model.components.get(component)?.preInstantiable === false
        const roles = isNpi ? serving(actual.roles) : actual.roles
        this.#put(component, { ...actual, presence: 'INSTANTIATED', roles })
        return
      }
      case 'componentTerminated': {
        const { incarnation, mediator } = actual
        this.#put(component, { ...NO_PROCESS, incarnation, mediator })
        this.#abandon(component)
        return
      }
      case 'csiRemoveDone':
        this.#put(component, withRole(actual, event.csi, null))
        this.#abandon(component, event.csi)
        return
      case 'csiSetDone': {
        const role = actual.roles.get(event.csi)
        if (!role) return
        const haState = event.haState === 'QUIESCING' ? 'QUIESCED' : event.haState
        const serves = haState === 'ACTIVE'
        const done = { ...role, haState, asked: haState, confirmed: true, serves }
        this.#put(component, withRole(actual, event.csi, done))
        if (!serves) this.#abandon(component, event.csi)
        return
      }
      default:
    }
  }

  #loseNode(node: string, cause: string): void {
    this.#up.delete(node)
    this.#queue.remove((task) => task.node === node)
    for (const { name, mediation } of this.#componentsOn(node)) {
      if (mediation?.kind !== 'proxied') this.#put(name, NO_PROCESS)
    }
    for (const { name } of this.#componentsOn(node)) this.#abandon(name)
    const event: EngineEvent = { kind: 'nodeGone', node, cause }
    this.#later(this.#options.durations.nodeDetectMs, { node, component: null, event })
  }

  #join(node: string): void {
    this.#up.add(node)
    // What others act for is wherever they are.
    const here = [...this.model.components.values()].filter(({ name, node: own, mediation }) =>
      mediation ? this.process(name).mediator?.node === node : own === node,
    )
    const facts = here.map(({ name }) => factsOf(name, this.process(name)))
    this.#step({ kind: 'nodeJoined', node, facts })
  }

  /** It acts for others no more: a proxied one lives on, a contained one does not. `csi`: for that one only. */
  #abandon(mediator: string, csi?: string): void {
    for (const { name, mediation } of this.model.components.values()) {
      const actual = this.process(name)
      if (!mediation || actual.mediator?.component !== mediator) continue
      if (csi !== undefined && csi !== mediation.csi) continue
      if (mediation.kind === 'proxied') this.#put(name, { ...actual, mediator: null })
      else if (csi === undefined) this.#put(name, NO_PROCESS)
      else continue
      this.#queue.remove((task) => task.component === name)
    }
  }

  #componentsOn(node: string): readonly ComponentModel[] {
    return [...this.model.components.values()].filter((component) => component.node === node)
  }

  #later(delayMs: number, task: Omit<Task, 'atMs'>): void {
    this.#queue.add({ ...task, atMs: this.nowMs + delayMs })
  }

  #put(component: string, actual: VirtualProcess): void {
    this.#processes.set(component, actual)
    const group = this.model.components.get(component)?.serviceGroup
    if (group !== undefined) this.#meterGroup(group)
  }

  #meterGroup(group: string): void {
    const serves = (component: string, csi: string): boolean =>
      this.process(component).roles.get(csi)?.serves === true
    this.meter.measure(group, this.nowMs, serves)
  }
}

/** To be instantiated is to be ACTIVE. */
function rolesOf({
  csi,
  epoch,
}: NonNullable<Launch['descriptor']>): ReadonlyMap<string, VirtualRole> {
  const haState = 'ACTIVE'
  return new Map([[csi, { haState, asked: haState, epoch, confirmed: false, serves: false }]])
}

function serving(roles: ReadonlyMap<string, VirtualRole>): ReadonlyMap<string, VirtualRole> {
  return new Map([...roles].map(([csi, role]) => [csi, { ...role, confirmed: true, serves: true }]))
}

function silent(role: VirtualRole): VirtualRole {
  return { ...role, serves: false }
}
