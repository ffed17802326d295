import { describe, expect, test } from 'vitest'
import { SdkError } from '../../idl/index.ts'
import type { NameEntry } from '../../ioc/index.ts'
import { InvocationLog } from '../../runtime/cpm/invocation-log.ts'
import { NameTable } from '../../runtime/cpm/name-table.ts'
import { NameWatch } from '../../runtime/cpm/name-watch.ts'
import { handlerError } from '../../runtime/eo/handler-error.ts'
import { Quarantine } from '../../runtime/eo/quarantine.ts'
import { StampAge } from '../../runtime/eo/stamp-age.ts'

const entry = (epoch: number, port: number | null, name = 'n'): NameEntry => ({
  name,
  csi: `${name}CSI`,
  epoch,
  address: port === null ? null : { node: 1, port },
})

describe('names', () => {
  test.each<[string, NameEntry[], NameEntry, number]>([
    ['a newer epoch counts', [entry(1, 64), entry(2, 65)], entry(2, 65), 2],
    ['an older epoch does not', [entry(2, 65), entry(1, 64)], entry(2, 65), 1],
    ['nobody active any more', [entry(1, 64), entry(1, null)], entry(1, null), 2],
    ['the same again is no change', [entry(1, 64), entry(1, 64)], entry(1, 64), 1],
  ])('%s', (_, news, expected, changeCount) => {
    const names = new NameTable()
    expect(news.flatMap((one) => names.apply([one]))).toHaveLength(changeCount)
    expect(names.get('n')).toEqual(expected)
    expect(names.entryOfCsi('nCSI')).toEqual(expected)
  })

  test('ready waits for a complete table', async () => {
    const watch = new NameWatch()
    let isReady = false
    const ready = watch.ready.then(() => (isReady = true))
    const heard: string[] = []
    const stop = watch.onChange((one) => heard.push(`${one.name}${one.epoch}`))
    watch.receive({ names: [entry(1, 64)], complete: false, whole: false })
    await Promise.resolve()
    expect(isReady).toBe(false)
    watch.receive({ names: [entry(1, 64), entry(1, 65, 'm')], complete: true, whole: true })
    await ready
    stop()
    watch.receive({ names: [entry(9, 64)], complete: true, whole: false })
    expect(watch.lookup('m')?.epoch).toBe(1)
    watch.receive({ names: [entry(9, 64)], complete: true, whole: true })
    expect(watch.lookup('m')).toBeUndefined()
    expect(heard).toEqual(['n1', 'm1'])
    expect(watch.lookup('n')?.epoch).toBe(9)
    expect(watch.lookup('nobody')).toBeUndefined()
  })
})

describe('the age of the progress stamp', () => {
  test('grows while the judged thread is stuck', () => {
    const age = new StampAge(100)
    expect([0, 100, 200, 300].map((ms) => age.at(10_000 + ms, 10_000))).toEqual([0, 100, 200, 300])
  })

  test('starts again when nobody ran: a stopped process blames nobody', () => {
    const age = new StampAge(100)
    age.at(10_000, 10_000)
    expect(age.at(60_000, 10_000)).toBe(0)
    expect(age.at(60_100, 10_000)).toBe(100)
    expect(age.at(60_200, 60_190)).toBe(10)
  })

  test('counts from its own start while there is no stamp, and over the 32-bit turn', () => {
    const age = new StampAge(100)
    age.at(5_000, 0)
    expect(age.at(5_100, 0)).toBe(100)
    const turn = new StampAge(100)
    turn.at(2 ** 32 - 10, (2 ** 32 - 10) | 0)
    expect(turn.at(2 ** 32 + 50, (2 ** 32 + 20) | 0)).toBe(30)
  })
})

describe('quarantine', () => {
  const limits = { deathCountMax: 2, windowMs: 1_000, jobCountMax: 2 }
  const bytes = (...values: number[]): Uint8Array => new Uint8Array(values)

  test('refuses a job that ended two workers, within the window', () => {
    const quarantine = new Quarantine(limits)
    expect(quarantine.isEmpty).toBe(true)
    quarantine.recordDeath(64, bytes(1), 0)
    expect(quarantine.refuses(64, bytes(1), 1)).toBe(false)
    quarantine.recordDeath(64, bytes(1), 10)
    expect(quarantine.refuses(64, bytes(1), 11)).toBe(true)
    expect(quarantine.refuses(64, bytes(2), 11)).toBe(false)
    expect(quarantine.refuses(65, bytes(1), 11)).toBe(false)
    expect(quarantine.refuses(64, bytes(1), 1_010)).toBe(false)
    expect(quarantine.isEmpty).toBe(true)
  })

  test('deaths far apart do not add up, and the oldest job is forgotten at the bound', () => {
    const quarantine = new Quarantine(limits)
    quarantine.recordDeath(1, bytes(), 0)
    quarantine.recordDeath(1, bytes(), 2_000)
    expect(quarantine.refuses(1, bytes(), 2_001)).toBe(false)
    quarantine.recordDeath(1, bytes(), 2_002)
    quarantine.recordDeath(2, bytes(), 2_003)
    quarantine.recordDeath(3, bytes(), 2_004)
    expect(quarantine.refuses(1, bytes(), 2_005)).toBe(false)
  })
})

test.each<[string, unknown, string]>([
  ['a refusal of the function crosses', new SdkError('NOT_EXIST', 'x'), 'NOT_EXIST'],
  ['a code of the application crosses', new SdkError('SOLD_OUT', 'x'), 'SOLD_OUT'],
  ['a plain error is a bug', new Error('x'), 'HANDLER_FAILED'],
  ['a thrown text too', 'x', 'HANDLER_FAILED'],
  ['a call of its own that timed out is no answer', new SdkError('TIMEOUT', 'x'), 'HANDLER_FAILED'],
  ['nobody speaks for the EO', new SdkError('NOT_ACTIVE', 'x'), 'HANDLER_FAILED'],
])('errors of functions: %s', (_, error, expected) => {
  const crossed = handlerError(error, 'A.b')
  expect(crossed.code).toBe(expected)
  if (expected === 'HANDLER_FAILED') expect(crossed.message).toMatch(/^A\.b failed: /)
})

test('invocations: an answer is kept for repeats, and the log is bounded', () => {
  const log = new InvocationLog<string>()
  log.start(1)
  expect([log.isKnown(1), log.answer(1), log.isKnown(2)]).toEqual([true, undefined, false])
  log.finish(1, 'ok')
  expect(log.answer(1)).toBe('ok')
  for (let i = 2; i < 400; i++) {
    log.start(i)
    log.finish(i, 'ok')
  }
  expect([log.isKnown(1), log.isKnown(399)]).toEqual([false, true])
})
