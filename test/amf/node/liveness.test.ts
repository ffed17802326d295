import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createLiveness,
  forgetComponent,
  hearBeat,
  tickLiveness,
  watchComponent,
  type LivenessState,
} from '../../../amf/node/liveness.ts'

const TICK_MS = 50
const THRESHOLDS = { hungMs: 2000, busyMs: 300, busyHoldMs: 1200, startGraceMs: 10_000 }

interface Script {
  /** Stamp age that the beat at this time tells; undefined: no beat. */
  readonly beat?: (ms: number) => number | undefined
  readonly processState?: (ms: number) => string
  /** The agent does not tick at this time. */
  readonly paused?: (ms: number) => boolean
}

/** Plays `untilMs` of one component's life, a beat and a tick every 50 ms. @returns `verdict@time` of each change. */
function play(untilMs: number, { beat, processState, paused }: Script): string[] {
  let state = watchComponent(
    createLiveness({ tickMs: TICK_MS, hungMs: THRESHOLDS.hungMs }, 0),
    'c',
    THRESHOLDS,
    0,
  )
  const said: string[] = []
  for (let ms = TICK_MS; ms <= untilMs; ms += TICK_MS) {
    if (paused?.(ms) === true) continue
    const stampAgeMs = beat?.(ms)
    if (stampAgeMs !== undefined)
      state = hearBeat(state, { component: 'c', number: ms, stampAgeMs }, ms)
    const outcome = tickLiveness(state, () => processState?.(ms) ?? 'S', ms)
    state = outcome.state
    said.push(...outcome.changes.map(({ verdict }) => `${verdict}@${ms}`))
  }
  return said
}

describe('liveness', () => {
  it.each<[string, Script, string[]]>([
    ['beats in time', { beat: () => 5 }, []],
    ['a busy loop of 500 ms again and again', { beat: (ms) => ms % 500 }, ['busy@350']],
    [
      'one delay, then none',
      { beat: (ms) => (ms > 1000 && ms <= 1500 ? ms - 1000 : 0) },
      ['busy@1350', 'alive@2700'],
    ],
    [
      'no progress while beats go on',
      { beat: (ms) => (ms < 1000 ? 0 : ms - 1000) },
      ['busy@1350', 'hung@3050'],
    ],
    ['beats that stop', { beat: (ms) => (ms <= 1000 ? 0 : undefined) }, ['frozen@3050']],
    [
      'a process that is stopped',
      { beat: (ms) => (ms <= 1000 ? 0 : undefined), processState: (ms) => (ms > 1000 ? 'T' : 'S') },
      ['frozen@3050'],
    ],
    [
      'a process that is stopped for less than the time-out and goes on',
      {
        beat: (ms) => (ms <= 1000 || ms > 2800 ? 0 : undefined),
        processState: (ms) => (ms > 1000 && ms <= 2800 ? 'T' : 'S'),
      },
      [],
    ],
    ['a start without any beat', {}, ['frozen@10050']],
    ['a first beat late within the grace', { beat: (ms) => (ms < 9000 ? undefined : 0) }, []],
    [
      'a process that is stopped before its first beat',
      { processState: () => 'T' },
      ['frozen@2100'],
    ],
    [
      'a stop that comes and goes',
      { processState: (ms) => (ms % 1000 < 500 ? 'T' : 'S') },
      ['frozen@10050'],
    ],
  ])('%s', (_, script, expected) => {
    expect(play(12_000, script)).toEqual(expected)
  })

  it('blames nobody after a pause of the agent, and starts every window again', () => {
    const pausedFrom = 1000
    const pausedTo = 31_000
    const paused = (ms: number): boolean => ms > pausedFrom && ms < pausedTo
    // The component was paused as well: its first stamp ages tell of the pause.
    const afterPause = (ms: number): number => (ms < pausedTo + 500 ? ms - pausedFrom : 0)
    expect(play(40_000, { paused, beat: (ms) => (ms <= 1000 ? 0 : afterPause(ms)) })).toEqual([
      'busy@31350',
      'alive@32650',
    ])
    // It never beats again: a whole window after the pause.
    expect(play(40_000, { paused, beat: (ms) => (ms <= 1000 ? 0 : undefined) })).toEqual([
      'frozen@33050',
    ])
    // It hangs: no less than a whole window after the pause either.
    expect(play(40_000, { paused, beat: (ms) => (ms <= 1000 ? 0 : ms - 1000) })).toEqual([
      'busy@31350',
      'hung@33050',
    ])
  })

  it('names limits in the cause', () => {
    let state: LivenessState = createLiveness({ tickMs: 2000, hungMs: 2000 }, 0)
    state = watchComponent(state, 'c', THRESHOLDS, 0)
    state = hearBeat(state, { component: 'c', number: 1, stampAgeMs: 2100 }, 2200)
    const { changes } = tickLiveness(state, () => 'S', 2200)
    expect(changes).toEqual([
      {
        component: 'c',
        verdict: 'hung',
        delayMs: 2100,
        cause: 'no progress for 2100 ms, allowed are 2000 ms',
      },
    ])
    expect(tickLiveness(state, () => 'S', 2200).state).toEqual(
      tickLiveness(state, () => 'S', 2200).state,
    )
  })

  it('ignores beats that are old, doubled, or of nobody it watches', () => {
    let state = watchComponent(createLiveness({ tickMs: 50, hungMs: 2000 }, 0), 'c', THRESHOLDS, 0)
    state = hearBeat(state, { component: 'c', number: 5, stampAgeMs: 1 }, 100)
    for (const number of [5, 4, 0]) {
      expect(hearBeat(state, { component: 'c', number, stampAgeMs: 9999 }, 200)).toBe(state)
    }
    expect(hearBeat(state, { component: 'x', number: 6, stampAgeMs: 1 }, 200)).toBe(state)
    expect(forgetComponent(state, 'c').components.size).toBe(0)
  })

  it('takes numbers of a new life from the beginning', () => {
    let state = watchComponent(createLiveness({ tickMs: 50, hungMs: 2000 }, 0), 'c', THRESHOLDS, 0)
    state = hearBeat(state, { component: 'c', number: 500, stampAgeMs: 1 }, 100)
    state = watchComponent(state, 'c', THRESHOLDS, 200)
    state = hearBeat(state, { component: 'c', number: 0, stampAgeMs: 1 }, 300)
    expect(state.components.get('c')?.lastBeatMs).toBe(300)
  })

  const agent = fc.array(
    fc.record({
      gapMs: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 500, max: 60_000 })),
      stampAgeMs: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
      stopped: fc.boolean(),
    }),
    { maxLength: 80 },
  )

  it('never ends a component that beat in time with progress, whatever the agent goes through', () => {
    fc.assert(
      fc.property(agent, (steps) => {
        let state = watchComponent(
          createLiveness({ tickMs: 50, hungMs: 2000 }, 0),
          'c',
          THRESHOLDS,
          0,
        )
        let nowMs = 0
        for (const [index, { gapMs }] of steps.entries()) {
          nowMs += gapMs
          state = hearBeat(
            state,
            { component: 'c', number: index, stampAgeMs: gapMs % 2000 },
            nowMs,
          )
          const outcome = tickLiveness(state, () => 'S', nowMs)
          state = outcome.state
          for (const { verdict } of outcome.changes) expect(['alive', 'busy']).toContain(verdict)
        }
      }),
    )
  })

  it('says hung or frozen at most once, never in a late tick, never within hungMs of one', () => {
    fc.assert(
      fc.property(agent, (steps) => {
        let state = watchComponent(
          createLiveness({ tickMs: 50, hungMs: 2000 }, 0),
          'c',
          THRESHOLDS,
          0,
        )
        let nowMs = 0
        let windowMs = 0
        let ends = 0
        for (const [index, { gapMs, stampAgeMs, stopped }] of steps.entries()) {
          nowMs += gapMs
          if (stampAgeMs !== undefined) {
            state = hearBeat(state, { component: 'c', number: index, stampAgeMs }, nowMs)
          }
          const outcome = tickLiveness(state, () => (stopped ? 'T' : 'S'), nowMs)
          state = outcome.state
          if (outcome.late) {
            windowMs = nowMs
            expect(outcome.changes).toEqual([])
          }
          const ended = outcome.changes.filter(
            ({ verdict }) => verdict === 'hung' || verdict === 'frozen',
          )
          ends += ended.length
          if (ended.length > 0) expect(nowMs - windowMs).toBeGreaterThan(2000)
        }
        expect(ends).toBeLessThanOrEqual(1)
      }),
    )
  })
})
