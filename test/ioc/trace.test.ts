import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { type IncomingCall, newTrace } from '../../ioc/index.ts'
import { encodeTraced, trySplitTraced } from '../../ioc/rmd/trace.ts'
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
