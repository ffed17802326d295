/** The door of the engine: everything that the director and the tools on the AMF floor take from it. */
export { checkChange, refusalOf } from './change-rules.ts'
export { nextDeadlineMs } from './deadlines.ts'
export { clusterStatus, stateOf, whyOf } from './explain.ts'
export { stateWords } from './explain-scopes.ts'
export { checkInvariants } from './invariants.ts'
export { protectionGroup } from './protection-group.ts'
export { initialState } from './state.ts'
export { step } from './step.ts'
export type { EngineState, EntityClass } from './state.ts'
export type {
  AdminOperation,
  AdminResult,
  AdminState,
  AssignmentState,
  ComponentFacts,
  EngineCommand,
  EngineEvent,
  Notification,
  OperationalState,
  PersistedRecord,
  PresenceState,
  ReadinessState,
  StandbyPlace,
} from './contract.ts'
