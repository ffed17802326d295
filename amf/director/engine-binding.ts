import {
  checkInvariants,
  clusterStatus,
  type EngineState,
  initialState,
  nextDeadlineMs,
  protectionGroup,
  stateOf,
  stateWords,
  step,
  whyOf,
} from '../engine/engine.ts'
import type { Engine } from './engine-port.ts'

/** The availability engine behind the director's port. */
export const engine: Engine<EngineState> = {
  initialState,
  step,
  nextDeadlineMs: (_model, state) => nextDeadlineMs(state),
  checkInvariants,
  status: (model, state) => clusterStatus(model, state, null),
  stateOf: (model, state, entity) => stateOf(model, state, entity) ?? undefined,
  stateWords: (model, entity) => stateWords(model, entity) ?? undefined,
  why: (model, state, entity) => whyOf(model, state, entity) ?? undefined,
  protectionGroup,
}
