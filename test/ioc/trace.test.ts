import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { type IncomingCall, newTrace } from '../../ioc/index.ts'
import { FrameParser } from '../../ioc/frame-parser.ts'
import {
  encodeHello,
  FLAG,
  type FrameHeader,
  HEADER_SIZE_BYTES,
  makeFrameHeader,
  PROTOCOL,
  readHeader,
  viewOf,
  writeHeader,
} from '../../ioc/frame.ts'
import { encodeTraced, trySplitTraced } from '../../ioc/rmd/trace.ts'
import type { Link } from '../../ioc/transport/transport.ts'
import { Echo, Kit, rejection } from './rmd-kit.ts'

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
let kit: Kit
afterEach(() => kit?.close())

const digits = (count: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: count / 2, maxLength: count / 2 })
    .filter((bytes) => bytes.some((byte) => byte !== 0))
    .map((bytes) => Buffer.from(bytes).toString('hex'))

it('reads back what was written, and takes no bytes for what they are not', () => {
  fc.assert(
    fc.property(digits(32), digits(16), fc.uint8Array(), (id, span, payload) => {
      const trace = `00-${id}-${span}-00`
      expect(trySplitTraced(encodeTraced(trace, payload))).toEqual({ trace, payload })
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (content) => {
      const split = trySplitTraced(content)
      if (split !== undefined) expect(encodeTraced(split.trace, split.payload)).toEqual(content)
      else expect(content.length < 25 || content.subarray(0, 24).includes(0)).toBe(true)
    }),
  )
  expect(trySplitTraced(new Uint8Array(60))).toBe(undefined)
})

it('makes new ones, each another', () => {
  const made = Array.from({ length: 100 }, newTrace)
  expect(new Set(made).size).toBe(100)
  for (const trace of made) expect(trace).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
})

it.each([['memory'], ['unix']] as const)(
  'travels with every kind of call over %s',
  async (kind) => {
    kit = new Kit(kind)
    const server = await kit.rmd(64)
    const seen: [string, string | undefined][] = []
    server.serve((call: IncomingCall) => {
      seen.push([Echo.methods.echo.input.decode(call.payload), call.trace])
      call.stream?.send(call.payload)
      call.reply(call.payload)
    })
    const rmd = await kit.rmd(null)
    const { echo } = rmd.client(Echo, { to: '1:64', trace: TRACE })
    expect(await echo('plain')).toBe('plain')
    expect(await echo('once', { atMostOnce: true })).toBe('once')
    await echo('one way', { oneWay: true })
    expect(await echo('x'.repeat(300_000))).toHaveLength(300_000)
    const { functionNumber, input } = Echo.methods.echo
    const items: number[] = []
    const stream = rmd.stream('1:64', functionNumber, input.encode('s'), { trace: TRACE })
    for await (const item of stream) items.push(item.length)
    expect(items).toHaveLength(1)
    expect(await rmd.client(Echo, { to: '1:64' }).echo('without')).toBe('without')
    expect(seen.map(([, trace]) => trace)).toEqual([...Array(5).fill(TRACE), undefined])
    expect(seen[2]![0]).toBe('one way')
  },
)

it.each([
  '',
  'x',
  TRACE.toUpperCase(),
  `${TRACE}-1`,
  TRACE.replace('00-', 'ff-'),
  `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
])('refuses %j', async (trace) => {
  kit = new Kit('memory')
  const client = (await kit.rmd(null)).client(Echo, { to: '1:64' })
  const error = await rejection(client.echo('x', { trace }))
  expect(isSdkError(error, 'INVALID_PARAMETER')).toBe(true)
  expect(String(error)).toContain('traceparent')
})

/** A peer of an older build: it says nothing of traces, takes a request's content as it is, and answers with it. */
async function olderPeer(
  onLink: (hello: () => void, requests: readonly FrameHeader[], link: Link) => void,
): Promise<void> {
  await kit.transport.listen({ node: 1, port: 64 }, (link) => {
    const requests: FrameHeader[] = []
    const answers: Uint8Array[] = []
    const parser = new FrameParser(1 << 20, (bytes, view, start, end) => {
      const header = makeFrameHeader()
      readHeader(view, start, header)
      if (header.protocol !== PROTOCOL.syncRequest) return true
      requests.push(header)
      const payload = bytes.slice(start + HEADER_SIZE_BYTES, end)
      const reply = new Uint8Array(HEADER_SIZE_BYTES + payload.length)
      const { messageId } = header
      const made = { ...makeFrameHeader(), protocol: PROTOCOL.syncReply, messageId }
      writeHeader(viewOf(reply), 0, made, payload.length)
      reply.set(payload, HEADER_SIZE_BYTES)
      answers.push(reply)
      if (greeted) answer()
      return true
    })
    const address = { node: 1, port: 64 }
    const hello = encodeHello({ address, caller: '00000000000000aa', name: 'older' })
    let greeted = false
    const answer = (): void => {
      for (const reply of answers.splice(0)) link.write(reply)
    }
    const greet = (): void => {
      greeted = true
      link.write(hello)
      answer()
    }
    link.start({
      onOpen: () => onLink(greet, requests, link),
      onData: (chunk) => void parser.push(chunk),
      onWritten: () => {},
      onClose: () => {},
    })
  })
}

it.each([['memory'], ['unix']] as const)(
  'is left out for a peer that does not say it reads traces, over %s',
  async (kind) => {
    kit = new Kit(kind)
    let seen: readonly FrameHeader[] = []
    await olderPeer((hello, requests) => {
      seen = requests
      hello()
    })
    const { echo } = (await kit.rmd(null)).client(Echo, { to: '1:64', trace: TRACE })
    expect(await echo('first')).toBe('first')
    expect(await Promise.all([echo('a'), echo('b', { atMostOnce: true })])).toEqual(['a', 'b'])
    expect(seen.map(({ flags }) => flags)).toEqual([0, 0, FLAG.atMostOnce])
  },
)

it('waits for the hello of a new peer, and calls behind it do not overtake it', async () => {
  kit = new Kit('memory')
  let seen: readonly FrameHeader[] = []
  let sayHello = (): void => {}
  await olderPeer((hello, requests) => {
    sayHello = hello
    seen = requests
  })
  const { echo } = (await kit.rmd(null)).client(Echo, { to: '1:64' })
  const early = echo('early')
  const given = new AbortController()
  const gone = rejection(echo('given up', { trace: TRACE, signal: given.signal }))
  const calls = [early, echo('traced', { trace: TRACE }), echo('behind')]
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
  given.abort()
  expect(await gone).toMatchObject({ code: 'INTERRUPT', mayHaveRun: false })
  expect(seen.map(({ messageId }) => messageId)).toEqual([1])
  sayHello()
  expect(await Promise.all(calls)).toEqual(['early', 'traced', 'behind'])
  expect(seen.map(({ messageId }) => messageId)).toEqual([1, 3, 4])
})

it('says that a call did not run whose peer went away before its hello', async () => {
  kit = new Kit('memory')
  await olderPeer((_hello, _requests, link) => link.end())
  const { echo } = (await kit.rmd(null)).client(Echo, { to: '1:64', trace: TRACE })
  expect(await rejection(echo('x'))).toMatchObject({ code: 'COMP_UNREACHABLE', mayHaveRun: false })
})

it('goes along with a call to many, to those that are known to read it', async () => {
  kit = new Kit('memory')
  const seen: (string | undefined)[] = []
  const member = await kit.rmd(65, {}, {})
  member.serve((call) => {
    seen.push(call.trace)
    call.reply(call.payload)
  })
  const caller = await kit.rmd(66)
  await caller.client(Echo, { to: '1:65' }).echo('connected')
  await caller.client(Echo, { to: '*:65', oneWay: true, trace: TRACE }).echo('x')
  while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve))
  expect(seen).toEqual([undefined, TRACE])
})
