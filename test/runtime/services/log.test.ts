// Longer than usual: one rig and one way to look into files for everything that streams promise.
import { createSocket } from 'node:dgram'
import { appendFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type LogClient, logLibrary, type LogStream } from '../../../runtime/services/log/client.ts'
import { carryStreams, type ComponentLog } from '../../../runtime/services/log/component-log.ts'
import type { LogAttributes, StoredRecord } from '../../../runtime/services/log/interface.ts'
import { logServerOf } from '../../../runtime/services/log/server.ts'
import { rejection } from '../../ioc/rmd-kit.ts'
import { type RigComponent, ServiceRig } from './rig.ts'

/** Machines may be busy. */
const SOON = { timeout: 10_000 }

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

async function rigOf(ids: readonly number[], syslog = '/nowhere'): Promise<ServiceRig> {
  const rig = new ServiceRig(logServerOf(syslog))
  open.push(rig)
  await rig.start(...ids)
  return rig
}

type Component = RigComponent<LogClient>
const component = (rig: ServiceRig, node: number, name: string): Promise<Component> =>
  rig.component(node, name, logLibrary)

const code = async (promise: Promise<unknown>): Promise<unknown> =>
  ((await rejection(promise)) as { code: string }).code

/** Everything of a stream that is in files, of all nodes, in the order of each file. */
async function recordsOf({ client }: Component, stream: string): Promise<StoredRecord[]> {
  const files = (await client.fileList()).filter((file) => file.stream === stream)
  const all = await Promise.all(
    files.map(async ({ file, node, first, next }) => {
      if (next === first) return []
      const reader = await client.fileOpen({ file, node })
      const found: StoredRecord[] = []
      for (let start = first; start < next; start += 1_000) {
        found.push(...(await reader.recordsGet({ start, end: Math.min(start + 999, next - 1) })))
      }
      return found
    }),
  )
  return all.flat()
}

const texts = async (one: Component, stream: string): Promise<string[]> =>
  (await recordsOf(one, stream)).map(({ text }) => text)

/** Text of the newest record. */
async function newest({ client }: Component, stream: string): Promise<string | undefined> {
  const file = (await client.fileList()).find((one) => one.stream === stream)
  if (file === undefined || file.next === file.first) return undefined
  const reader = await client.fileOpen({ file: file.file, node: file.node })
  return (await reader.recordsGet({ start: file.next - 1, end: file.next - 1 }))[0]?.text
}

const quick = { flushIntervalMs: 5 } as const
const openLocal = ({ client }: Component, name: string, attributes: Partial<LogAttributes> = {}) =>
  client.streamOpen({ name, attributes: { ...quick, ...attributes }, create: true })
const openGlobal = ({ client }: Component, name: string, attributes: Partial<LogAttributes> = {}) =>
  client.streamOpen({
    name,
    scope: 'GLOBAL',
    attributes: { ...quick, ...attributes },
    create: true,
  })
const say = (stream: LogStream, ...words: readonly string[]): void => {
  for (const text of words) stream.write({ severity: 'INFO', text })
}

describe('a local stream', () => {
  it('keeps whole records', async () => {
    const rig = await rigOf([1])
    const a = await component(rig, 1, 'a')
    const stream = await openLocal(a, 'own')
    expect(stream.attributes).toMatchObject({
      fileName: 'own',
      fileLocation: '.:log',
      fileUnitSize: 1_500_000,
      recordSize: 300,
      fileFullAction: 'WRAP',
      maxFilesRotated: 0,
      flushFreq: 64,
      syslog: false,
    })
    stream.write({
      severity: 'ALERT',
      serviceId: 7,
      messageId: 9,
      area: 'DBA',
      context: 'INI',
      text: 'début\n"x"',
      fields: { n: 1, deep: { list: [1, 'a'] } },
      data: Uint8Array.of(0, 255),
    })
    stream.log.warn({ n: 2 }, 'by pino')
    stream.log.debug('not at this level')
    await expect.poll(async () => (await recordsOf(a, 'own')).length, SOON).toBe(2)
    const [first, second] = await recordsOf(a, 'own')
    expect(first).toMatchObject({
      number: 1,
      severity: 2,
      serviceId: 7,
      messageId: 9,
      sequence: 1,
      node: 'node1',
      component: 'a',
      pid: process.pid,
      area: 'DBA',
      context: 'INI',
      text: 'début\n"x"',
      fields: '{"n":1,"deep":{"list":[1,"a"]}}',
      isCut: false,
    })
    expect([...(first?.data ?? [])]).toEqual([0, 255])
    expect(Math.abs((first?.timeMs ?? 0) - Date.now())).toBeLessThan(60_000)
    expect(second).toMatchObject({ severity: 5, text: 'by pino', fields: '{"n":2}' })
  })

  it('is opened by name and attributes, as the reference says', async () => {
    const rig = await rigOf([1])
    const [a, b] = [await component(rig, 1, 'a'), await component(rig, 1, 'b')]
    expect(await code(a.client.streamOpen({ name: 'own' }))).toBe('NOT_EXIST')
    const stream = await openLocal(a, 'own', { recordSize: 400 })
    const again = await b.client.streamOpen({ name: 'own' })
    expect(again.attributes).toEqual(stream.attributes)
    expect(await code(openLocal(b, 'own', { recordSize: 500 }))).toBe('ALREADY_EXIST')
    expect(await code(openLocal(b, 'other', { fileName: 'own' }))).toBe('ALREADY_EXIST')
    const info = (await b.client.streamList()).find(({ name }) => name === 'own')
    expect(info).toMatchObject({ scope: 'LOCAL', owner: 'node1', openCount: 2 })
    await stream.close()
    expect(() => say(stream, 'x')).toThrow('closed')
    expect(await code(stream.close())).toBe('INVALID_HANDLE')
    say(again, 'still')
    await expect.poll(() => texts(a, 'own'), SOON).toEqual(['still'])
    await rig.kill(b)
    await expect
      .poll(async () => (await a.client.streamList()).map(({ name }) => name), SOON)
      .toEqual(['sysStream', 'appStream'])
    expect(await texts(a, 'own')).toEqual(['still'])
    await openLocal(a, 'own', { recordSize: 500 })
  })

  it.each([
    ['an empty name', { name: '' }],
    ['a long name', { name: 'x'.repeat(129) }],
    ['a path that leaves', { name: 'n', attributes: { fileLocation: '.:../x' } }],
    ['no location', { name: 'n', attributes: { fileLocation: 'log' } }],
    ['a file name with a slash', { name: 'n', attributes: { fileName: 'a/b' } }],
    ['files for less than two records', { name: 'n', attributes: { fileUnitSize: 0 } }],
    [
      'a high mark below the low one',
      { name: 'n', attributes: { waterMark: { low: 9, high: 8 } } },
    ],
  ])('is refused with %s', async (_, request) => {
    const a = await component(await rigOf([1]), 1, 'a')
    expect(await code(a.client.streamOpen({ ...request, create: true }))).toBe('INVALID_PARAMETER')
  })

  it('cuts what is beyond the size of a record', async () => {
    const a = await component(await rigOf([1]), 1, 'a')
    const stream = await openLocal(a, 'own', { recordSize: 64 })
    stream.write({ severity: 'INFO', text: 'é'.repeat(40) })
    stream.write({ severity: 'INFO', text: 'x', fields: { long: 'y'.repeat(80) } })
    stream.write({ severity: 'INFO', messageId: 0, data: new Uint8Array(80) })
    await expect.poll(async () => (await recordsOf(a, 'own')).length, SOON).toBe(3)
    const records = await recordsOf(a, 'own')
    expect(records.map(({ isCut }) => isCut)).toEqual([true, true, true])
    expect(records[0]?.text).toBe('é'.repeat(32))
    expect(records[1]).toMatchObject({ text: 'x', fields: '' })
    expect(records[2]?.data).toHaveLength(64)
  })
})

describe('closing', () => {
  it('takes along what was written, and looks at the files anew afterwards', async () => {
    const rig = await rigOf([1])
    const a = await component(rig, 1, 'a')
    const halt = { fileFullAction: 'HALT', fileUnitSize: 1_024 } as const
    const first = await openLocal(a, 'own', halt)
    for (let n = 0; n < 20; n += 1) say(first, `${n} ${'x'.repeat(100)}`)
    await first.close()
    await expect.poll(async () => (await texts(a, 'own')).length, SOON).toBeGreaterThan(0)
    const kept = (await texts(a, 'own')).length
    const again = await openLocal(a, 'own', halt)
    await expect
      .poll(() => again.write({ severity: 'INFO', text: 'x'.repeat(200) }), SOON)
      .toBe('full')
    await again.close()
    rmSync(join(rig.directory, 'node1/log/local/log/own.00000001.log'))
    const empty = await openLocal(a, 'own', halt)
    say(empty, 'new')
    await empty.close()
    const now = [expect.stringMatching(/^\d+ records were lost here/), 'new']
    await expect.poll(() => texts(a, 'own'), SOON).toEqual(now)
    expect((await recordsOf(a, 'own'))[0]?.number).toBe(kept + 1)
  })
})

describe('files', () => {
  const line = 'x'.repeat(200)
  const filesIn = ({ directory }: ServiceRig): string[] =>
    readdirSync(join(directory, 'node1/log/local/log')).sort()

  it('ROTATE keeps so many full ones, and readers learn what is gone', async () => {
    const rig = await rigOf([1])
    const a = await component(rig, 1, 'a')
    const attributes = {
      fileFullAction: 'ROTATE',
      fileUnitSize: 2_048,
      maxFilesRotated: 2,
    } as const
    const stream = await openLocal(a, 'own', attributes)
    for (let n = 1; n <= 40; n += 1) say(stream, `${n} ${line}`)
    await expect.poll(() => newest(a, 'own'), SOON).toBe(`40 ${line}`)
    expect(filesIn(rig)).toHaveLength(3)
    const info = await (await a.client.fileOpen({ stream: 'own' })).metaDataGet()
    expect(info).toMatchObject({ next: 41, dropped: 0, isFull: false })
    expect(info.first).toBeGreaterThan(20)
    expect(info.sizeBytes).toBeLessThanOrEqual(3 * 2_048)
    const records = await recordsOf(a, 'own')
    expect(records.map(({ number }) => number)).toEqual(
      Array.from({ length: 41 - info.first }, (_, index) => info.first + index),
    )
    expect(records.every(({ number, text }) => text === `${number} ${line}`)).toBe(true)
  })

  it('WRAP keeps between half and all of one, HALT takes nothing more', async () => {
    const rig = await rigOf([1])
    const a = await component(rig, 1, 'a')
    const wrap = await openLocal(a, 'wrap', { fileUnitSize: 4_096 })
    const halt = await openLocal(a, 'halt', { fileUnitSize: 4_096, fileFullAction: 'HALT' })
    for (let n = 1; n <= 40; n += 1) {
      say(wrap, `${n} ${line}`)
      say(halt, `${n} ${line}`)
    }
    await expect.poll(() => newest(a, 'wrap'), SOON).toBe(`40 ${line}`)
    const wrapped = (await a.client.fileList()).find(({ stream }) => stream === 'wrap')
    expect(wrapped?.sizeBytes).toBeGreaterThan(1_024)
    expect(wrapped?.sizeBytes).toBeLessThanOrEqual(4_096)
    await expect.poll(() => halt.write({ severity: 'INFO', text: line }), SOON).toBe('full')
    const halted = (await a.client.fileList()).find(({ stream }) => stream === 'halt')
    expect(halted).toMatchObject({ first: 1, isFull: true })
    expect(halted?.dropped).toBeGreaterThan(20)
    await expect
      .poll(() => texts(a, 'sysStream'), SOON)
      .toContain('log file of halt is full and takes nothing more')
  })

  it('tell of their water marks', async () => {
    const a = await component(await rigOf([1]), 1, 'a')
    const waterMark = { low: 20, high: 60 }
    const attributes = { fileFullAction: 'ROTATE', fileUnitSize: 4_096, waterMark } as const
    const stream = await openLocal(a, 'own', attributes)
    for (let n = 0; n < 15; n += 1) say(stream, line)
    await expect
      .poll(
        async () => (await recordsOf(a, 'sysStream')).map(({ fields }) => JSON.parse(fields)),
        SOON,
      )
      .toEqual([
        { stream: 'own', type: 'HIGH', percent: expect.any(Number) },
        { stream: 'own', type: 'LOW', percent: expect.any(Number) },
      ])
  })

  it('go on where they were when the node comes again, half a line left out', async () => {
    const rig = await rigOf([1])
    const a = await component(rig, 1, 'a')
    say(await openLocal(a, 'own'), 'one', 'two')
    await expect.poll(() => texts(a, 'own'), SOON).toEqual(['one', 'two'])
    await rig.killNode(1)
    appendFileSync(join(rig.directory, 'node1/log/local/log/own.00000001.log'), '{"level":30,"ti')
    await rig.start(1)
    const b = await component(rig, 1, 'b')
    expect(await texts(b, 'own')).toEqual(['one', 'two'])
    say(await openLocal(b, 'own'), 'three')
    await expect.poll(() => texts(b, 'own'), SOON).toEqual(['one', 'two', 'three'])
    expect((await recordsOf(b, 'own')).map(({ number }) => number)).toEqual([1, 2, 3])
  })
})

describe('filters', () => {
  it('are of the stream: severities, message ids, components; assigned and merged', async () => {
    const rig = await rigOf([1, 2])
    const [a, b] = [await component(rig, 1, 'a'), await component(rig, 2, 'b')]
    const [one, two] = [await openGlobal(a, 'g'), await openGlobal(b, 'g')]
    await one.filterSet({ severities: ['ERROR', 'CRITICAL'] })
    await expect.poll(() => two.write({ severity: 'INFO', text: 'no' }), SOON).toBe('filtered')
    await two.filterSet({ flag: 'MERGE_ADD', severities: ['INFO'], messageIds: [1, 5] })
    await expect.poll(() => one.write({ severity: 'INFO', messageId: 6 }), SOON).toBe('filtered')
    await expect.poll(() => one.write({ severity: 'INFO', text: 'yes' }), SOON).toBe('written')
    await one.filterSet({ flag: 'MERGE_DELETE', messageIds: [1, 5] })
    await one.filterSet({ flag: 'MERGE_ADD', components: ['b'] })
    await expect.poll(() => one.write({ severity: 'ERROR', text: 'no' }), SOON).toBe('filtered')
    await expect
      .poll(() => two.write({ severity: 'ERROR', messageId: 6, text: 'b' }), SOON)
      .toBe('written')
    await one.filterSet({})
    await expect.poll(() => one.write({ severity: 'DEBUG', text: 'end' }), SOON).toBe('written')
    await expect.poll(async () => (await texts(b, 'g')).at(-1), SOON).toBe('end')
    const all = await texts(b, 'g')
    expect(all).not.toContain('no')
    expect(all).toContain('b')
  })
})

describe('a global stream', () => {
  it('is the same on all nodes, its files on one, in one order', async () => {
    const rig = await rigOf([1, 2, 3])
    const [a, b, c] = [
      await component(rig, 1, 'a'),
      await component(rig, 2, 'b'),
      await component(rig, 3, 'c'),
    ]
    const [one, two] = [
      await openGlobal(a, 'g', { fileLocation: 'node3:x/y' }),
      await openGlobal(b, 'g', { fileLocation: 'node3:x/y' }),
    ]
    for (let n = 0; n < 150; n += 1) {
      say(one, `a ${n}`)
      say(two, `b ${n}`)
    }
    await expect.poll(async () => (await texts(c, 'g')).length, SOON).toBe(300)
    const all = await texts(c, 'g')
    const of = (name: string): string[] => all.filter((text) => text.startsWith(name))
    expect(of('a')).toEqual(Array.from({ length: 150 }, (_, n) => `a ${n}`))
    expect(of('b')).toEqual(Array.from({ length: 150 }, (_, n) => `b ${n}`))
    const files = (await a.client.fileList()).filter(({ stream }) => stream === 'g')
    expect(files).toMatchObject([{ node: 'node3', scope: 'GLOBAL', first: 1, next: 301 }])
    expect((await c.client.streamList()).find(({ name }) => name === 'g')).toMatchObject({
      owner: 'node3',
      openCount: 2,
    })
    expect(await code(openGlobal(c, 'g'))).toBe('ALREADY_EXIST')
  })

  it('goes on at the next node when the one that has been there longest dies', async () => {
    const rig = await rigOf([1, 2, 3])
    const [b, c] = [await component(rig, 2, 'b'), await component(rig, 3, 'c')]
    const attributes = { fileLocation: '*:log' }
    const [two, three] = [
      await openGlobal(b, 'g', attributes),
      await openGlobal(c, 'g', attributes),
    ]
    say(two, 'before')
    await expect.poll(() => texts(c, 'g'), SOON).toEqual(['before'])
    for (let n = 0; n < 200; n += 1) say(three, `c ${n}`)
    await rig.killNode(1, 2)
    say(two, 'after')
    await expect.poll(() => texts(c, 'g'), { timeout: 5_000 }).toContain('after')
    await expect.poll(async () => (await texts(c, 'g')).at(-1), { timeout: 5_000 }).toBeTruthy()
    // What the dead node took is in its files; from some record on everything is here, each once.
    await expect.poll(() => texts(c, 'g'), { timeout: 5_000 }).toContain('c 199')
    const left = (await texts(c, 'g')).filter((text) => text.startsWith('c '))
    expect(left).toEqual(
      Array.from({ length: left.length }, (_, n) => `c ${200 - left.length + n}`),
    )
    await rig.kill(c)
    await expect
      .poll(
        async () => (await b.client.streamList()).find(({ name }) => name === 'g')?.openCount,
        SOON,
      )
      .toBe(1)
  })

  it('with haProperty goes on elsewhere while the node of its files is away, and comes back to it', async () => {
    const rig = await rigOf([1, 2, 3])
    const a = await component(rig, 1, 'a')
    const attributes = {
      fileLocation: 'node2:log',
      haProperty: true,
      fileFullAction: 'HALT',
      fileUnitSize: 1_024,
    } as const
    const stream = await openGlobal(a, 'g', attributes)
    // The other node has such a file of its own.
    say(await openGlobal(a, 'own', { fileLocation: 'node1:log', fileName: 'g' }), 'of node1')
    expect(await code(openGlobal(a, 'g', { ...attributes, haProperty: false }))).toBe(
      'ALREADY_EXIST',
    )
    const filesOf = async (): Promise<Record<string, string[]>> => {
      const all = await recordsOf(a, 'g')
      const files = (await a.client.fileList()).filter((file) => file.stream === 'g')
      let at = 0
      return Object.fromEntries(
        files.map(({ node, file, first, next }) => [
          `${node} ${file}`,
          all.slice(at, (at += next - first)).map(({ text }) => text),
        ]),
      )
    }
    const words = Array.from({ length: 9 }, (_, n) => `${n} ${'x'.repeat(100)}`)
    say(stream, ...words)
    await expect
      .poll(() => stream.write({ severity: 'INFO', text: words[8] ?? '' }), SOON)
      .toBe('full')
    await rig.killNode(2)
    // Another file, which is not full.
    await expect.poll(() => stream.write({ severity: 'INFO', text: 'away' }), SOON).toBe('written')
    await expect
      .poll(async () => (await filesOf())['node1 for-node2/log/g'], SOON)
      .toEqual(['away'])
    const owner = async () => (await a.client.streamList()).find(({ name }) => name === 'g')?.owner
    expect(await owner()).toBe('node1')
    await rig.node(2)
    await expect.poll(owner, SOON).toBe('node2')
    const kept = (await filesOf())['node2 global/log/g'] ?? []
    expect(kept.length).toBeGreaterThan(1)
    expect(kept).toEqual(words.slice(0, kept.length))
    expect(await texts(a, 'own')).toEqual(['of node1'])
  })

  it('hands over to the next node everything that the dead one had not in its files', async () => {
    const rig = await rigOf([1, 2])
    const b = await component(rig, 2, 'b')
    // By these the records would wait for a minute before they are written.
    const slow = { fileLocation: '*:log', flushFreq: 4_096, flushIntervalMs: 60_000 }
    const stream = await openGlobal(b, 'g', slow)
    say(stream, 'one', 'two')
    await expect.poll(() => texts(b, 'g'), SOON).toEqual(['one', 'two'])
    await rig.killNode(1, 2)
    await rig.node(1)
    expect(await texts(b, 'g')).toEqual(['one', 'two'])
  })

  it('counts what waits too long for a node that is away', async () => {
    const rig = await rigOf([1, 2])
    const a = await component(rig, 1, 'a')
    const stream = await openGlobal(a, 'g', { fileLocation: 'node2:log', fileUnitSize: 9_000_000 })
    await rig.killNode(2)
    for (let n = 0; n < 4_500; n += 1) {
      say(stream, String(n))
      // The component's own room is not what is to be tried here.
      if (n % 1_000 === 999) await new Promise((resolve) => setImmediate(resolve))
    }
    say(a.client.system, 'through')
    await expect.poll(() => texts(a, 'sysStream'), { timeout: 5_000 }).toContain('through')
    await rig.node(2)
    await expect.poll(() => newest(a, 'g'), { timeout: 15_000 }).toBe('4499')
    const all = await recordsOf(a, 'g')
    const lost = all
      .filter(({ context }) => context === 'LST')
      .reduce((sum, { fields }) => sum + (JSON.parse(fields) as { lost: number }).lost, 0)
    const kept = all.filter(({ context }) => context !== 'LST').length
    expect(lost).toBeGreaterThan(0)
    expect(lost + kept).toBe(4_500)
  })
})

describe('handlers', () => {
  it('get what is written from then on, again when they do not acknowledge', async () => {
    const rig = await rigOf([1, 2])
    const [a, b] = [await component(rig, 1, 'a'), await component(rig, 2, 'b')]
    const stream = await openGlobal(a, 'g', { fileLocation: 'node1:log' })
    say(stream, 'earlier')
    await expect.poll(() => texts(b, 'g'), SOON).toEqual(['earlier'])
    const plain: string[] = []
    let failures = 2
    const handler = await b.client.handlerRegister({
      stream: 'g',
      scope: 'GLOBAL',
      onRecords: (_, records) => {
        if (failures-- > 0) throw new Error('not now')
        plain.push(...records.map(({ text }) => text))
      },
    })
    const acked: string[] = []
    const acking = await a.client.handlerRegister({
      stream: 'g',
      scope: 'GLOBAL',
      willAck: true,
      onRecords: (sequence, records) => {
        acked.push(...records.map(({ text }) => text))
        acking.recordAck(sequence, records.length)
      },
    })
    say(stream, 'one', 'two')
    await expect.poll(() => plain, SOON).toEqual(['one', 'two'])
    say(stream, 'three')
    await expect.poll(() => acked, SOON).toEqual(['one', 'two', 'three'])
    expect(() => acking.recordAck(9, 1)).toThrow('no batch 9')
    await expect.poll(() => plain.at(-1), SOON).toBe('three')
    handler.deregister()
    expect(() => handler.deregister()).toThrow('deregistered')
    say(stream, 'four')
    await expect.poll(() => acked.at(-1), SOON).toBe('four')
    expect(plain).toEqual(['one', 'two', 'three'])
  })
})

describe('followers', () => {
  it('learn of new files of any node at once, and wait in between', async () => {
    const rig = await rigOf([1, 2, 3])
    const [a, b] = [await component(rig, 1, 'a'), await component(rig, 2, 'b')]
    const got: string[] = []
    await a.client.handlerRegister({
      stream: 'late',
      scope: 'GLOBAL',
      onRecords: (_, records) => void got.push(...records.map(({ text }) => text)),
    })
    const looks = vi.spyOn(a.client, 'fileList')
    const stream = await openGlobal(b, 'late', { fileLocation: 'node3:log' })
    const startedMs = performance.now()
    say(stream, 'first')
    await expect.poll(() => got, { ...SOON, interval: 5 }).toEqual(['first'])
    // The second line alone would take 5 s.
    expect(performance.now() - startedMs).toBeLessThan(4_500)
    expect(looks.mock.calls.length).toBeLessThan(5)
    await rig.killNode(3)
    await rig.node(3)
    say(stream, 'second')
    await expect.poll(() => got, SOON).toEqual(['first', 'second'])
  })
})

describe('app.log', () => {
  it('is the logger and the streams, its children too; without the flag the logger only', async () => {
    const lines: string[] = []
    const plain = pino({ level: 'warn' }, { write: (line) => void lines.push(line) })
    const off = carryStreams(plain, null)
    off.warn('heard')
    expect(() => off.streamOpen).toThrow(/app\.log\.streamOpen.*clEoClientLibs = \{ log: true \}/)
    expect(() => (off.child({}) as ComponentLog).initialize()).toThrow(
      expect.objectContaining({ code: 'NOT_INITIALIZED' }),
    )
    const { client } = await component(await rigOf([1]), 1, 'a')
    const on = carryStreams(
      pino({ level: 'warn' }, { write: (line) => void lines.push(line) }),
      client,
    )
    const { initialize, streamOpen } = on
    expect(initialize('B.1.1')).toEqual({ version: 'B.1.1' })
    say(await streamOpen({ name: 'own', attributes: quick, create: true }), 'said')
    expect(on.application.name).toBe('appStream')
    on.child({ part: 'x' }).error('too')
    on.level = 'silent'
    on.error('not any more')
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['heard', 'too'])
    await on.finalize()
  })
})

describe('syslog', () => {
  it('gets the records of streams that ask for it', async () => {
    const got: string[] = []
    const server = createSocket('udp4', (message) => void got.push(message.toString()))
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
    const a = await component(await rigOf([1], `udp://127.0.0.1:${server.address().port}`), 1, 'a')
    const [own, other] = [await openLocal(a, 'own', { syslog: true }), await openLocal(a, 'other')]
    other.write({ severity: 'INFO', text: 'no' })
    own.write({ severity: 'CRITICAL', messageId: 3, text: 'two\nlines', fields: { q: '"]' } })
    await expect.poll(() => got, SOON).toHaveLength(1)
    const fields = '{\\"q\\":\\"\\\\\\"\\]\\"}'
    expect(got[0]).toMatch(/^<10>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z node1 a \d+ 3 /)
    expect(got[0]?.slice(got[0].indexOf('['))).toBe(
      `[holdfast@32473 stream="own" sequence="2" serviceId="0" fields="${fields}"] two lines`,
    )
    server.close()
  })
})

describe('the library', () => {
  it('negotiates versions, and does nothing after finalize', async () => {
    const a = await component(await rigOf([1]), 1, 'a')
    expect(() => a.client.initialize('A.1.1')).toThrow('this is B.1.1')
    expect(a.client.initialize('B.1.200').version).toBe('B.1.1')
    const stream = await openLocal(a, 'own')
    await a.client.finalize()
    expect(() => say(stream, 'x')).toThrow('closed')
    expect(await code(a.client.finalize())).toBe('NOT_INITIALIZED')
    expect(await code(openLocal(a, 'own'))).toBe('NOT_INITIALIZED')
    a.client.initialize()
    await openLocal(a, 'own')
  })

  it('never waits: it drops the oldest, and says how many', async () => {
    const rig = await rigOf([1])
    const a = await component(rig, 1, 'a')
    const stream = await openLocal(a, 'own', { fileUnitSize: 9_000_000 })
    for (let n = 0; n < 5_000; n += 1) say(stream, String(n))
    await expect.poll(() => newest(a, 'own'), SOON).toBe('4999')
    const all = await recordsOf(a, 'own')
    const losses = all.filter(({ context }) => context === 'LST')
    const lost = losses.reduce(
      (n, { fields }) => n + (JSON.parse(fields) as { lost: number }).lost,
      0,
    )
    expect(lost).toBeGreaterThan(500)
    expect(lost + all.length - losses.length).toBe(5_000)
  })
})
