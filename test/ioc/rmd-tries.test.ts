import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SdkError } from '../../idl/index.ts'
import type { IncomingCall, Rmd } from '../../ioc/index.ts'
import { Echo, Kit, ManualClock, Names, rejection, settled } from './rmd-kit.ts'

let kit: Kit
let clock: ManualClock
let names: Names
let server: Rmd
let client: Rmd
let arrived: { readonly atMs: number; readonly call: IncomingCall }[]
beforeEach(async () => {
  kit = new Kit('memory')
  clock = new ManualClock()
  names = new Names()
  arrived = []
  server = await kit.rmd(64)
  server.serve((call) => void arrived.push({ atMs: clock.nowMs() - 1_000, call }))
  client = await kit.rmd(null, { clock, names })
})
afterEach(() => kit.close())

/** A call to a callee that never answers; what it ended with, and when. */
function silent(options: object, to = '1:64'): Promise<{ code: string; atMs: number }> {
  return rejection(client.client(Echo, { to }).echo('x', options)).then((error) => ({
    code: (error as { code: string }).code,
    atMs: clock.nowMs() - 1_000,
  }))
}
describe('tries of a call that nobody answers', () => {
  it.each([
    // options, times at which it is sent, when it ends
    [{ atMostOnce: true, timeoutMs: 900, retries: 2 }, 3, 900],
    [{ atMostOnce: true, timeoutMs: 10_000, retries: 3, tryTimeoutMs: 100 }, 4, 400],
    [{ atMostOnce: true, timeoutMs: 250, tryTimeoutMs: 100 }, 3, 250],
    [{ atMostOnce: true, timeoutMs: 250, retries: 8, tryTimeoutMs: 100 }, 3, 250],
    [{ atMostOnce: true, timeoutMs: 700, retries: 0 }, 1, 700],
    [{ atMostOnce: true, timeoutMs: 7_000 }, 3, 7_000],
    [{ timeoutMs: 7_000 }, 1, 7_000],
    [{ atMostOnce: true, nonPersistent: true, timeoutMs: 7_000 }, 1, 7_000],
  ])('%j: %i tries, over after %i ms', async (options, tries, endMs) => {
    const ended = silent(options)
    await settled()
    await clock.advance(endMs - 1)
    expect(client.pendingCount).toBe(1)
    await clock.advance(20)
    const { code, atMs } = await ended
    expect(code).toBe('TIMEOUT')
    expect(atMs - endMs).toBeLessThanOrEqual(5)
    expect(arrived.length).toBe(1)
    expect(1 + server.statistics()['nDupRequests']!).toBe(tries)
    expect(client.statistics()).toMatchObject({ nResendRequests: tries - 1, nCallTimeouts: 1 })
  })
})

describe('a call that is not persistent', () => {
  const once = { atMostOnce: true, nonPersistent: true, timeoutMs: 60_000 } as const
  const again = { atMostOnce: true, timeoutMs: 60_000 } as const

  it('does not follow the name to the next active; a persistent one does', async () => {
    const next = await kit.rmd(65)
    const second: IncomingCall[] = []
    next.serve((call) => {
      second.push(call)
      call.reply(call.payload, 2)
    })
    names.set('echo', 64, 1)
    const typed = client.client(Echo, { to: '@echo' })
    const dropped = rejection(typed.echo('dropped', once))
    const kept = typed.echo('kept', again)
    await settled()
    expect(arrived.length).toBe(2)
    await server.close()
    expect(await dropped).toMatchObject({ code: 'COMP_UNREACHABLE', mayHaveRun: true })
    names.set('echo', 65, 2)
    expect(await kept).toBe('kept')
    expect(second.map((call) => call.messageId)).toEqual([arrived[1]!.call.messageId])
  })

  it.each(['NOT_ACTIVE', 'TRY_AGAIN', 'INUSE'])('ends with the first %s', async (code) => {
    server.serve((call) => {
      arrived.push({ atMs: 0, call })
      call.fail(new SdkError(code, 'refused'))
    })
    names.set('echo', 64, 1)
    const typed = client.client(Echo, { to: '@echo' })
    expect(await rejection(typed.echo('x', once))).toMatchObject({ code })
    expect(arrived.length).toBe(1)
    const kept = typed.echo('y', again)
    await settled()
    await clock.advance(100)
    expect(arrived.length).toBeGreaterThan(2)
    server.serve((call) => call.reply(call.payload, 1))
    await clock.advance(1_000)
    expect(await kept).toBe('y')
  })
})

it('asks soon again when the copy that runs was sent over a connection that is gone', async () => {
  const ports = [await kit.rmd(65, { dedupe: () => false }), server]
  let running: IncomingCall | null = null
  for (const rmd of ports) {
    rmd.serve((call) => {
      arrived.push({ atMs: clock.nowMs() - 1_000, call })
      if (arrived.length > 1 && arrived.length < 4) call.fail(new SdkError('INUSE', 'it runs'))
      else if (arrived.length >= 4) call.reply(call.payload, 2)
      else running = call
    })
  }
  names.set('echo', 64, 1)
  const once = client.client(Echo, { to: '@echo' }).echo('x', { atMostOnce: true })
  await settled()
  expect(running).not.toBe(null)
  await server.close()
  names.set('echo', 65, 2)
  await settled()
  await clock.advance(500)
  expect(await once).toBe('x')
})

it('ordered calls carry their protocol, whatever their priority, and are not sent again on TRY_AGAIN', async () => {
  server.serve((call) => {
    arrived.push({ atMs: 0, call })
    call.fail(new SdkError('TRY_AGAIN', 'later'))
  })
  const typed = client.client(Echo, { to: '1:64', atMostOnce: true, ordered: true })
  for (const priority of ['default', 'high', 'low'] as const) {
    expect(await rejection(typed.echo('x', { priority }))).toMatchObject({ code: 'TRY_AGAIN' })
  }
  expect(arrived.map(({ call }) => call.priority)).toEqual(['ordered', 'ordered', 'ordered'])
})

it.each([
  [{ retries: 1 }, 'at-most-once'],
  [{ tryTimeoutMs: 100 }, 'at-most-once'],
  [{ atMostOnce: true, nonPersistent: true, retries: 1 }, 'nonPersistent'],
  [{ atMostOnce: true, retries: 9 }, 'give 0 to 8'],
  [{ atMostOnce: true, retries: 1.5 }, 'give 0 to 8'],
  [{ atMostOnce: true, tryTimeoutMs: 0 }, 'tryTimeoutMs'],
])('refuses %j', async (options, word) => {
  const error = await rejection(client.client(Echo, { to: '1:64' }).echo('x', options))
  expect(error).toMatchObject({ code: 'INVALID_PARAMETER' })
  expect((error as Error).message).toContain(word)
})

it('ordered calls keep their order when they are made again, and later ones wait behind them', async () => {
  const seen: string[] = []
  server.serve((call) => {
    arrived.push({ atMs: 0, call })
    if (arrived.length <= 12) return call.fail(new SdkError('NOT_ACTIVE', 'not yet'))
    seen.push(Echo.methods.echo.input.decode(call.payload))
    call.reply(call.payload, 1)
  })
  names.set('echo', 64, 1)
  const typed = client.client(Echo, { to: '@echo', ordered: true })
  const made = Array.from({ length: 12 }, (_, i) => `${i}`)
  const answers = made.map((text, i) => typed.echo(text, { atMostOnce: i % 2 === 0 }))
  await settled()
  expect(arrived.length).toBe(12)
  answers.push(typed.echo('later'))
  await settled()
  expect(seen).toEqual([])
  await clock.advance(100)
  expect(seen).toEqual([...made, 'later'])
  expect(await Promise.all(answers)).toEqual([...made, 'later'])
})

it('an ordered call does not go to the next active while an earlier one is with the one before', async () => {
  const next = await kit.rmd(65)
  const seen: string[] = []
  next.serve((call) => {
    seen.push(Echo.methods.echo.input.decode(call.payload))
    call.reply(call.payload, 2)
  })
  names.set('echo', 64, 1)
  const typed = client.client(Echo, { to: '@echo', ordered: true })
  const answers = [typed.echo('a'), typed.echo('b')]
  await settled()
  names.set('echo', 65, 2)
  answers.push(typed.echo('c'), typed.echo('d', { atMostOnce: true }))
  await settled()
  expect(seen).toEqual([])
  for (const { call } of arrived) call.fail(new SdkError('NOT_ACTIVE', 'no more'))
  await settled()
  await clock.advance(100)
  expect(seen).toEqual(['a', 'b', 'c', 'd'])
  expect(await Promise.all(answers)).toEqual(['a', 'b', 'c', 'd'])
  expect(await typed.echo('e')).toBe('e')
})

/**
 * A callee of the property below: runs what comes, refuses it, or keeps it until its state changes. What has run, on
 * whichever callee, all of them know.
 */
class Callee {
  readonly #ran: number[]
  readonly #epoch: () => number
  #state: 'run' | 'refuse' | 'keep' = 'refuse'
  #kept: IncomingCall[] = []

  constructor(ran: number[], epoch: () => number) {
    this.#ran = ran
    this.#epoch = epoch
  }

  become(state: 'run' | 'refuse' | 'keep'): void {
    this.#state = state
    for (const call of this.#kept.splice(0)) this.take(call)
  }

  readonly take = (call: IncomingCall): void => {
    if (this.#state === 'keep') this.#kept.push(call)
    else if (this.#state === 'refuse') call.fail(new SdkError('NOT_ACTIVE', 'not here'))
    else {
      const number = Number(Echo.methods.echo.input.decode(call.payload))
      if (!call.atMostOnce || !this.#ran.includes(number)) this.#ran.push(number)
      call.reply(call.payload, this.#epoch())
    }
  }
}

it('ordered calls run in their order and once, however the role moves', async () => {
  const states = fc.constantFrom('run' as const, 'refuse' as const, 'keep' as const)
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('call' as const), n: fc.nat(3) }) },
    fc.record({ kind: fc.constant('move' as const), to: fc.constantFrom(0, 1, null) }),
    fc.record({ kind: fc.constant('become' as const), who: fc.nat(1), state: states }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(60) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.boolean(), async (steps, atMostOnce) => {
      const world = new Kit('memory')
      const time = new ManualClock()
      const table = new Names()
      const ran: number[] = []
      let epoch = 1
      const callees = [0, 1].map(() => new Callee(ran, () => epoch))
      for (const [i, callee] of callees.entries()) {
        ;(await world.rmd(64 + i, { dedupe: () => false })).serve(callee.take)
      }
      const caller = await world.rmd(null, { clock: time, names: table })
      table.set('echo', null, epoch)
      const options = { to: '@echo', ordered: true, timeoutMs: 600_000, atMostOnce } as const
      const typed = caller.client(Echo, options)
      const answers: Promise<string>[] = []
      for (const one of steps) {
        if (one.kind === 'call') {
          for (let i = 0; i <= one.n; i += 1) answers.push(typed.echo(String(answers.length)))
        } else if (one.kind === 'become') callees[one.who]!.become(one.state)
        else if (one.kind === 'pass') await time.advance(one.ms)
        else {
          epoch += 1
          table.set('echo', one.to === null ? null : 64 + one.to, epoch)
        }
        await settled()
      }
      callees[0]!.become('refuse')
      await settled()
      epoch += 1
      table.set('echo', 65, epoch)
      callees[1]!.become('run')
      await time.advance(1_000)
      await Promise.all(answers)
      expect(ran).toEqual(answers.map((_, i) => i))
      await world.close()
    }),
    { numRuns: 60 },
  )
})

it('an ordered call that is given up while it waits lets those behind it go', async () => {
  server.serve((call) => call.reply(call.payload, 2))
  names.set('echo', null, 1)
  const typed = client.client(Echo, { to: '@echo', ordered: true })
  const controller = new AbortController()
  const first = rejection(typed.echo('first', { signal: controller.signal }))
  const second = typed.echo('second')
  controller.abort()
  expect(await first).toMatchObject({ code: 'INTERRUPT', mayHaveRun: false })
  names.set('echo', 64, 2)
  expect(await second).toBe('second')
})

it('a copy that reaches its callee after a standstill is not run again', async () => {
  const late = new ManualClock()
  const stopped = await kit.rmd(65, {}, { clock: late })
  let runs = 0
  stopped.serve(() => void (runs += 1))
  const ended = silent({ atMostOnce: true, timeoutMs: 5_000, tryTimeoutMs: 1_000 }, '1:65')
  await settled()
  // The callee stands still: a minute passes there before it reads the copy.
  await late.advance(60_000)
  await clock.advance(1_100)
  expect(await ended).toMatchObject({ code: 'TIMEOUT' })
  expect(runs).toBe(1)
})

it('a busy callee that says no hello for long is waited for as long as its callers do', async () => {
  const dial = await kit.rmd(null, { clock }, { clock })
  await kit.transport.listen({ node: 1, port: 70 }, (link) => {
    const ignore = (): void => {}
    link.start({ onOpen: ignore, onData: ignore, onWritten: ignore, onClose: ignore })
  })
  const ended = rejection(dial.call('1:70', 1, new Uint8Array(1), { timeoutMs: 20_000 }))
  await settled()
  await clock.advance(15_000)
  expect(dial.pendingCount).toBe(1)
  await clock.advance(5_100)
  expect(await ended).toMatchObject({ code: 'TIMEOUT', mayHaveRun: true })
})

it('a reply that an older call of another callee holds back is acknowledged when that one ends', async () => {
  const other = await kit.rmd(65)
  other.serve((call) => call.reply(call.payload))
  const older = client.client(Echo, { to: '1:64', atMostOnce: true }).echo('x')
  expect(await client.client(Echo, { to: '1:65', atMostOnce: true }).echo('y')).toBe('y')
  await clock.advance(1_500)
  expect(other.statistics().nAtmostOnceAcksRecvd).toBe(0)
  arrived[0]!.call.reply(arrived[0]!.call.payload)
  expect(await older).toBe('x')
  await clock.advance(1_500)
  expect(other.statistics().nAtmostOnceAcksRecvd).toBe(1)
  await clock.advance(5_000)
  expect(client.statistics().nAtmostOnceAcksSent).toBe(2)
})

it.each([
  [undefined, 'undefined'],
  [null, 'null'],
  [{ caller: 5 }, 'caller 5'],
  [{ node: 1 }, '1:undefined'],
  ['2:1024', '2:1024'],
])('refuses %j as a destination', (to, shown) => {
  const make = (): unknown => client.client(Echo, { to: to as string })
  expect(make).toThrow(`"${shown}" is no destination`)
})

it.each([
  [{ timeoutMs: '500' }, 'timeoutMs'],
  [{ timeoutMs: Number.NaN }, 'timeoutMs'],
  [{ signal: {} }, 'signal'],
  [{ priority: 'urgent' }, 'priority'],
])('refuses %j', async (options, word) => {
  const error = await rejection(client.client(Echo, { to: '1:64' }).echo('x', options as object))
  expect(error).toMatchObject({ code: 'INVALID_PARAMETER' })
  expect((error as Error).message).toContain(word)
})

it.each([
  [-1, new Uint8Array(1)],
  [1.5, new Uint8Array(1)],
  [2 ** 32, new Uint8Array(1)],
  [1, 'text'],
])('refuses a call by number %j with %j', async (number, payload) => {
  const error = await rejection(client.call('1:64', number, payload as Uint8Array))
  expect(error).toMatchObject({ code: 'INVALID_PARAMETER' })
  expect(() => client.stream('1:64', number, payload as Uint8Array)).toThrow(/give/)
})
