import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decideContest } from '../../../ioc/backplane/embedded/contest.ts'
import {
  encodeLeaderRecord,
  tryDecodeLeaderRecord,
  type LeaderRecord,
} from '../../../ioc/backplane/embedded/leader-record.ts'
import {
  EMPTY_LINE_READER,
  LINE_SIZE_BYTES_MAX,
  readLines,
} from '../../../ioc/backplane/embedded/line-reader.ts'
import { firstView, withMember, withoutMember } from '../../../ioc/backplane/embedded/membership.ts'
import {
  createSilenceWatch,
  forgetPeer,
  hearPeer,
  tickSilence,
} from '../../../ioc/backplane/embedded/silence-watch.ts'
import { isFinished, parseProcessStat } from '../../../ioc/backplane/process-stat.ts'

const process1 = { pid: 1001, startTime: 10, bootId: 'boot' }
const process2 = { pid: 1002, startTime: 20, bootId: 'boot' }

describe('parseProcessStat', () => {
  const rest = '1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0'

  it.each([
    ['a plain name', `42 (node) S ${rest}`],
    ['a name with spaces', `42 (my node) S ${rest}`],
    ['a name with parentheses', `42 (a) S (b) S ${rest}`],
    ['a name that imitates fields', `42 (x) Z 1 1 1) S ${rest}`],
  ])('reads %s', (_, line) => {
    expect(parseProcessStat(`${line}\n`)).toEqual({
      pid: 42,
      state: 'S',
      parentPid: 1,
      processGroup: 7,
      session: 7,
      exiting: false,
      startTime: 4711,
    })
  })

  it.each(['', 'garbage', '42 (node', '42 (node) ', '42 (node) S 1 2'])('refuses %j', (line) => {
    expect(parseProcessStat(line)).toBeUndefined()
  })

  it.each([
    ['S', 4194560, false],
    ['R', 4194560 | 4, true],
    ['T', 4194560, false],
    ['Z', 4194560, true],
    ['X', 0, true],
  ])('state %s with flags %i: finished is %s', (state, flags, finished) => {
    const line = `42 (n) ${state} ${rest.replace('4194560', String(flags))}`
    const stat = parseProcessStat(line)
    expect(stat && isFinished(stat)).toBe(finished)
  })
})

describe('decideContest', () => {
  const self = { node: 'me', process: process1 }
  const other: LeaderRecord = { node: 'o', term: 7, process: process2, released: false }

  it.each([
    ['no record', { record: null, leaderAlive: false, unheardTerm: 0 }, 'claim'],
    [
      'a released leadership',
      { record: { ...other, released: true }, leaderAlive: true, unheardTerm: 0 },
      'claim',
    ],
    ['a dead leader', { record: other, leaderAlive: false, unheardTerm: 0 }, 'claim'],
    ['a living leader', { record: other, leaderAlive: true, unheardTerm: 0 }, 'follow'],
    [
      'a living leader that was not heard',
      { record: other, leaderAlive: true, unheardTerm: 7 },
      'fence',
    ],
    [
      'a new leader after another was not heard',
      { record: other, leaderAlive: true, unheardTerm: 6 },
      'follow',
    ],
    [
      'an earlier start of this process',
      { record: { ...other, node: 'me', process: process1 }, leaderAlive: true, unheardTerm: 7 },
      'claim',
    ],
    [
      'an earlier life of this node that still runs',
      { record: { ...other, node: 'me' }, leaderAlive: true, unheardTerm: 7 },
      'fence',
    ],
  ])('%s', (_, facts, kind) => {
    expect(decideContest({ self, ...facts }).kind).toBe(kind)
  })
})

describe('leader record', () => {
  const records = fc.record({
    node: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 255 }),
    term: fc.nat(),
    released: fc.boolean(),
    process: fc.record({ pid: fc.nat(), startTime: fc.nat(), bootId: fc.uuid() }),
  })

  it('comes back as it was', () => {
    fc.assert(
      fc.property(records, (record) => {
        expect(tryDecodeLeaderRecord(encodeLeaderRecord(record))).toEqual(record)
      }),
    )
  })

  it('refuses any other bytes without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(tryDecodeLeaderRecord(bytes)).toBeUndefined()
      }),
    )
    expect(tryDecodeLeaderRecord(new Uint8Array([1, 0x7b, 0x7d]))).toBeUndefined()
  })
})

describe('readLines', () => {
  it('gives the same lines however the stream is cut', () => {
    const lines = fc.array(fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll('\n', '')))
    fc.assert(
      fc.property(lines, fc.array(fc.nat(200)), (texts, cuts) => {
        const bytes = new TextEncoder().encode(texts.map((text) => `${text}\n`).join(''))
        const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])]
        let reader = EMPTY_LINE_READER
        const got: string[] = []
        let start = 0
        for (const end of ends.toSorted((a, b) => a - b)) {
          const result = readLines(reader, bytes.subarray(start, end))
          reader = result.reader
          got.push(...result.lines)
          start = end
        }
        expect(got).toEqual(texts)
        expect(reader.pendingBytes).toBe(0)
      }),
    )
  })

  it('reports a line above the limit, keeps the lines before it and no memory of it', () => {
    const chunk = new TextEncoder().encode(`ok\n${'x'.repeat(LINE_SIZE_BYTES_MAX + 1)}`)
    const { lines, tooLong, reader } = readLines(EMPTY_LINE_READER, chunk)
    expect([lines, tooLong, reader.pendingBytes]).toEqual([['ok'], true, 0])
  })
})

describe('membership', () => {
  const leader = { node: 'a', process: process1 }
  const b = { node: 'b', process: process2 }

  it('numbers each change once, leader first, others by arrival', () => {
    let view = firstView(3, leader)
    view = withMember(view, b)
    view = withMember(view, { node: 'c', process: process2 })
    view = withMember(view, { ...b, process: process1 })
    expect(view).toEqual({
      term: 3,
      number: 4,
      members: [leader, { node: 'c', process: process2 }, { ...b, process: process1 }],
    })
    expect(withoutMember(view, 'unknown')).toBe(view)
    expect(withoutMember(view, 'b')).toMatchObject({
      number: 5,
      members: [{ node: 'a' }, { node: 'c' }],
    })
  })
})

describe('silence watch', () => {
  const make = () => createSilenceWatch({ silenceMs: 400, tickMs: 20 }, 0)

  function run(until: number, beats: (ms: number) => boolean): readonly string[] {
    let watch = hearPeer(make(), 'p', 0)
    for (let ms = 20; ms <= until; ms += 20) {
      if (beats(ms)) watch = hearPeer(watch, 'p', ms)
      const result = tickSilence(watch, ms)
      watch = result.watch
      if (result.silent.length > 0) return [`${result.silent.join()} at ${ms}`]
    }
    return []
  }

  it('names a peer in the first tick after the silence, not before', () => {
    expect(run(2000, () => false)).toEqual(['p at 420'])
    expect(run(2000, (ms) => ms % 400 === 0)).toEqual([])
  })

  it('blames nobody in a tick that is late, and gives a whole new window', () => {
    const late = tickSilence(hearPeer(make(), 'p', 0), 5000)
    expect(late).toMatchObject({ late: true, silent: [] })
    let watch = late.watch
    for (let ms = 5020; ms <= 5400; ms += 20) {
      const result = tickSilence(watch, ms)
      expect(result.silent).toEqual([])
      watch = result.watch
    }
    expect(tickSilence(watch, 5420).silent).toEqual(['p'])
  })

  it('does not judge whom it forgot', () => {
    let watch = forgetPeer(hearPeer(make(), 'p', 0), 'p')
    for (let ms = 20; ms < 2000; ms += 20) {
      const result = tickSilence(watch, ms)
      expect(result.silent).toEqual([])
      watch = result.watch
    }
  })

  it('never blames a peer that was heard within the silence before a tick in time', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 60 }), (gaps) => {
        let nowMs = 0
        let heardMs = 0
        let watch = hearPeer(make(), 'p', 0)
        for (const [index, gap] of gaps.entries()) {
          nowMs += gap
          if (index % 3 === 0) {
            heardMs = nowMs
            watch = hearPeer(watch, 'p', nowMs)
          }
          const result = tickSilence(watch, nowMs)
          watch = result.watch
          if (nowMs - heardMs <= 400 || gap > 120) expect(result.silent).toEqual([])
        }
      }),
    )
  })
})
