import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SdkError } from '../../idl/index.ts'
import { createRmd, type IncomingCall, openPort, type Rmd } from '../../ioc/index.ts'
import { Echo, Kit, Names, rejection } from './rmd-kit.ts'

/** Answers `echo` with the text and `epoch`. */
const echoing =
  (suffix = '', epoch = 0) =>
  (call: IncomingCall): void => {
    const { input, output } = Echo.methods.echo
    call.reply(output.encode(input.decode(call.payload) + suffix), epoch)
  }

const text = (call: IncomingCall): string => Echo.methods.echo.input.decode(call.payload)

/** Resolves when `holds` does; the test's own time-out is the deadline. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe.each(['memory', 'unix'] as const)('RMD over %s', (kind) => {
  let kit: Kit
  beforeEach(() => {
    kit = new Kit(kind)
  })
  afterEach(() => kit.close())

  const echoClient = (rmd: Rmd, to: string, options = {}): ReturnType<typeof rmd.client> =>
    rmd.client(Echo, { to, ...options })

  it('answers a call to an address', async () => {
    const server = await kit.rmd(64)
    server.serve(echoing('!'))
    const client = await kit.rmd(null)
    expect(await client.client(Echo, { to: '1:64' }).echo('hello')).toBe('hello!')
    expect(client.pendingCount).toBe(0)
    expect(client.address).toEqual({ node: 0, port: 0 })
  })

  it('answers many calls in flight, each with its own reply', async () => {
    const server = await kit.rmd(64)
    server.serve(echoing())
    const client = (await kit.rmd(0)).client(Echo, { to: '1:64' })
    const texts = Array.from({ length: 3_000 }, (_, i) => `text ${i}`)
    expect(await Promise.all(texts.map((each) => client.echo(each)))).toEqual(texts)
  })

  it('carries a message of many fragments both ways', async () => {
    const server = await kit.rmd(64)
    server.serve((call) => call.reply(call.payload))
    const client = await kit.rmd(null)
    const content = new Uint8Array(5_000_000).map((_, i) => i * 7)
    const back = await client.client(Echo, { to: '1:64' }).bytes(content)
    expect(Buffer.compare(back, content)).toBe(0)
  })

  it('calls a function with a caller id over the connection that the caller opened', async () => {
    const server = await kit.rmd(64)
    const client = await kit.rmd(null)
    client.serve(echoing(' from the client'))
    let caller = ''
    server.serve((call) => {
      caller = call.caller
      echoing()(call)
    })
    await echoClient(client, '1:64').echo!('x')
    expect(caller).toBe(client.caller)
    const back = server.client(Echo, { to: { caller } })
    expect(await back.echo('hi')).toBe('hi from the client')
    const gone = server.client(Echo, { to: { caller: '0123456789abcdef' } })
    expect(await rejection(gone.echo('x'))).toMatchObject({ code: 'COMP_UNREACHABLE' })
  })

  it('fails at once where nobody listens', async () => {
    const client = await kit.rmd(null)
    const error = await rejection(echoClient(client, '1:77').echo!('x'))
    expect(error).toMatchObject({ code: 'COMP_UNREACHABLE', mayHaveRun: false, retryable: true })
  })

  it('hands a one-way call over and drops its output', async () => {
    const seen: string[] = []
    const server = await kit.rmd(64)
    server.serve((call) => {
      seen.push(`${text(call)} ${call.oneWay}`)
      echoing()(call)
    })
    const client = await kit.rmd(null)
    const typed = client.client(Echo, { to: '1:64', oneWay: true })
    expect(await typed.echo('a')).toBe(undefined)
    expect(await typed.echo('b')).toBe(undefined)
    await until(() => seen.length === 2)
    expect(seen).toEqual(['a true', 'b true'])
    const nobody = client.client(Echo, { to: '1:65', oneWay: true })
    expect(await rejection(nobody.echo('c'))).toMatchObject({ code: 'COMP_UNREACHABLE' })
  })

  it.each([
    ['high', 1],
    ['low', 2],
    ['default', 0],
  ] as const)('answers a call of priority %s with that priority', async (priority, number) => {
    const server = await kit.rmd(64)
    server.serve(echoing())
    const port = await openPort({ transport: kit.transport, port: null, name: 'raw' })
    const seen: number[] = []
    const rmd = createRmd({ port })
    // What RMD is told, looked at on its way.
    const connection = port.connectionTo({ node: 1, port: 64 })
    port.attach({
      onMessage: (_, header) => seen.push(header.priority) > 0,
      onLinkOpen: () => {},
      onHello: () => {},
      onClose: () => {},
    })
    const call = rejection(rmd.client(Echo, { to: '1:64', priority }).echo('x'))
    await until(() => seen.length === 1)
    expect(seen).toEqual([number])
    expect(connection.usable).toBe(true)
    await rmd.close()
    expect(await call).toMatchObject({ code: 'INTERRUPT' })
  })

  it('revives the error of the callee', async () => {
    const server = await kit.rmd(64)
    server.serve((call) =>
      call.fail(new SdkError('NO_SPACE', 'full up', { context: { bytes: 7 } })),
    )
    const client = await kit.rmd(null)
    const error = await rejection(echoClient(client, '1:64').echo!('x'))
    expect(error).toMatchObject({ code: 'NO_SPACE', message: 'full up', retryable: false })
    expect(error).toMatchObject({ context: { bytes: 7, origin: 'program 64' } })
  })

  it('answers HANDLER_FAILED when the dispatcher throws, and FUNC_NOT_REGISTERED without one', async () => {
    const server = await kit.rmd(64)
    const client = echoClient(await kit.rmd(null), '1:64')
    expect(await rejection(client.echo!('x'))).toMatchObject({ code: 'FUNC_NOT_REGISTERED' })
    server.serve(() => {
      throw new TypeError('oops')
    })
    expect(await rejection(client.echo!('x'))).toMatchObject({ code: 'HANDLER_FAILED' })
  })

  it('answers HANDLER_FAILED when it is failed with what is no SdkError', async () => {
    const server = await kit.rmd(64)
    server.serve((call) => call.fail('a text' as never))
    const client = echoClient(await kit.rmd(null), '1:64')
    expect(await rejection(client.echo!('x'))).toMatchObject({ code: 'HANDLER_FAILED' })
  })

  it('sends nothing of a reply with an epoch that is no safe integer, and goes on', async () => {
    const server = await kit.rmd(64)
    const thrown: unknown[] = []
    server.serve((call) => {
      try {
        echoing('', text(call) === 'bad' ? 1.5 : 1)(call)
      } catch (error) {
        thrown.push(error)
      }
    })
    const client = echoClient(await kit.rmd(null), '1:64')
    const bad = rejection(client.echo!('bad', { timeoutMs: 50 }))
    expect(await client.echo!('good')).toBe('good')
    expect(await bad).toMatchObject({ code: 'TIMEOUT' })
    expect(thrown[0]).toBeInstanceOf(RangeError)
  })

  it('ends a call at its deadline, and the callee was told the deadline', async () => {
    let leftMs = 0
    const server = await kit.rmd(64)
    server.serve((call) => {
      leftMs = call.deadlineMs - performance.now()
    })
    const client = await kit.rmd(null)
    const error = await rejection(echoClient(client, '1:64', { timeoutMs: 60 }).echo!('x'))
    expect(error).toMatchObject({ code: 'TIMEOUT', mayHaveRun: true })
    expect(leftMs).toBeGreaterThan(0)
    expect(leftMs).toBeLessThanOrEqual(61)
    expect(client.pendingCount).toBe(0)
  })

  it('fails pending calls at once when the callee goes', async () => {
    const server = await kit.rmd(64)
    let arrived = 0
    server.serve(() => {
      arrived += 1
    })
    const client = await kit.rmd(null)
    const typed = client.client(Echo, { to: '1:64', timeoutMs: 600_000 })
    const calls = [rejection(typed.echo('a')), rejection(typed.echo('b', { atMostOnce: true }))]
    await until(() => arrived === 2)
    await server.close()
    for (const error of await Promise.all(calls)) {
      expect(error).toMatchObject({ code: 'COMP_UNREACHABLE', mayHaveRun: true, retryable: false })
    }
  })

  it('tells arrivals and deaths', async () => {
    const server = await kit.rmd(64)
    server.serve(echoing())
    const events: string[] = []
    const stop = server.onPresence((event) => events.push(`${event.kind} ${event.name}`))
    const client = await kit.rmd(70)
    await echoClient(client, '1:64').echo!('x')
    expect(events).toEqual(['arrival program 70'])
    await client.close()
    await until(() => events.length === 2)
    expect(events[1]).toBe('death program 70')
    stop()
  })

  it('uses one connection for both directions', async () => {
    const one = await kit.rmd(64)
    const two = await kit.rmd(65)
    one.serve(echoing('1'))
    two.serve(echoing('2'))
    let arrivals = 0
    one.onPresence(() => {
      arrivals += 1
    })
    expect(await echoClient(two, '1:64').echo!('x')).toBe('x1')
    expect(await echoClient(one, '1:65').echo!('x')).toBe('x2')
    expect(arrivals).toBe(1)
  })

  it('reaches itself through its own port', async () => {
    const self = await kit.rmd(64)
    self.serve(echoing())
    expect(await echoClient(self, '1:64').echo!('me')).toBe('me')
  })

  it('gives up by signal, before and during the call', async () => {
    const server = await kit.rmd(64)
    const arrived: IncomingCall[] = []
    server.serve((call) => void arrived.push(call))
    const client = echoClient(await kit.rmd(null), '1:64')
    const controller = new AbortController()
    const pending = rejection(client.echo!('x', { signal: controller.signal }))
    await until(() => arrived.length === 1)
    controller.abort()
    expect(await pending).toMatchObject({ code: 'INTERRUPT', mayHaveRun: true })
    const late = rejection(client.echo!('x', { signal: controller.signal }))
    expect(await late).toMatchObject({ code: 'INTERRUPT', mayHaveRun: false })
    expect(arrived.length).toBe(1)
  })

  it('fails what is pending when it closes, and refuses later calls', async () => {
    const server = await kit.rmd(64)
    let arrived = 0
    server.serve(() => {
      arrived += 1
    })
    const client = await kit.rmd(null)
    const typed = client.client(Echo, { to: '1:64' })
    const pending = rejection(typed.echo('x'))
    await until(() => arrived === 1)
    await client.close()
    expect(await pending).toMatchObject({ code: 'INTERRUPT', mayHaveRun: true })
    expect(await rejection(typed.echo('x'))).toMatchObject({ code: 'NOT_INITIALIZED' })
  })

  describe('by name', () => {
    it('fails at once for an unknown name, and waits for the table before it says so', async () => {
      const names = new Names(false)
      const client = await kit.rmd(null, { names })
      const early = client.client(Echo, { to: '@echo', timeoutMs: 30 })
      expect(await rejection(early.echo('x'))).toMatchObject({ code: 'TIMEOUT', mayHaveRun: false })
      const waiting = rejection(client.client(Echo, { to: '@echo' }).echo('x'))
      names.becomeReady()
      expect(await waiting).toMatchObject({ code: 'NAME_NOT_FOUND' })
    })

    it('waits for somebody to be active, until the deadline', async () => {
      const names = new Names()
      names.set('echo', null, 0)
      const client = (await kit.rmd(null, { names })).client(Echo, { to: '@echo' })
      const late = rejection(client.echo('x', { timeoutMs: 30 }))
      expect(await late).toMatchObject({ code: 'TL_ACTIVE_INST_NOT_PRESENT' })
      const server = await kit.rmd(64)
      server.serve(echoing())
      const waiting = client.echo('y')
      names.set('echo', 64, 1)
      expect(await waiting).toBe('y')
    })

    it('follows a failover: at-most-once calls keep their id, plain ones may have run', async () => {
      const names = new Names()
      const one = await kit.rmd(64)
      const two = await kit.rmd(65)
      names.set('echo', 64, 1)
      const first: IncomingCall[] = []
      one.serve((call) => void first.push(call))
      const second: number[] = []
      two.serve((call) => {
        second.push(call.messageId)
        echoing(' two', 2)(call)
      })
      const client = await kit.rmd(null, { names })
      const typed = client.client(Echo, { to: '@echo' })
      const plain = rejection(typed.echo('plain'))
      const once = typed.echo('once', { atMostOnce: true })
      await until(() => first.length === 2)
      await one.close()
      expect(await plain).toMatchObject({ code: 'COMP_UNREACHABLE', mayHaveRun: true })
      names.set('echo', 65, 2)
      expect(await once).toBe('once two')
      expect(second).toEqual([first.find((call) => call.atMostOnce)!.messageId])
    })

    it('sends an at-most-once call again as soon as the name moves, with the old one still there', async () => {
      const names = new Names()
      const one = await kit.rmd(64)
      const two = await kit.rmd(65)
      names.set('echo', 64, 1)
      const first: IncomingCall[] = []
      one.serve((call) => void first.push(call))
      two.serve(echoing(' two', 2))
      const client = await kit.rmd(null, { names })
      const once = client.client(Echo, { to: '@echo', atMostOnce: true }).echo('x')
      await until(() => first.length === 1)
      names.set('echo', 65, 2)
      expect(await once).toBe('x two')
      first[0]!.reply(Echo.methods.echo.output.encode('too late'), 1)
      await until(() => client.statistics()['nBadReplies'] === 1)
    })

    it('drops a reply of an older epoch', async () => {
      const names = new Names()
      const one = await kit.rmd(64)
      names.set('echo', 64, 5)
      one.serve(echoing(' stale', 4))
      const client = await kit.rmd(null, { names })
      const typed = client.client(Echo, { to: '@echo' })
      const plain = await rejection(typed.echo('x'))
      expect(plain).toMatchObject({ code: 'COMP_UNREACHABLE', mayHaveRun: true })
      const once = typed.echo('y', { atMostOnce: true })
      await until(() => client.statistics()['nBadReplies']! >= 2)
      const two = await kit.rmd(65)
      two.serve(echoing(' fresh', 6))
      names.set('echo', 65, 6)
      expect(await once).toBe('y fresh')
    })

    it('asks again after NOT_ACTIVE, plain calls too', async () => {
      const names = new Names()
      const server = await kit.rmd(64)
      names.set('echo', 64, 1)
      let refusals = 0
      server.serve((call) => {
        refusals += 1
        if (refusals > 3) echoing()(call)
        else call.fail(new SdkError('NOT_ACTIVE', 'standby'))
      })
      const client = (await kit.rmd(null, { names })).client(Echo, { to: '@echo' })
      expect(await client.echo('x')).toBe('x')
      expect(refusals).toBe(4)
    })
  })

  describe('at most once', () => {
    it('runs a call once although it is asked for again and again', async () => {
      const server = await kit.rmd(64)
      const runs: IncomingCall[] = []
      server.serve((call) => void runs.push(call))
      const names = new Names()
      names.set('echo', 64, 1)
      const client = await kit.rmd(null, { names })
      const once = client.client(Echo, { to: '@echo', atMostOnce: true }).echo('x')
      await until(() => runs.length === 1)
      names.set('echo', 64, 2)
      names.set('echo', 64, 3)
      await until(() => server.statistics()['nDupRequests']! >= 2)
      runs[0]!.reply(Echo.methods.echo.output.encode('done'), 3)
      expect(await once).toBe('done')
      expect(runs.length).toBe(1)
    })

    it('asks again after TRY_AGAIN and the refusal is not kept; a plain call gets it', async () => {
      const server = await kit.rmd(64)
      let tries = 0
      server.serve((call) => {
        tries += 1
        if (tries > 2) echoing()(call)
        else call.fail(new SdkError('TRY_AGAIN', 'later'))
      })
      const client = echoClient(await kit.rmd(null), '1:64')
      expect(await rejection(client.echo!('x'))).toMatchObject({ code: 'TRY_AGAIN' })
      expect(await client.echo!('y', { atMostOnce: true })).toBe('y')
      expect(tries).toBe(3)
    })

    it('tells the callee what it need not keep', async () => {
      const acknowledged: number[] = []
      const server = await kit.rmd(64, {
        onAcknowledged: (_caller, below) => void acknowledged.push(below),
      })
      const below: number[] = []
      server.serve((call) => {
        below.push(call.acknowledgedBelow)
        echoing()(call)
      })
      const client = echoClient(await kit.rmd(null), '1:64', { atMostOnce: true })
      await client.echo!('a')
      await client.echo!('b')
      expect(below).toEqual([1, 2])
      await until(() => acknowledged.length === 1)
      expect(acknowledged).toEqual([3])
    })

    it('leaves replies to the floor above where it is told to', async () => {
      const server = await kit.rmd(64, { dedupe: () => false })
      let runs = 0
      server.serve((call) => {
        runs += 1
        if (runs < 3) call.fail(new SdkError('INUSE', 'still running'))
        else echoing()(call)
      })
      const client = echoClient(await kit.rmd(null), '1:64', { atMostOnce: true })
      expect(await client.echo!('x')).toBe('x')
      expect(runs).toBe(3)
    })
  })

  it('refuses with TRY_AGAIN above the bound of the send queue, and recovers', async () => {
    const server = await kit.rmd(64)
    server.serve((call) => call.reply(new Uint8Array(0)))
    const limits = { sendQueueBytesMax: 100_000 }
    const client = await kit.rmd(null, {}, { limits })
    const payload = new Uint8Array(30_000)
    const calls = Array.from({ length: 10 }, () =>
      client.call('1:64', 20 * 64, payload).then(
        () => 'ok',
        (error: unknown) => (error as SdkError).code,
      ),
    )
    const outcomes = await Promise.all(calls)
    expect(outcomes.slice(0, 3)).toEqual(['ok', 'ok', 'ok'])
    expect(outcomes.slice(3)).toEqual(Array.from({ length: 7 }, () => 'TRY_AGAIN'))
    expect((await client.call('1:64', 20 * 64, payload)).length).toBe(0)
    const many = Array.from({ length: 10 }, () =>
      client.call('1:64', 20 * 64, payload, { atMostOnce: true }),
    )
    expect((await Promise.all(many)).length).toBe(10)
  })

  it.each([
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ timeoutMs: Number.NaN }, 'timeoutMs'],
    [{ epoch: -1 }, 'epoch'],
    [{ priority: 'urgent' as never }, 'priority'],
  ])('refuses the options %j', async (options, word) => {
    const client = await kit.rmd(null)
    const error = await rejection(client.call('1:64', 1, new Uint8Array(0), options))
    expect(error).toMatchObject({ code: 'INVALID_PARAMETER' })
    expect((error as Error).message).toContain(word)
  })

  it.each(['', '@', '2:0', '1024:1', 'x:1', { node: 0, port: 5 }])(
    'refuses the destination %j',
    async (to) => {
      const client = await kit.rmd(null)
      const error = await rejection(client.call(to, 1, new Uint8Array(0)))
      expect(error).toMatchObject({ code: 'INVALID_PARAMETER' })
    },
  )

  it('counts in the order of the reference', async () => {
    const server = await kit.rmd(64)
    server.serve(echoing())
    const client = await kit.rmd(null)
    await echoClient(client, '1:64').echo!('x')
    const counters = client.statistics()
    expect(Object.keys(counters).length).toBe(21)
    expect(Object.keys(counters).slice(0, 5)).toEqual([
      'nRmdCalls',
      'nFailedCalls',
      'nResendRequests',
      'nFailedResendRequests',
      'nRmdReplies',
    ])
    expect(counters).toMatchObject({ nRmdCalls: 1, nRmdReplies: 1, nFailedCalls: 0 })
    expect(server.statistics()).toMatchObject({ nRmdRequests: 1, nReplySend: 1 })
  })
})
