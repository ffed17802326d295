import type { Model } from '../model/model.ts'
import type { AdminResult, EngineCommand, Notification, PersistedRecord } from './contract.ts'
import { classOf } from './entities.ts'
import { minorIdOf } from './notification-ids.ts'
import {
  cloneGroup,
  EXTERNAL,
  NO_NODE,
  type EngineState,
  type GroupState,
  type NodeState,
  type OperationState,
  type ScopeState,
} from './state.ts'

/** Notifications kept for each entity. The oldest go first. */
export const HISTORY_MAX = 8
const CAUSES_MAX = 6

/**
 * The private working copy of one step: groups and nodes are copied when they are first asked for, commands are
 * collected. Nothing of it outlives the step.
 */
export class Draft {
  readonly model: Model
  readonly nowMs: number
  readonly #state: EngineState
  readonly #groups: GroupState[]
  readonly #nodes: NodeState[]
  readonly #own = new Set<string>()
  readonly #touched = new Set<string>()
  readonly #seen = new Map<string, string>()
  readonly #persists = new Map<string, EngineCommand>()
  readonly #commands: EngineCommand[] = []
  term: number
  startedAtMs: number
  scopes: ReadonlyMap<string, ScopeState>
  operations: readonly OperationState[]
  #grantCount: number
  #invocationCount: number

  constructor(model: Model, state: EngineState, nowMs: number) {
    this.model = model
    this.nowMs = nowMs
    this.#state = state
    this.#groups = [...state.groups]
    this.#nodes = [...state.nodes]
    this.term = state.term
    this.startedAtMs = state.startedAtMs
    this.scopes = state.scopes
    this.operations = state.operations
    this.#grantCount = state.grantCount
    this.#invocationCount = state.invocationCount
  }

  get index(): EngineState['index'] {
    return this.#state.index
  }

  /** Starts a term: epochs and invocations of earlier ones stay below it. */
  beginTerm(term: number): void {
    this.term = term
    this.startedAtMs = this.nowMs
    this.#grantCount = 0
    this.#invocationCount = 0
  }

  /** The group, to be changed: it is copied at the first time and planned again before the step ends. */
  group(name: string): GroupState {
    this.#touched.add(name)
    const at = this.#groupAt(name)
    const group = this.#groups[at]
    if (!group) throw new Error(`no service group ${name}`)
    if (this.#own.has(name)) return group
    this.#own.add(name)
    const copy = cloneGroup(group)
    this.#groups[at] = copy
    return copy
  }

  peekGroup(name: string): GroupState {
    const group = this.#groups[this.#groupAt(name)]
    if (!group) throw new Error(`no service group ${name}`)
    return group
  }

  #groupAt(name: string): number {
    return this.index.groupAt.get(name) ?? -1
  }

  node(name: string): NodeState {
    const at = this.index.nodeAt.get(name) ?? -1
    const node = this.#nodes[at]
    if (!node) throw new Error(`no node ${name}`)
    const key = `node ${name}`
    if (this.#own.has(key)) return node
    this.#own.add(key)
    const copy = { ...node }
    this.#nodes[at] = copy
    return copy
  }

  peekNode(name: string): NodeState {
    if (name === NO_NODE) return EXTERNAL
    const node = this.#nodes[this.index.nodeAt.get(name) ?? -1]
    if (!node) throw new Error(`no node ${name}`)
    return node
  }

  nodes(): readonly NodeState[] {
    return this.#nodes
  }

  groups(): readonly GroupState[] {
    return this.#groups
  }

  /** Plans the group again before the step ends, though nothing of it was changed. */
  touch(name: string): void {
    this.#touched.add(name)
  }

  /** One touched group, taken off the list; undefined when none is left. */
  takeTouched(): string | undefined {
    for (const name of this.#touched) {
      this.#touched.delete(name)
      return name
    }
    return undefined
  }

  hasTouched(): boolean {
    return this.#touched.size > 0
  }

  takeOffTouched(name: string): void {
    this.#touched.delete(name)
  }

  /** What {@link remember} was last told about the group in this step. */
  lastSeen(name: string): string | undefined {
    return this.#seen.get(name)
  }

  remember(name: string, seen: string): void {
    this.#seen.set(name, seen)
  }

  /** Epochs only grow: a later term is larger, and inside a term the count is. */
  nextEpoch(): number {
    this.#grantCount += 1
    return this.term * 2 ** 32 + this.#grantCount
  }

  nextInvocation(): number {
    this.#invocationCount += 1
    return this.term * 2 ** 32 + this.#invocationCount
  }

  persist(key: string, value: PersistedRecord['value'], why: string): void {
    this.#persists.set(key, { kind: 'persist', record: { key, value }, why })
  }

  send(command: Exclude<EngineCommand, { kind: 'persist' }>): void {
    this.#commands.push(command)
  }

  answer(id: string, result: AdminResult, why: string): void {
    this.send({ kind: 'answer', id, result, why })
  }

  /** Tells the world, and keeps the notification for "why". */
  notify(group: GroupState | null, fields: Omit<Notification, 'atMs' | 'minorId'>): void {
    const minorId = minorIdOf(fields, classOf(this.model, fields.entity))
    const id = minorId === undefined ? {} : { minorId }
    const notification: Notification = { ...fields, ...id, atMs: this.nowMs }
    this.send({ kind: 'notify', notification, why: chain(fields.causes) })
    if (group) {
      const names = new Set([fields.entity, fields.serviceUnit, fields.serviceInstance])
      for (const name of names) {
        if (name === undefined) continue
        const list = group.history.get(name) ?? []
        group.history.set(name, [...list, notification].slice(-HISTORY_MAX))
      }
    } else if (this.index.nodeAt.has(fields.entity)) {
      const node = this.node(fields.entity)
      node.history = [...node.history, notification].slice(-HISTORY_MAX)
    }
  }

  finish(): { readonly state: EngineState; readonly commands: readonly EngineCommand[] } {
    const state: EngineState = {
      term: this.term,
      grantCount: this.#grantCount,
      invocationCount: this.#invocationCount,
      startedAtMs: this.startedAtMs,
      scopes: this.scopes,
      nodes: this.#nodes,
      groups: this.#groups,
      operations: this.operations,
      index: this.index,
    }
    return { state, commands: [...this.#persists.values(), ...this.#commands] }
  }
}

/** Causes and one more, the first cause kept when it gets too long. */
export function withCause(causes: readonly string[], cause: string): readonly string[] {
  if (causes.at(-1) === cause) return causes
  const all = [...causes, cause]
  return all.length <= CAUSES_MAX ? all : [...all.slice(0, 1), ...all.slice(1 - CAUSES_MAX)]
}

export function chain(causes: readonly string[]): string {
  return causes.join(' -> ')
}
