/** How long things take in virtual time, in milliseconds. */
export interface Durations {
  /** Launch of a process until it has registered. */
  readonly launchMs: number
  /** A callback of a component (csiSet, csiRemove), its way there and back included. */
  readonly callbackMs: number
  /** What QUIESCING takes on top of the callback: work in progress finishes. */
  readonly quiescingMs: number
  /** Orderly end of a process. */
  readonly terminateMs: number
  /** Abrupt end of a process. */
  readonly cleanupMs: number
  /** From the death of a process to the director hearing that nothing of it is left. */
  readonly detectMs: number
  /** The same for a node with everything on it. */
  readonly nodeDetectMs: number
  /** From the end of a node that is to come back to its joining again. */
  readonly nodeRestartMs: number
}

/** About what a quiet two-core machine takes. */
export const DEFAULT_DURATIONS: Durations = {
  launchMs: 300,
  callbackMs: 5,
  quiescingMs: 10,
  terminateMs: 50,
  cleanupMs: 20,
  detectMs: 20,
  nodeDetectMs: 50,
  nodeRestartMs: 1_000,
}
