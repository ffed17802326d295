import {
  checkChange,
  checkInvariants,
  clusterStatus,
  type EngineState,
  initialState,
  nextDeadlineMs,
  protectionGroup,
  refusalOf,
  stateOf,
  stateWords,
  step,
  whyOf,
} from '../engine/engine.ts'
import { changeLines } from '../model/change.ts'
import type { Engine } from './engine-port.ts'

/** The availability engine behind the director's port. */
export const engine: Engine<EngineState> = {
  initialState,
  step,
  nextDeadlineMs: (_model, state) => nextDeadlineMs(state),
  checkInvariants,
  checkChange: (model, state, after) => {
    const checked = checkChange(model, state, after)
    return { changes: changeLines(checked.change), refusal: refusalOf(checked) }
  },
  status: (model, state) => clusterStatus(model, state, null),
  stateOf: (model, state, entity) => stateOf(model, state, entity) ?? undefined,
  stateWords: (model, entity) => stateWords(model, entity) ?? undefined,
  why: (model, state, entity) => whyOf(model, state, entity) ?? undefined,
  protectionGroup,
}
