import { describe, expect, it } from 'vitest'
import {
  checkPassed,
  type HealthCheck,
  type HealthChecks,
  isLate,
  nextCheckMs,
  putOffChecks,
  startCheck,
  stopCheck,
  tickChecks,
} from '../../../amf/node/health-checks.ts'

function started(
  invocation: HealthCheck['invocation'],
  times = { periodMs: 100, maxDurationMs: 250 },
): HealthChecks {
  return startCheck(new Map(), 'k', { invocation, recovery: 'suFailover', ...times }, 0)
}

/** Plays ticks and passes; says what happened at which time. */
function play(checks: HealthChecks, events: readonly (readonly [number, 'tick' | 'pass'])[]) {
  const said: string[] = []
  let now = checks
  for (const [atMs, what] of events) {
    if (what === 'pass') now = checkPassed(now, 'k', atMs)
    const tick = tickChecks(now, atMs)
    now = tick.checks
    for (const key of tick.calls) said.push(`${String(atMs)} call ${key}`)
    if (isLate(now) && !tick.failure) said.push(`${String(atMs)} late`)
    if (tick.failure) said.push(`${String(atMs)} ${tick.failure.recovery}: ${tick.failure.cause}`)
  }
  return { said, checks: now }
}

describe('a check that AMF invokes', () => {
  it('is called at once, and then once a period', () => {
    const { said } = play(started('AMF_INVOKED'), [
      [0, 'tick'],
      [10, 'pass'],
      [100, 'tick'],
      [130, 'pass'],
      [200, 'tick'],
    ])
    expect(said).toEqual(['0 call k', '100 call k', '200 call k'])
  })

  it('has at most one call out: the next one follows a late answer at once', () => {
    const { said, checks } = play(started('AMF_INVOKED'), [
      [0, 'tick'],
      [100, 'tick'],
      [150, 'tick'],
      [160, 'pass'],
    ])
    expect(said).toEqual(['0 call k', '100 late', '150 late', '160 call k'])
    // The period ran on meanwhile.
    expect(nextCheckMs(checks)).toBe(200)
  })

  it.each([
    [249, ['0 call k', '249 late']],
    [250, ['0 call k', '250 suFailover: health check k was not answered within 250 ms']],
  ])('has failed after the maximum duration, not before: %i ms', (atMs, wanted) => {
    const events = [
      [0, 'tick'],
      [atMs, 'tick'],
    ] as const
    expect(play(started('AMF_INVOKED'), events).said).toEqual(wanted)
  })

  it('blames nobody when the agent itself stood still', () => {
    const { checks } = play(started('AMF_INVOKED'), [[0, 'tick']])
    expect(tickChecks(putOffChecks(checks, 5_000), 5_100).failure).toBeNull()
    expect(tickChecks(putOffChecks(checks, 5_000), 5_250).failure).not.toBeNull()
  })
})

describe('a check that the component invokes', () => {
  it('fails when it is not confirmed within a period', () => {
    const check = started('COMPONENT_INVOKED', { periodMs: 100, maxDurationMs: 50 })
    const { said } = play(check, [
      [99, 'tick'],
      [99, 'pass'],
      [198, 'tick'],
      [199, 'tick'],
    ])
    const cause = 'health check k was not confirmed within 100 ms'
    expect(said).toEqual([`199 suFailover: ${cause}`])
  })

  it('is only late between period and maximum duration', () => {
    const { said } = play(started('COMPONENT_INVOKED'), [
      [100, 'tick'],
      [200, 'pass'],
      [299, 'tick'],
      [300, 'tick'],
      [450, 'tick'],
    ])
    const cause = 'health check k was not confirmed within 250 ms'
    expect(said).toEqual(['100 late', '300 late', `450 suFailover: ${cause}`])
  })
})

it('runs several checks apart, and none that was stopped', () => {
  const two = startCheck(
    started('AMF_INVOKED'),
    'other',
    { invocation: 'AMF_INVOKED', recovery: 'noRecommendation', periodMs: 70, maxDurationMs: 500 },
    0,
  )
  const first = tickChecks(two, 0)
  expect(first.calls).toEqual(['k', 'other'])
  const answered = checkPassed(checkPassed(first.checks, 'k', 5), 'other', 5)
  expect(tickChecks(answered, 70).calls).toEqual(['other'])
  const left = stopCheck(answered, 'other')
  expect(nextCheckMs(left)).toBe(100)
  expect(nextCheckMs(stopCheck(left, 'k'))).toBeNull()
})
