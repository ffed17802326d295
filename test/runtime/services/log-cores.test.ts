import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  pieceOf,
  pieceRules,
  placeLine,
  surplus,
  type Piece,
} from '../../../runtime/services/log/file-rules.ts'
import { changeFilter, OPEN_FILTER, passes } from '../../../runtime/services/log/filter.ts'
import { LogIntake, SentAccount } from '../../../runtime/services/log/intake.ts'
import type { LogFilter, LogRecord } from '../../../runtime/services/log/interface.ts'
import {
  parseRecord,
  recordLine,
  recordText,
  syslogLine,
} from '../../../runtime/services/log/record-line.ts'
import { parseSyslogTarget } from '../../../runtime/services/log/syslog-target.ts'
import {
  levelOfSeverity,
  parseSeverity,
  severityName,
  severityOfLevel,
} from '../../../runtime/services/log/severity.ts'

describe('severities', () => {
  it.each([
    [1, 'EMERGENCY', 'fatal'],
    [3, 'CRITICAL', 'fatal'],
    [4, 'ERROR', 'error'],
    [5, 'WARNING', 'warn'],
    [6, 'NOTICE', 'info'],
    [7, 'INFO', 'info'],
    [8, 'DEBUG', 'debug'],
    [9, 'DEBUG2', 'trace'],
    [12, 'TRACE', 'trace'],
    [16, 'DEBUG9', 'trace'],
  ])('%d is %s, and %s to pino', (number, name, level) => {
    expect(severityName(number)).toBe(name)
    expect(parseSeverity(name.toLowerCase())).toBe(number)
    expect(levelOfSeverity(number).level).toBe(level)
  })

  it('levels have one each, and other names are known', () => {
    expect([60, 50, 40, 30, 20, 10, 35].map(severityOfLevel)).toEqual([3, 4, 5, 7, 8, 12, 7])
    expect(['warn', 'fatal', 'DEBUG1', 'debug5'].map(parseSeverity)).toEqual([5, 3, 8, 12])
    expect(() => parseSeverity('loud')).toThrow('"loud" is no severity')
  })
})

const record: fc.Arbitrary<LogRecord> = fc.record({
  timeMs: fc.integer({ min: 0, max: 4e12 }),
  severity: fc.integer({ min: 1, max: 16 }),
  serviceId: fc.integer({ min: 0, max: 65_535 }),
  messageId: fc.integer({ min: 0, max: 65_535 }),
  sequence: fc.integer({ min: 1 }),
  node: fc.string(),
  component: fc.string(),
  pid: fc.integer({ min: 1 }),
  area: fc.string({ maxLength: 3 }),
  context: fc.string({ maxLength: 3 }),
  text: fc.string({ unit: 'grapheme' }),
  fields: fc
    .option(fc.dictionary(fc.string(), fc.string()))
    .map((one) => (one === null ? '' : JSON.stringify(one))),
  data: fc.option(fc.uint8Array({ maxLength: 8 })),
  isCut: fc.boolean(),
})

describe('a record', () => {
  it('comes out of its line as it went in, on one line', () => {
    fc.assert(
      fc.property(record, fc.integer({ min: 1 }), (one, number) => {
        const line = recordLine(one)
        expect(line.indexOf('\n')).toBe(line.length - 1)
        const { data, ...parsed } = parseRecord(line, number) ?? { data: null }
        const { data: bytes, ...rest } = one
        expect(parsed).toEqual({ number, ...rest })
        expect(data === null ? null : [...data]).toEqual(bytes === null ? null : [...bytes])
      }),
    )
    expect(parseRecord('{"level":30', 1)).toBeNull()
  })

  it('has the layout of the reference, and one line of syslog', () => {
    fc.assert(
      fc.property(record, (one) => {
        expect(recordText(one)).toContain(` : ${severityName(one.severity)}) ${one.text}`)
        const { priority, header, tag, body } = syslogLine('s', one)
        expect([8, 9, 10, 11, 12, 13, 14, 15]).toContain(priority)
        expect(header).toMatch(/^\S+ [!-~]{1,255} [!-~]{1,48} \d+ \d+$/)
        expect(tag).toMatch(/^[!-~]{1,48}\[\d+\] [!-~]{1,255}$/)
        expect(body).toMatch(/^\[holdfast/)
        expect(`${header}${tag}${body}`).not.toMatch(/[\r\n]/)
      }),
    )
  })
})

describe('filters', () => {
  const filter: fc.Arbitrary<LogFilter> = fc.record({
    severities: fc.integer({ min: 0, max: 0xffff }),
    messageIds: fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    components: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
  })

  it('are what sets of severities, ids and names say', () => {
    const flag = fc.constantFrom('ASSIGN', 'MERGE_ADD', 'MERGE_DELETE')
    const seen = fc.record({
      severity: fc.integer({ min: 1, max: 16 }),
      messageId: fc.integer({ min: 0, max: 5 }),
      component: fc.constantFrom('a', 'b', 'c'),
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(flag, filter)), seen, (changes, one) => {
        let now = OPEN_FILTER
        const naive = {
          severities: new Set(Array.from({ length: 16 }, (_, n) => n + 1)),
          messageIds: new Set<number>(),
          components: new Set<string>(),
        }
        for (const [kind, change] of changes) {
          now = changeFilter(now, kind, change)
          const bits = Array.from({ length: 16 }, (_, n) => n + 1).filter(
            (n) => Math.floor(change.severities / 2 ** (n - 1)) % 2 === 1,
          )
          const put = <T>(set: Set<T>, values: readonly T[]): void => {
            if (kind === 'ASSIGN') set.clear()
            for (const value of values) {
              if (kind === 'MERGE_DELETE') set.delete(value)
              else set.add(value)
            }
          }
          put(naive.severities, bits)
          put(naive.messageIds, change.messageIds)
          put(naive.components, change.components)
        }
        const { severities, messageIds, components } = naive
        expect(passes(now, one)).toBe(
          severities.has(one.severity) &&
            (messageIds.size === 0 || messageIds.has(one.messageId)) &&
            (components.size === 0 || components.has(one.component)),
        )
      }),
    )
  })
})

describe('pieces of files', () => {
  it.each([
    [1, 'here'],
    [40, 'here'],
    [41, 'nextPiece'],
  ] as const)('a line of %i bytes where 40 are left goes %s', (bytes, place) => {
    const rules = { sizeBytesMax: 100, countMax: 2 }
    const last = { index: 1, first: 0, count: 1, sizeBytes: 60 }
    expect(placeLine(rules, last, bytes)).toBe(place)
    const only = placeLine({ ...rules, countMax: 1 }, last, bytes)
    expect(only).toBe(place === 'here' ? 'here' : 'full')
  })

  it('keep their bounds and every number, whatever lines come', () => {
    const rule = fc.record({
      fileFullAction: fc.constantFrom('ROTATE' as const, 'WRAP' as const, 'HALT' as const),
      fileUnitSize: fc.integer({ min: 100, max: 1_000 }),
      maxFilesRotated: fc.integer({ min: 1, max: 3 }),
    })
    fc.assert(
      fc.property(rule, fc.array(fc.integer({ min: 1, max: 600 })), (attributes, lines) => {
        const rules = pieceRules(attributes)
        let pieces: Piece[] = []
        let next = 1
        for (const bytes of lines) {
          let placement = placeLine(rules, pieces.at(-1), bytes)
          if (placement === 'nextPiece') {
            const index = (pieces.at(-1)?.index ?? 0) + 1
            pieces.push({ index, first: next, count: 0, sizeBytes: 50 })
            const gone = surplus(rules, pieces)
            pieces = pieces.filter((piece) => !gone.includes(piece))
            placement = placeLine(rules, pieces.at(-1), bytes)
          }
          const last = pieces.at(-1)
          expect(last).toBeDefined()
          if (placement === 'full' || last === undefined) {
            expect(attributes.fileFullAction).toBe('HALT')
            continue
          }
          expect(placement).toBe('here')
          const { count, sizeBytes } = last
          pieces[pieces.length - 1] = { ...last, count: count + 1, sizeBytes: sizeBytes + bytes }
          next += 1
        }
        expect(pieces.length).toBeLessThanOrEqual(rules.countMax)
        for (const [index, { first, count, sizeBytes }] of pieces.entries()) {
          if (count > 1) expect(sizeBytes).toBeLessThanOrEqual(rules.sizeBytesMax)
          expect(pieces[index + 1]?.first ?? next).toBe(first + count)
          if (count > 0) expect(pieceOf(pieces, first)).toBe(pieces[index])
        }
        expect(pieceOf(pieces, next)).toBeUndefined()
      }),
    )
    expect(
      pieceRules({ fileFullAction: 'ROTATE', fileUnitSize: 9, maxFilesRotated: 0 }).countMax,
    ).toBe(65)
  })
})

describe('numbered records', () => {
  it('arrive once and in order, and those that do not are counted, while the receiver lives', () => {
    const steps = fc.array(
      fc.record({
        /** How many are written; the sender holds so many at most. */
        write: fc.nat({ max: 6 }),
        roomFor: fc.integer({ min: 1, max: 5 }),
        outcome: fc.constantFrom('answered', 'answerLost', 'neverArrived'),
      }),
    )
    fc.assert(
      fc.property(steps, (all) => {
        const intake = new LogIntake()
        const account = new SentAccount()
        const arrived: number[] = []
        let waiting: number[] = []
        let lost = 0
        let written = 0
        const send = (outcome: string): void => {
          const [first] = waiting
          if (first === undefined || outcome === 'neverArrived') return
          const taken = intake.take(first, account.lostBefore(first), waiting)
          lost += taken.lost
          arrived.push(...taken.fresh)
          if (outcome === 'answerLost') return
          account.arrived(first, waiting.length)
          waiting = []
        }
        for (const { write, roomFor, outcome } of all) {
          for (let n = 0; n < write; n += 1) waiting.push((written += 1))
          waiting = waiting.slice(-roomFor)
          send(outcome)
        }
        waiting.push((written += 1))
        send('answered')
        expect(arrived).toEqual([...new Set(arrived)].sort((a, b) => a - b))
        expect(arrived.length + lost).toBe(written)
      }),
    )
  })
})

describe('where HOLDFAST_SYSLOG leads', () => {
  it.each([
    ['/run/x/log', { kind: 'local', path: '/run/x/log' }],
    ['udp://127.0.0.1:5514', { kind: 'udp', host: '127.0.0.1', port: 5_514 }],
    ['udp://loghost', { kind: 'udp', host: 'loghost', port: 514 }],
    ['udp://[::1]:600/', { kind: 'udp', host: '::1', port: 600 }],
  ])('%s', (text, target) => {
    expect(parseSyslogTarget(text)).toEqual(target)
  })

  it.each([
    '',
    'dev/log',
    'udp://',
    'udp://h:99999',
    'udp://h/x',
    'udp://u@h',
    'tcp://h:1',
    'udp://h?x',
  ])('not "%s"', (text) => {
    expect(() => parseSyslogTarget(text)).toThrow(/HOLDFAST_SYSLOG.*udp:\/\/HOST:PORT/)
  })
})
