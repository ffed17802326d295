import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  addressText,
  type IocDestination,
  createRmd,
  type FlowEvent,
  type IocMessage,
  openPort,
  type Port,
  type PortOptions,
  SEND_PRIORITY,
} from '../../ioc/index.ts'
import { Echo } from './rmd-kit.ts'
import { TRANSPORTS, type TransportSet } from './transports.ts'

const OWN = { protocol: 0x80 }

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** A port with every message that it was handed. */
interface Program {
  readonly port: Port
  readonly received: IocMessage[]
  readonly texts: () => string[]
}

describe.each(Object.entries(TRANSPORTS))('port over %s', (kind, make) => {
  let set: TransportSet
  const open: Port[] = []
  beforeEach(() => {
    set = make()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((port) => port.close()))
    set.dispose()
  })

  const program = async (
    node: number,
    port: number | null,
    options: Partial<PortOptions> = {},
  ): Promise<Program> => {
    const name = `program ${node}:${port}`
    const opened = await openPort({ transport: set.of(node), node, port, name, ...options })
    open.push(opened)
    const received: IocMessage[] = []
    opened.onMessage(0x80, (message) => void received.push(message))
    return {
      port: opened,
      received,
      texts: () => received.map(({ payload }) => Buffer.from(payload).toString()),
    }
  }

  /** Resolves when everything that was sent to a program before has been received there. */
  const flushed = async (from: Program, to: Program): Promise<void> => {
    const count = to.received.length
    from.port.send(addressText(to.port.address), text('.'), OWN)
    await until(() => to.received.length > count && to.texts().at(-1) === '.')
    to.received.pop()
  }

  const text = (value: string): Uint8Array => Buffer.from(value)

  it('sends to an address, with source, name, protocol and priority', async () => {
    const server = await program(1, 64)
    const client = await program(2, 65)
    const options = { protocol: 0x80, priority: SEND_PRIORITY.high }
    expect(client.port.send('1:64', text('hello'), options)).toEqual({
      receiverCount: 1,
      refused: [],
    })
    await until(() => server.received.length === 1)
    expect(server.received[0]).toMatchObject({
      source: { node: 2, port: 65 },
      caller: client.port.caller,
      name: 'program 2:65',
      destination: { kind: 'physical', address: { node: 1, port: 64 } },
      protocol: 0x80,
      priority: 1,
    })
    expect(server.texts()).toEqual(['hello'])
  })

  it('reaches every member of a group once, on every node, and never the sender', async () => {
    const sender = await program(1, 64)
    const members = [await program(1, 65), await program(2, 66), await program(2, null)]
    const stranger = await program(2, 67)
    for (const { port } of [sender, ...members]) port.joinGroup('news')
    // A program that listens nowhere is a receiver of those to which it is connected.
    members[2]!.port.send('1:64', text('here I am'), OWN)
    await until(() => sender.received.length === 1)
    for (let i = 0; i < 5; i += 1) sender.port.send('#news', text(`${i}`), OWN)
    await until(() => members.every(({ received }) => received.length === 5))
    await flushed(sender, stranger)
    for (const { texts } of members) expect(texts()).toEqual(['0', '1', '2', '3', '4'])
    expect(stranger.texts()).toEqual([])
    expect(sender.texts()).toEqual(['here I am'])
    expect(members[0]!.received[0]!.destination).toEqual({ kind: 'multicast', group: 'news' })
    // By now everybody's groups are known: the stranger gets nothing that it would have to drop.
    const drops = stranger.port.statistics().drops['notInGroup']
    sender.port.send('#news', text('last'), OWN)
    await flushed(sender, stranger)
    expect(stranger.port.statistics().drops['notInGroup']).toBe(drops)
  })

  it('follows who joins and leaves while connected', async () => {
    const sender = await program(1, 64)
    const member = await program(2, 65)
    await flushed(sender, member)
    await flushed(member, sender)
    sender.port.send('#late', text('nobody'), OWN)
    member.port.joinGroup('late')
    await flushed(member, sender)
    sender.port.send('#late', text('one'), OWN)
    await flushed(sender, member)
    member.port.leaveGroup('late')
    await flushed(member, sender)
    sender.port.send('#late', text('two'), OWN)
    await flushed(sender, member)
    // What it was no member of did not even travel.
    expect(member.port.statistics().drops).toEqual({})
    expect(member.texts()).toEqual(['one'])
  })

  it('broadcasts to one port of every node, and within a node', async () => {
    const sender = await program(1, 64)
    const sameNode = await program(1, 65)
    const otherNode = await program(2, 64)
    const otherPort = await program(2, 66)
    sender.port.send('*:64', text('to 64'), OWN)
    sender.port.send('*:66', text('to 66'), OWN)
    sender.port.send('.:*', text('inside'), OWN)
    await until(() => sameNode.received.length > 0 && otherPort.received.length > 0)
    await flushed(sender, otherNode)
    expect(sender.texts()).toEqual([])
    expect(sameNode.texts()).toEqual(['inside'])
    expect(otherNode.texts()).toEqual(['to 64'])
    expect(otherPort.texts()).toEqual(['to 66'])
    expect(sameNode.received[0]!.destination).toEqual({ kind: 'intranode' })
    expect(otherNode.received[0]!.destination).toEqual({ kind: 'broadcast', port: 64 })
  })

  it('carries a long message to a group in pieces', async () => {
    const limits = { frameSizeBytesMax: 1_024 }
    const sender = await program(1, 64, { limits })
    const member = await program(2, 65, { limits })
    member.port.joinGroup('bulk')
    const long = new Uint8Array(100_000).map((_, i) => i * 7)
    sender.port.send('#bulk', long, OWN)
    await until(() => member.received.length === 1)
    expect(Buffer.compare(long, member.received[0]!.payload)).toBe(0)
  })

  it('lets urgent messages overtake, keeps the order of one priority, and interleaves pieces', async () => {
    const sender = await program(1, 64)
    const receiver = await program(2, 65)
    await flushed(sender, receiver)
    const low = { protocol: 0x80, priority: SEND_PRIORITY.low }
    const high = { protocol: 0x80, priority: SEND_PRIORITY.high }
    sender.port.send('2:65', Buffer.alloc(16_000_000, 'l'), low)
    sender.port.send('2:65', text('low'), low)
    for (const name of ['a', 'b', 'c']) sender.port.send('2:65', text(name), OWN)
    for (const name of ['1', '2', '3']) sender.port.send('2:65', text(name), high)
    await until(() => receiver.received.length >= 1)
    // The bulk is under way: what is sent now goes between its pieces.
    sender.port.send('2:65', text('4'), high)
    await until(() => receiver.received.length === 9)
    const order = receiver.texts().map((value) => (value.length > 1_000 ? 'bulk' : value))
    expect(order.filter((value) => '1234'.includes(value))).toEqual(['1', '2', '3', '4'])
    expect(order.filter((value) => 'abc'.includes(value))).toEqual(['a', 'b', 'c'])
    expect(order.slice(-2)).toEqual(['bulk', 'low'])
  })

  it('writes the 8th message of a turn at once with those before it, then the 16th after that', async () => {
    const receiver = await program(1, 65)
    const sender = await program(1, 64)
    await flushed(sender, receiver)
    const earlier = receiver.received.length
    const written = (): number => sender.port.statistics().bytesOut
    const writes: number[] = []
    for (let i = 1; i <= 40; i += 1) {
      const before = written()
      sender.port.send('1:65', text(String(i)), OWN)
      if (written() > before) writes.push(i)
    }
    // A write over TLS is not finished within the turn.
    expect(writes).toEqual(kind.includes('tls') ? [8] : [8, 24])
    await until(() => receiver.received.length === earlier + 40)
    const expected = Array.from({ length: 40 }, (_, i) => String(i + 1))
    expect(receiver.texts().slice(earlier)).toEqual(expected)
  })

  it('tells who comes and goes, in order, and who is there', async () => {
    const watcher = await program(1, 64)
    const told: string[] = []
    watcher.port.onPresence(({ kind, name }) => void told.push(`${kind} ${name}`))
    watcher.port.onNodePresence(({ kind, node }) => void told.push(`${kind} ${node}`))
    const first = await program(2, 65)
    await flushed(first, watcher)
    const second = await program(2, 66)
    await flushed(second, watcher)
    const guest = await program(2, null)
    await flushed(guest, watcher)
    expect(watcher.port.nodes()).toEqual([2])
    expect(watcher.port.peers().map(({ name }) => name)).toEqual([
      'program 2:65',
      'program 2:66',
      'program 2:null',
    ])
    for (const { port } of [first, second, guest]) await port.close()
    await until(() => watcher.port.peers().length === 0)
    expect(watcher.port.nodes()).toEqual([])
    expect(told).toEqual([
      'nodeArrival 2',
      'arrival program 2:65',
      'arrival program 2:66',
      'arrival program 2:null',
      'death program 2:65',
      'death program 2:66',
      'nodeLeave 2',
      'death program 2:null',
    ])
  })

  it('ends what is pending at a node that is said to be gone', async () => {
    const server = await openPort({ transport: set.of(2), node: 2, port: 65, name: 'server' })
    const serving = createRmd({ port: server })
    let calls = 0
    serving.serve(() => void (calls += 1))
    const port = await openPort({ transport: set.of(1), node: 1, port: null, name: 'client' })
    open.push(server, port)
    const rmd = createRmd({ port })
    const call = rmd.client(Echo, { to: '2:65', timeoutMs: 600_000 }).echo('anybody there')
    await until(() => calls === 1)
    port.disconnectNode(1)
    expect(rmd.pendingCount).toBe(1)
    port.disconnectNode(2)
    await expect(call).rejects.toMatchObject({ code: 'COMP_UNREACHABLE', mayHaveRun: true })
  })

  it('counts frames and bytes of a port and of each peer', async () => {
    const server = await program(1, 64)
    const client = await program(2, 65)
    for (let i = 0; i < 10; i += 1) client.port.send('1:64', text('12345'), OWN)
    await until(() => server.received.length === 10)
    const sent = client.port.statistics()
    const got = server.port.statistics()
    expect(got.framesIn).toBe(11) // and the hello
    expect(got.bytesIn).toBe(sent.bytesOut)
    expect(sent).toMatchObject({ framesOut: 10, connectionCount: 1, refusedCount: 0, drops: {} })
    expect(sent.queuedBytesHigh).toBeGreaterThan(500)
    expect(got.peers).toMatchObject([{ name: 'program 2:65', framesIn: 11 }])
    await client.port.close()
    await until(() => server.port.statistics().connectionCount === 0)
    const after = server.port.statistics()
    expect([after.framesIn >= 11, after.connectionsMade, after.peers]).toEqual([true, 1, []])
  })

  it('tells a program for which there is no room why it is turned away', async () => {
    const server = await program(1, 64, { limits: { connectionCountMax: 1 } })
    await flushed(await program(2, 65), server)
    const comings: string[] = []
    server.port.onPresence(({ kind, address }) => comings.push(`${kind} ${addressText(address)}`))
    const late = createRmd({ port: (await program(2, 66)).port })
    const call = late.client(Echo, { to: '1:64' }).echo('any room')
    await expect(call).rejects.toThrow(/1:64 has as many connections as it takes/)
    expect(server.port.statistics().drops).toEqual({ tooManyConnections: 1 })
    await until(() => server.port.statistics().connectionCount === 1)
    expect(comings).toEqual([])
  })

  it('tells who waits for room when the slow receiver is gone', async () => {
    const sender = await program(1, 64, { limits: { sendQueueBytesMax: 100_000 } })
    const receiver = await program(2, 65)
    await flushed(sender, receiver)
    const events: string[] = []
    sender.port.onFlow(({ kind, lane, address }) => {
      events.push(`${kind} ${lane} ${addressText(address!)}`)
      if (kind === 'resumed') sender.port.send('2:65', text('again'), OWN)
    })
    sender.port.send('2:65', Buffer.alloc(90_000), OWN)
    expect(() => sender.port.send('2:65', Buffer.alloc(90_000), OWN)).toThrow(/full until/)
    sender.port.disconnectNode(2)
    await until(() => receiver.texts().at(-1) === 'again')
    expect(events).toEqual(['blocked normal 2:65', 'resumed normal 2:65'])
  })

  it.each([
    [{ kind: 'physical', address: { node: 0, port: 64 } }, '0:64'],
    [{ kind: 'broadcast', port: 70_000 }, '*:70000'],
    [{ kind: 'multicast', group: 'x'.repeat(300) }, '#xxx'],
    [{ kind: 'logical', name: '' }, '@'],
    [undefined, 'undefined'],
    [{ node: 1, port: 64 }, 'node'],
  ])('refuses %j as a destination', async (to, shown) => {
    const { port } = await program(1, 64)
    const send = (): unknown => port.send(to as IocDestination, text('x'), OWN)
    expect(send).toThrow(shown)
    expect(send).toThrow(/is no destination: give/)
  })

  it('refuses a payload that is none', async () => {
    const { port } = await program(1, 64)
    expect(() => port.send('1:65', 'text' as unknown as Uint8Array, OWN)).toThrow(/Uint8Array/)
  })

  it('refuses to make more connections than its bound', async () => {
    const client = await program(1, 64, { limits: { connectionCountMax: 1 } })
    await flushed(client, await program(2, 65))
    await program(2, 66)
    expect(() => client.port.send('2:66', text('x'), OWN)).toThrow(/limit of 1/)
  })

  it('refuses a sender at the high watermark and resumes it at the low one', async () => {
    const limits = { sendQueueBytesMax: 400_000, sendQueueBytesLow: 100_000 }
    const sender = await program(1, 64, { limits })
    const receiver = await program(2, 65)
    await flushed(sender, receiver)
    const events: FlowEvent[] = []
    sender.port.onFlow((event) => void events.push(event))
    const piece = Buffer.alloc(50_000)
    let accepted = 0
    let refusal: unknown
    while (refusal === undefined && accepted < 100) {
      try {
        sender.port.send('2:65', piece, OWN)
        accepted += 1
      } catch (error) {
        refusal = error
      }
    }
    expect(refusal).toMatchObject({ code: 'TRY_AGAIN', retryable: true })
    expect(accepted).toBe(7)
    expect(() => sender.port.send('2:65', new Uint8Array(1), OWN)).toThrow(/full until/)
    // Another lane has room of its own.
    sender.port.send('2:65', text('urgent'), { protocol: 0x80, priority: SEND_PRIORITY.high })
    await until(() => events.length === 2)
    expect(events).toMatchObject([
      { kind: 'blocked', lane: 'normal', address: { node: 2, port: 65 } },
      { kind: 'resumed', lane: 'normal', caller: receiver.port.caller },
    ])
    sender.port.send('2:65', text('after'), OWN)
    await until(() => receiver.texts().at(-1) === 'after')
    expect(receiver.received.length).toBe(9)
    expect(sender.port.statistics()).toMatchObject({ refusedCount: 2, drops: { sendQueueFull: 1 } })
  })
})
