import type { AdminResult, Notification, Step } from '../engine/contract.ts'
import type { Model } from '../model/model.ts'
import type { GroupMembers } from '../engine/protection-group.ts'
import type { ClusterStatus } from './interface.ts'

/** Every state of one entity, as `Management.state` answers it. */
export interface EntityStates {
  readonly entity: string
  readonly class: string
  readonly states: Readonly<Record<string, string>>
}

/** What the engine knows of {@link ClusterStatus}; the director adds who directs. */
export type EngineStatus = Omit<ClusterStatus, 'cluster' | 'director'>

/** What a new model would change, one entity a line, and the refusal it would get. */
export interface ModelCheck {
  readonly changes: readonly string[]
  readonly refusal: Extract<AdminResult, { ok: false }> | null
}

/**
 * What the director needs from the engine, all pure and synchronous. `State` is the engine's own; a state that was
 * given to `step` is never used again.
 */
export interface Engine<State> {
  initialState(model: Model): State
  readonly step: Step<State>
  /** When `tick` is due at the latest; null: nothing to wait for. */
  nextDeadlineMs(model: Model, state: State): number | null
  /** Broken invariants in words; empty when all hold. */
  checkInvariants(model: Model, state: State): readonly string[]
  /** What a change to `after` would change, and why it would be refused. */
  checkChange(model: Model, state: State, after: Model): ModelCheck
  status(model: Model, state: State): EngineStatus
  /** undefined: no such entity. */
  stateOf(model: Model, state: State, entity: string): EntityStates | undefined
  /** Every word that a state of the entity can ever be; undefined: no such entity. */
  stateWords(model: Model, entity: string): readonly string[] | undefined
  /** Last notifications about an entity, newest first; undefined: no such entity. */
  why(model: Model, state: State, entity: string): readonly Notification[] | undefined
  /** Who has a CSI; null: no such CSI, or not all nodes are heard of yet. */
  protectionGroup(model: Model, state: State, csi: string): GroupMembers | null
}
