import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeHeartbeat, encodeHello } from '../../ioc/light.ts'
import { EoManagement } from '../../runtime/index.ts'
import { BeatEcho } from '../../runtime/eo/beat-echo.ts'
import { RoleLease } from '../../runtime/eo/role-lease.ts'
import { BUCKET_COUNT, bucketLimitUs, roundTripBucket } from '../../runtime/eo/watchdog-cells.ts'
import { FakeAgent } from './support/fake-agent.ts'

describe('the lease', () => {
  test('counts from when the last answered beat was sent', () => {
    const lease = new RoleLease(100, 0)
    lease.sent(1, 10)
    expect(lease.answered(1, 60)).toBe(50)
    expect(lease.isOver(110)).toBe(false)
    expect(lease.isOver(111)).toBe(true)
  })

  test('unknown, repeated and late answers never shorten it', () => {
    const lease = new RoleLease(100, 0)
    lease.sent(1, 10)
    lease.sent(2, 20)
    lease.answered(2, 30)
    lease.answered(1, 31)
    expect(lease.answered(7, 32)).toBeNull()
    expect(lease.answered(0, 32)).toBeNull()
    expect(lease.isOver(120)).toBe(false)
    expect(lease.isOver(121)).toBe(true)
    lease.restart(121)
    expect(lease.isOver(221)).toBe(false)
  })

  test('a beat of long ago, whose place was used again, says nothing', () => {
    const lease = new RoleLease(100, 0)
    for (let beat = 1; beat <= 300; beat++) lease.sent(beat, beat)
    expect(lease.answered(1, 301)).toBeNull()
    expect(lease.answered(300, 301)).toBe(1)
  })

  test('a lease of 0 never runs out', () => {
    expect(new RoleLease(0, 0).isOver(1e9)).toBe(false)
  })
})

test('echoed beats are found however the bytes are cut', () => {
  const hello = encodeHello({ address: { node: 1, port: 1 }, caller: '0'.repeat(16), name: 'a' })
  const beat = (number: number): Uint8Array =>
    encodeHeartbeat({ source: { node: 1, port: 1 }, beat: number, stampAgeMs: 0 })
  const all = Buffer.concat([hello, beat(1), beat(2), beat(300)])
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: all.length - 1 })), (cuts) => {
      const echo = new BeatEcho()
      const edges = [0, ...[...new Set(cuts)].sort((a, b) => a - b), all.length]
      const found = edges.slice(1).flatMap((end, i) => echo.push(all.subarray(edges[i], end)) ?? [])
      expect(found).toEqual([1, 2, 300])
    }),
  )
  expect(new BeatEcho().push(new Uint8Array(52).fill(0xff))).toBeNull()
  expect(new BeatEcho().push(new Uint8Array(52))).toBeNull()
})

test('buckets of round trips grow by half an octave and hold what they say', () => {
  for (const us of [0, 16, 17, 100, 724, 1_000, 1_024, 50_000]) {
    expect(bucketLimitUs(roundTripBucket(us))).toBeGreaterThanOrEqual(us * 0.999)
  }
  expect(roundTripBucket(1e12)).toBe(BUCKET_COUNT - 1)
})

describe('a component whose agent answers no beat any more', () => {
  let agent: FakeAgent
  beforeEach(async () => {
    agent = await FakeAgent.start()
  })
  afterEach(async () => {
    await agent.stop()
  })

  async function launch(): ReturnType<typeof launchOf> {
    return launchOf(agent)
  }

  test('ends by itself while it is ACTIVE', async () => {
    const component = await launch()
    await agent.csiSet('ACTIVE')
    const beats = agent.beats.length
    await agent.until('beats', () => agent.beats.length > beats + 5)
    agent.echoes = false
    expect((await component.exited).signal).toBe('SIGKILL')
    expect(component.stderr).toContain('the lease of its ACTIVE role is over')
  })

  test('goes on as STANDBY, and counts from the grant when it becomes ACTIVE', async () => {
    const component = await launch()
    await agent.csiSet('STANDBY')
    const to = { node: 1, port: agent.registered[0]!.port }
    const management = agent.rmd.client(EoManagement, { to })
    await agent.until('beats', () => agent.beats.length > 5)
    const { eo } = await management.statistics({})
    expect(eo['beatRoundTripP99Us']).toBeGreaterThan(0)
    expect(eo['beatRoundTrips']).toBeGreaterThan(0)
    expect(eo['beatRoundTripsOver1Ms']).toBeLessThanOrEqual(eo['beatRoundTrips']!)
    expect(eo['loopDelayMaxMs']).toBeGreaterThanOrEqual(0)
    agent.echoes = false
    const quiet = agent.beats.length
    // Longer than the lease: the beat is a quarter of hungMs at most.
    await agent.until('beats for longer than the lease', () => agent.beats.length > quiet + 8)
    expect(component.child.exitCode).toBeNull()
    await agent.csiSet('ACTIVE')
    expect((await component.exited).signal).toBe('SIGKILL')
  })
})

async function launchOf(agent: FakeAgent) {
  const env = { HOLDFAST_LEASE_MS: '600' }
  const component = agent.launch('test/fixtures/runtime/component.js', env)
  await agent.until('registration', () => agent.registered.length > 0)
  return component
}
