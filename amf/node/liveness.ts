/**
 * Judges components from the beats of their watchdog threads. A core: time and process states come
 * in, verdicts go out.
 *
 * I1 A judge that was late itself blames nobody: when the agent's own tick came late, every window
 *    starts again and ages from before it do not count.
 * I2 Busy is not dead: while the judged thread makes progress within `hungMs`, nothing but an alarm
 *    follows.
 * I3 `hung` and `frozen` are said once and are final for the life of the process; the caller kills
 *    it then.
 */

/**
 * `alive` and `busy` serve; `hung` makes no progress; `frozen` runs not at all (stopped, or its
 * watchdog is silent).
 */
export type LivenessVerdict = 'alive' | 'busy' | 'hung' | 'frozen'

export interface LivenessThresholds {
  /** No progress, or no beat, for longer is the end. */
  readonly hungMs: number
  /** A delay above raises the busy alarm. Smaller than `hungMs`. */
  readonly busyMs: number
  /** The alarm is cleared when there was no delay above half of `busyMs` for so long. */
  readonly busyHoldMs: number
  /** How long the first beat may take after the launch. */
  readonly startGraceMs: number
}

/** What is known about one life of one component. */
export interface ComponentLiveness {
  readonly thresholds: LivenessThresholds
  readonly launchedMs: number
  /** Nothing from before counts. Launch, or the last late tick of the judge. */
  readonly windowMs: number
  /** null before the first beat. */
  readonly lastBeatMs: number | null
  readonly lastBeatNumber: number
  /** Age of the progress stamp that the last beat told. */
  readonly stampAgeMs: number
  /** Since when every look found the process stopped; null while it runs. */
  readonly stoppedSinceMs: number | null
  readonly busy: boolean
  /** When the delay was last above half of `busyMs`. */
  readonly lastDelayMs: number
  readonly verdict: LivenessVerdict
}

export interface LivenessState {
  /** A gap between two ticks above this means that the judge was late. */
  readonly lateTickMs: number
  readonly lastTickMs: number
  readonly components: ReadonlyMap<string, ComponentLiveness>
}

/** What changed with a tick. `delayMs` is the delay that was found. */
export interface LivenessChange {
  readonly component: string
  readonly verdict: LivenessVerdict
  readonly delayMs: number
  /** English, with limits: `no progress for 2140 ms, allowed are 2000 ms`. */
  readonly cause: string
}

/**
 * @param tickMs - how often {@link tickLiveness} is meant to be called.
 * @param hungMs - the smallest `hungMs` that will be watched: the judge counts as late a quarter of
 * it after a tick was due.
 */
export function createLiveness(
  { tickMs, hungMs }: { tickMs: number; hungMs: number },
  nowMs: number,
): LivenessState {
  return { lateTickMs: tickMs + hungMs / 4, lastTickMs: nowMs, components: new Map() }
}

/** Begins to watch a new life of a component, at its launch. */
export function watchComponent(
  state: LivenessState,
  component: string,
  thresholds: LivenessThresholds,
  nowMs: number,
): LivenessState {
  return withComponent(state, component, {
    thresholds,
    launchedMs: nowMs,
    windowMs: nowMs,
    lastBeatMs: null,
    lastBeatNumber: -1,
    stampAgeMs: 0,
    stoppedSinceMs: null,
    busy: false,
    lastDelayMs: nowMs,
    verdict: 'alive',
  })
}

export function forgetComponent(state: LivenessState, component: string): LivenessState {
  const components = new Map(state.components)
  components.delete(component)
  return { ...state, components }
}

/**
 * A beat arrived. One that is older than another, or of a component that is not watched, changes
 * nothing.
 */
export function hearBeat(
  state: LivenessState,
  beat: { readonly component: string; readonly number: number; readonly stampAgeMs: number },
  nowMs: number,
): LivenessState {
  const known = state.components.get(beat.component)
  if (known === undefined || beat.number <= known.lastBeatNumber) return state
  const age = Math.min(beat.stampAgeMs, nowMs - known.windowMs)
  return withComponent(state, beat.component, {
    ...known,
    lastBeatMs: nowMs,
    lastBeatNumber: beat.number,
    stampAgeMs: beat.stampAgeMs,
    lastDelayMs: age > known.thresholds.busyMs / 2 ? nowMs : known.lastDelayMs,
  })
}

/**
 * Looks at every component. @param processState - the letter of `/proc/PID/stat` of a component's
 * process, '' when it is not known. @returns what changed; nobody is judged in a tick that was late
 * itself.
 */
export function tickLiveness(
  state: LivenessState,
  processState: (component: string) => string,
  nowMs: number,
): {
  readonly state: LivenessState
  readonly late: boolean
  readonly changes: readonly LivenessChange[]
} {
  const late = nowMs - state.lastTickMs > state.lateTickMs
  const components = new Map<string, ComponentLiveness>()
  const changes: LivenessChange[] = []
  for (const [component, before] of state.components) {
    const seen = look(before, { stopped: isStopped(processState(component)), late, nowMs })
    const { verdict, delayMs, cause } = late
      ? { verdict: before.verdict, delayMs: 0, cause: '' }
      : judge(seen, nowMs)
    components.set(component, { ...seen, verdict, busy: verdict === 'busy' })
    if (verdict !== before.verdict) changes.push({ component, verdict, delayMs, cause })
  }
  return { state: { ...state, lastTickMs: nowMs, components }, late, changes }
}

/** The verdict on one component at this moment. */
export function judge(
  one: ComponentLiveness,
  nowMs: number,
): { readonly verdict: LivenessVerdict; readonly delayMs: number; readonly cause: string } {
  const { hungMs } = one.thresholds
  if (one.verdict === 'hung' || one.verdict === 'frozen') {
    return { verdict: one.verdict, delayMs: 0, cause: 'said before' }
  }
  const stoppedMs = one.stoppedSinceMs === null ? 0 : nowMs - one.stoppedSinceMs
  if (stoppedMs > hungMs) {
    return frozen(stoppedMs, `process stopped for ${text(stoppedMs)} ms`, hungMs)
  }
  if (one.lastBeatMs === null) return judgeSilentStart(one, nowMs)
  const silentMs = nowMs - Math.max(one.lastBeatMs, one.windowMs)
  if (silentMs > hungMs) {
    return frozen(silentMs, `no beat of its watchdog for ${text(silentMs)} ms`, hungMs)
  }
  return judgeProgress(one, nowMs)
}

function judgeSilentStart(one: ComponentLiveness, nowMs: number): ReturnType<typeof judge> {
  const waitedMs = nowMs - one.windowMs
  const { startGraceMs } = one.thresholds
  if (waitedMs <= startGraceMs) return { verdict: 'alive', delayMs: 0, cause: 'starting' }
  return frozen(waitedMs, `no first beat for ${text(waitedMs)} ms after the launch`, startGraceMs)
}

function judgeProgress(one: ComponentLiveness, nowMs: number): ReturnType<typeof judge> {
  const { hungMs, busyMs, busyHoldMs } = one.thresholds
  const beatMs = one.lastBeatMs ?? nowMs
  // The part of the age that lies before the window is not counted (I1).
  const delayMs = Math.max(0, Math.min(one.stampAgeMs, beatMs - one.windowMs))
  if (delayMs > hungMs) {
    const cause = `no progress for ${text(delayMs)} ms, allowed are ${text(hungMs)} ms`
    return { verdict: 'hung', delayMs, cause }
  }
  const isLate = delayMs > busyMs
  const stays = one.busy && nowMs - one.lastDelayMs < busyHoldMs
  if (isLate || stays) {
    return { verdict: 'busy', delayMs, cause: `delayed by ${text(delayMs)} ms` }
  }
  return { verdict: 'alive', delayMs, cause: one.busy ? 'no delay any more' : 'in time' }
}

function frozen(delayMs: number, what: string, allowedMs: number): ReturnType<typeof judge> {
  return { verdict: 'frozen', delayMs, cause: `${what}, allowed are ${text(allowedMs)} ms` }
}

function look(
  one: ComponentLiveness,
  { stopped, late, nowMs }: { stopped: boolean; late: boolean; nowMs: number },
): ComponentLiveness {
  const since = late ? nowMs : (one.stoppedSinceMs ?? nowMs)
  const seen = { ...one, stoppedSinceMs: stopped ? since : null }
  return late ? { ...seen, windowMs: nowMs, lastDelayMs: nowMs } : seen
}

/** T: by a signal; t: by a debugger, which freezes it as well. */
const isStopped = (letter: string): boolean => letter === 'T' || letter === 't'

const text = (ms: number): string => ms.toFixed(0)

function withComponent(
  state: LivenessState,
  component: string,
  liveness: ComponentLiveness,
): LivenessState {
  return { ...state, components: new Map(state.components).set(component, liveness) }
}
