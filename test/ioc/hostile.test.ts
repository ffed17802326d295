import { connect, type Socket } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createRmd,
  type Heartbeat,
  openPort,
  type Port,
  type PresenceEvent,
  type Rmd,
  unixTransport,
} from '../../ioc/index.ts'
import {
  encodeHeartbeat,
  encodeHello,
  FLAG,
  type FrameHeader,
  HEADER_SIZE_BYTES,
  makeFrameHeader,
  PROTOCOL,
  socketDirectory,
  socketPath,
  viewOf,
  writeHeader,
} from '../../ioc/internal.ts'
import { Echo } from './rmd-kit.ts'

const AT = { node: 1, port: 64 }
const HELLO = { address: { node: 0, port: 0 }, caller: '00000000000000aa', name: 'stranger' }

function frame(header: Partial<FrameHeader>, payload = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE_BYTES + payload.length)
  writeHeader(viewOf(bytes), 0, { ...makeFrameHeader(), ...header }, payload.length)
  bytes.set(payload, HEADER_SIZE_BYTES)
  return bytes
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe('bytes of a peer that does not keep to the protocol', () => {
  let runDir = ''
  let port: Port
  let rmd: Rmd
  const lines: { reason: string; heldBack: number }[] = []
  const beats: [Heartbeat, string][] = []
  const presence: PresenceEvent[] = []
  const sockets: Socket[] = []

  beforeEach(async () => {
    for (const list of [lines, beats, presence]) list.length = 0
    runDir = mkdtempSync(join(tmpdir(), 'hf-'))
    port = await openPort({
      transport: unixTransport({ runDir }),
      ...AT,
      name: 'server',
      log: { warn: (fields) => void lines.push(fields as never), debug: () => {} },
      limits: { helloTimeoutMs: 100, connectionCountMax: 3 },
      onHeartbeat: (heartbeat, name) => beats.push([heartbeat, name]) > 0,
    })
    rmd = createRmd({ port })
    rmd.serve((call) => call.reply(call.payload))
    rmd.onPresence((event) => void presence.push(event))
  })
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await rmd.close()
    rmSync(runDir, { recursive: true })
  })

  const raw = (): { socket: Socket; received: () => Buffer; closed: () => boolean } => {
    const socket = connect(socketPath(socketDirectory(runDir), AT))
    sockets.push(socket)
    const chunks: Buffer[] = []
    let closed = false
    socket.on('data', (chunk) => void chunks.push(chunk))
    socket.on('close', () => {
      closed = true
    })
    socket.on('error', () => {})
    return { socket, received: () => Buffer.concat(chunks), closed: () => closed }
  }

  const works = async (): Promise<void> => {
    const transport = unixTransport({ runDir })
    const own = createRmd({ port: await openPort({ transport, port: null, name: 'client' }) })
    expect(await own.client(Echo, { to: AT }).echo('still serving')).toBe('still serving')
    await own.close()
  }

  const hello = Buffer.from(encodeHello(HELLO))
  it.each([
    ['text', 'tooLarge', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['zeros', 'tooShort', Buffer.alloc(100)],
    ['a frame without a hello', 'noHello', frame({ protocol: PROTOCOL.syncRequest })],
    ['a hello without a caller', 'noHello', frame({ protocol: PROTOCOL.hello })],
    ['a second hello', 'malformed', Buffer.concat([hello, hello])],
    [
      'another version',
      'wrongVersion',
      Buffer.concat([hello, frame({})]).map((byte, i) => (i === hello.length + 4 ? 9 : byte)),
    ],
    [
      'a header out of range',
      'malformed',
      Buffer.concat([hello, frame({ protocol: PROTOCOL.syncRequest, priority: 200 })]),
    ],
    [
      'a fragment without content',
      'fragment',
      Buffer.concat([hello, frame({ protocol: PROTOCOL.syncRequest, flags: FLAG.fragment })]),
    ],
  ])(
    'closes the connection after %s, counts and logs %s, and serves on',
    async (_name, reason, bytes) => {
      const peer = raw()
      peer.socket.write(bytes)
      await until(peer.closed)
      expect(port.faultCounts()).toEqual({ [reason]: 1 })
      expect(lines).toMatchObject([{ reason, heldBack: 0 }])
      await works()
    },
  )

  it('logs a reason once in a while, not each time', async () => {
    for (let i = 0; i < 5; i += 1) {
      const peer = raw()
      peer.socket.write(Buffer.alloc(100))
      await until(peer.closed)
    }
    expect(port.faultCounts()).toEqual({ tooShort: 5 })
    expect(lines.length).toBe(1)
  })

  it('drops and counts an unknown protocol and a reply that nobody waits for', async () => {
    const peer = raw()
    peer.socket.write(hello)
    peer.socket.write(frame({ protocol: 0x77 }))
    peer.socket.write(frame({ protocol: PROTOCOL.syncReply, messageId: 99 }))
    peer.socket.write(frame({ protocol: PROTOCOL.goodbye }))
    const request = { protocol: PROTOCOL.syncRequest, messageId: 1, rcOrTimeoutMs: 1_000 }
    peer.socket.write(frame(request, new Uint8Array([1, 2, 3])))
    await until(() => peer.received().length >= 2 * HEADER_SIZE_BYTES + 3)
    expect(peer.received().subarray(-3)).toEqual(Buffer.from([1, 2, 3]))
    expect(port.faultCounts()).toEqual({ unknownProtocol: 1 })
    expect(rmd.statistics()).toMatchObject({ nBadReplies: 1, nRmdRequests: 1 })
    expect(peer.closed()).toBe(false)
  })

  it('answers a request that says it carries a trace, and lies', async () => {
    const peer = raw()
    const request = { protocol: PROTOCOL.syncRequest, messageId: 1, rcOrTimeoutMs: 1_000 }
    const traced = { ...request, flags: FLAG.trace }
    const asked = [frame(traced, new Uint8Array(40)), frame(traced, new Uint8Array(3))]
    peer.socket.write(Buffer.concat([hello, ...asked]))
    await until(() => rmd.statistics()['nReplySend'] === 2)
    expect(rmd.statistics()).toMatchObject({ nRmdRequests: 2, nBadRequests: 2 })
    await until(() => peer.received().toString('latin1').split('MESSAGE_ERROR').length === 3)
    expect(peer.closed()).toBe(false)
  })

  it('closes a peer that says nothing', async () => {
    const peer = raw()
    await until(peer.closed)
    expect(port.faultCounts()).toEqual({ noHello: 1 })
  })

  it('refuses connections above its bound', async () => {
    const peers = [raw(), raw(), raw(), raw()]
    for (const peer of peers) peer.socket.write(hello)
    await until(() => peers.filter((peer) => peer.closed()).length === 1)
    expect(port.faultCounts()).toEqual({ tooManyConnections: 1 })
  })

  it('hands up heartbeats of a raw connection, which is neither presence nor a way to its sender', async () => {
    const peer = raw()
    const source = { node: 1, port: 200 }
    peer.socket.write(encodeHello({ ...HELLO, address: source, name: 'sequence1', monitor: true }))
    peer.socket.write(encodeHeartbeat({ source, beat: 7, stampAgeMs: 12 }))
    await until(() => beats.length === 1)
    expect(beats).toEqual([[{ source, beat: 7, stampAgeMs: 12 }, 'sequence1']])
    expect(presence).toEqual([])
    const payload = new Uint8Array(0)
    await expect(rmd.call(source, 1, payload)).rejects.toMatchObject({ code: 'COMP_UNREACHABLE' })
  })

  it('does not let a peer answer the calls of another', async () => {
    const victim = raw()
    victim.socket.write(encodeHello({ ...HELLO, caller: '00000000000000bb' }))
    const attacker = raw()
    attacker.socket.write(hello)
    await until(() => presence.length === 2)
    const call = rmd.call({ caller: '00000000000000bb' }, 1, new Uint8Array(0))
    await until(() => victim.received().length >= 2 * HEADER_SIZE_BYTES + 17)
    const header = { protocol: PROTOCOL.syncReply, messageId: 1 }
    attacker.socket.write(frame(header, new Uint8Array([6])))
    await until(() => rmd.statistics()['nBadReplies'] === 1)
    victim.socket.write(frame(header, new Uint8Array([5])))
    expect(await call).toEqual(new Uint8Array([5]))
  })

  it('does not crash on an error reply that is no error', async () => {
    const peer = raw()
    peer.socket.write(hello)
    await until(() => presence.length === 1)
    const call = rmd.call({ caller: HELLO.caller }, 1, new Uint8Array(0))
    const header = { protocol: PROTOCOL.syncReply, messageId: 1, rcOrTimeoutMs: 5 }
    await until(() => rmd.pendingCount === 1)
    peer.socket.write(frame(header, new Uint8Array([0xc1, 0xff])))
    await expect(call).rejects.toMatchObject({ code: 'MESSAGE_ERROR' })
  })

  it('answers a copy of a finished call from memory, and drops one that was acknowledged', async () => {
    let runs = 0
    rmd.serve((call) => {
      runs += 1
      call.reply(new Uint8Array([runs]))
    })
    const peer = raw()
    const once = { protocol: PROTOCOL.syncRequest, flags: FLAG.atMostOnce, rcOrTimeoutMs: 5_000 }
    const first = frame({ ...once, messageId: 1 })
    peer.socket.write(Buffer.concat([hello, first, first]))
    await until(() => rmd.statistics()['nResendReplies'] === 1)
    peer.socket.write(frame({ protocol: PROTOCOL.acknowledge, acknowledgedBelow: 2 }))
    peer.socket.write(first)
    await until(() => rmd.statistics()['nDupRequests'] === 2)
    const replyBytes = HEADER_SIZE_BYTES + 1
    await until(() => peer.received().length >= 2 * replyBytes)
    const answers = peer.received().subarray(-2 * replyBytes)
    expect([answers[replyBytes - 1], answers.at(-1)]).toEqual([1, 1])
    expect(runs).toBe(1)
    expect(rmd.statistics()).toMatchObject({ nReplySend: 1, nAtmostOnceAcksRecvd: 1 })
  })

  it('says so when a reply or a request is too big', async () => {
    const transport = unixTransport({ runDir })
    const limits = { messageSizeBytesMax: 2_000_000 }
    const small = await openPort({ transport, node: 1, port: 65, name: 'small', limits })
    const other = createRmd({ port: small })
    other.serve((call) => call.reply(new Uint8Array(2_000_001)))
    try {
      await expect(rmd.call('1:65', 1, new Uint8Array(0))).rejects.toMatchObject({
        code: 'TOO_BIG',
        mayHaveRun: true,
      })
      await expect(other.call(AT, 1, new Uint8Array(2_000_001))).rejects.toMatchObject({
        code: 'TOO_BIG',
        mayHaveRun: false,
      })
    } finally {
      await other.close()
    }
  })

  it('says that a call may have run whose request waits and will leave after its deadline', async () => {
    const peer = raw()
    peer.socket.pause()
    peer.socket.write(hello)
    await until(() => presence.length === 1)
    const long = new Uint8Array(8_000_000)
    const to = { caller: HELLO.caller }
    const late = rmd.call(to, 1, long, { timeoutMs: 50 })
    const small = rmd.call(to, 2, new Uint8Array(1), { timeoutMs: 50 })
    for (const call of [late, small]) {
      await expect(call).rejects.toMatchObject({ code: 'TIMEOUT', mayHaveRun: true })
    }
    peer.socket.resume()
    await until(() => peer.received().length > long.length)
  })

  it('bounds what waits for a peer that does not read', async () => {
    const peer = raw()
    peer.socket.pause()
    peer.socket.write(hello)
    await until(() => presence.length === 1)
    const big = new Uint8Array(1_000_000)
    const outcomes: string[] = []
    for (let i = 0; i < 40; i += 1) {
      const call = rmd.call({ caller: HELLO.caller }, 1, big, { timeoutMs: 600_000 })
      call.catch((error: unknown) => void outcomes.push((error as { code: string }).code))
    }
    await until(() => outcomes.length > 0)
    expect(new Set(outcomes)).toEqual(new Set(['TRY_AGAIN']))
    expect(rmd.pendingCount).toBeLessThanOrEqual(18)
    for (const connection of port.connections()) {
      expect(connection.queuedBytes).toBeLessThanOrEqual(port.limits.sendQueueBytesMax)
    }
  })
})
