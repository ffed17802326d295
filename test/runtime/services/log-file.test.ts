import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { logAttributesSchema } from '../../../runtime/services/log/interface.ts'
import { LogFile } from '../../../runtime/services/log/log-file.ts'

const directory = mkdtempSync(join(tmpdir(), 'hf-logfile-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let made = 0
const failures: unknown[] = []

function fileOf(attributes: object, place = directory, name = `f${(made += 1)}`): LogFile {
  const parsed = logAttributesSchema.parse({ recordSize: 64, flushFreq: 4, ...attributes })
  return new LogFile({
    directory: place,
    name,
    header: { stream: 's', scope: 'LOCAL', attributes: parsed },
    onWaterMark: () => undefined,
    onFailure: (error) => failures.push(error),
  })
}

/** A small disk of its own is there for root only. */
function canMount(): boolean {
  const place = join(directory, 'try')
  mkdirSync(place)
  if (spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', place]).status !== 0) return false
  return spawnSync('umount', [place]).status === 0
}

const line = (n: number, length: number): string =>
  `${JSON.stringify({ time: 1, msg: String(n).padEnd(length, 'x') })}\n`
const numberIn = ({ text }: { readonly text: string }): number => Number.parseInt(text, 10)

describe('a log file', () => {
  it('gives every record its number, to readers of any pace, over rotations and lives', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append'), length: fc.integer({ min: 5, max: 900 }) }),
      fc.record({ kind: fc.constant('read'), countMax: fc.integer({ min: 1, max: 7 }) }),
      fc.record({ kind: fc.constantFrom('flush', 'again') }),
    )
    const actions = fc.constantFrom('ROTATE', 'WRAP')
    await fc.assert(
      fc.asyncProperty(actions, fc.array(step, { maxLength: 60 }), async (action, steps) => {
        const attributes = { fileFullAction: action, fileUnitSize: 2_048, maxFilesRotated: 1 }
        const name = `p${(made += 1)}`
        let file = fileOf(attributes, directory, name)
        let appended = 0
        let next = 1
        const read = async (countMax: number): Promise<number> => {
          const answer = await file.read({ file: '', from: next, countMax, waitMs: 0 })
          const first = next + answer.lost
          expect(answer.records.map(({ number }) => number)).toEqual(
            answer.records.map((_, index) => first + index),
          )
          expect(answer.records.map(numberIn)).toEqual(answer.records.map(({ number }) => number))
          next = answer.next
          return answer.records.length
        }
        for (const one of steps) {
          if ('length' in one) expect(file.append(line((appended += 1), one.length))).toBe(true)
          else if ('countMax' in one) await read(one.countMax)
          else if (one.kind === 'flush') await file.flush()
          else {
            await file.close()
            file = fileOf(attributes, directory, name)
          }
        }
        await file.flush()
        while ((await read(5)) > 0);
        expect(next).toBe(appended + 1)
        expect(await file.state()).toMatchObject({ next: appended + 1, dropped: 0 })
        await file.close()
      }),
      { numRuns: 15 },
    )
    expect(failures).toEqual([])
  })

  it('keeps what it can while the disk refuses, tells once, counts the rest, and goes on', async () => {
    const place = join(directory, 'refused')
    writeFileSync(place, 'no directory')
    const file = fileOf({ fileUnitSize: 1_000_000 }, place)
    const outcomes = Array.from({ length: 5_000 }, (_, n) => file.append(line(n + 1, 5)))
    await file.flush()
    expect(failures.splice(0)).toHaveLength(1)
    const taken = outcomes.filter(Boolean).length
    expect(taken).toBe(4_096)
    file.tellLosses((lost) => line(lost, 5))
    rmSync(place)
    const waiting = file.read({ file: '', from: 1, countMax: 1, waitMs: 10_000 })
    expect((await waiting).records.map(numberIn)).toEqual([1])
    const { records } = await file.read({ file: '', from: taken + 1, countMax: 2, waitMs: 0 })
    expect(records.map(numberIn)).toEqual([904])
    expect(await file.state()).toMatchObject({ first: 1, next: taken + 2, dropped: 904 })
    await file.close()
  })

  it('tells how many of a burst it dropped when it has room again, and needs no further record for it', async () => {
    const file = fileOf({ fileUnitSize: 1_000_000 })
    const told: number[] = []
    const tell = (): void =>
      file.tellLosses((lost) => {
        told.push(lost)
        return line(lost, 5)
      })
    file.lose(7)
    tell()
    for (let burst = 0; burst < 2; burst += 1) {
      for (let n = 0; n < 5_000; n += 1) file.append(line(n + 1, 5))
      tell()
    }
    await file.flush()
    const { next, dropped } = await file.state()
    // The line of the first seven took the place of a record.
    expect([next, dropped]).toEqual([4_096 + 2, 10_000 - 4_095])
    expect([told[0], told.at(-1)]).toEqual([7, dropped])
    const { records } = await file.read({ file: '', from: 4_097, countMax: 2, waitMs: 0 })
    expect(records.map(numberIn)).toEqual([dropped])
    await file.close()
  })

  it('gives no number twice, and loses only what was removed, whatever somebody does to the directory', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('append'), count: fc.nat(9) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('read') }) },
      fc.record({ kind: fc.constantFrom('removeAll', 'removeOldest', 'removeNewest', 'refuse') }),
      fc.record({ kind: fc.constantFrom('again', 'mend') }),
    )
    const actions = fc.constantFrom('ROTATE', 'WRAP')
    await fc.assert(
      fc.asyncProperty(actions, fc.array(step, { maxLength: 40 }), async (action, steps) => {
        const place = join(directory, `d${(made += 1)}`)
        const attributes = { fileFullAction: action, fileUnitSize: 1_024, maxFilesRotated: 2 }
        let file = fileOf(attributes, place, 'f')
        let [appended, next, seen, lost] = [0, 1, 0, 0]
        const mend = (): void => {
          if (statSync(place, { throwIfNoEntry: false })?.isFile() === true) rmSync(place)
        }
        const read = async (): Promise<number> => {
          const answer = await file.read({ file: '', from: next, countMax: 9, waitMs: 0 })
          const first = next + answer.lost
          // In order, under their own numbers, and not twice.
          expect(answer.records.map(({ number }) => number)).toEqual(
            answer.records.map((_, index) => first + index),
          )
          expect(answer.records.map(numberIn)).toEqual(answer.records.map(({ number }) => number))
          seen += answer.records.length
          lost += answer.lost
          next = answer.next
          return answer.records.length + answer.lost
        }
        const remove = (index: number): void => {
          const name = readdirSync(place).sort().at(index)
          if (name !== undefined) rmSync(join(place, name))
        }
        for (const one of steps) {
          if ('count' in one) {
            for (let n = 0; n < one.count; n += 1) file.append(line((appended += 1), 100))
            continue
          }
          // What the disk did not take yet is told to nobody: it stays in order.
          await file.flush()
          const isThere = statSync(place, { throwIfNoEntry: false })?.isDirectory() === true
          if (one.kind === 'mend') mend()
          else if (one.kind === 'read' && isThere) await read()
          else if (one.kind === 'again' && isThere) {
            await file.close()
            file = fileOf(attributes, place, 'f')
            // A new life knows only the numbers that are in files: when the newest went, it begins at others.
            if ((await file.state()).next !== appended + 1) return file.close()
          } else if (one.kind === 'removeAll') rmSync(place, { recursive: true, force: true })
          else if (one.kind === 'removeOldest' && isThere) remove(0)
          else if (one.kind === 'removeNewest' && isThere) remove(-1)
          else if (one.kind === 'refuse') {
            rmSync(place, { recursive: true, force: true })
            writeFileSync(place, 'no directory')
          }
        }
        mend()
        await file.flush()
        while ((await read()) > 0);
        expect([next, seen + lost]).toEqual([appended + 1, appended])
        expect((await file.state()).dropped).toBe(0)
        await file.close()
      }),
      { numRuns: 25 },
    )
    failures.length = 0
  })

  it.runIf(canMount())(
    'goes on when a full disk has room again, with every record that it did not count',
    async () => {
      const place = join(directory, 'small')
      mkdirSync(place)
      const words = ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place]
      expect(spawnSync('mount', words).status).toBe(0)
      try {
        writeFileSync(join(place, 'ballast'), Buffer.alloc(40 * 1024))
        const file = fileOf({ fileFullAction: 'ROTATE', fileUnitSize: 8_192 }, place, 'f')
        const outcomes = Array.from({ length: 5_000 }, (_, n) => file.append(line(n + 1, 100)))
        await file.flush()
        expect(failures.splice(0)).toMatchObject([{ code: 'ENOSPC' }])
        const taken = outcomes.filter(Boolean).length
        const before = (await file.state()).next
        expect(before).toBeGreaterThan(50)
        expect(before).toBeLessThan(taken)
        // Rotation takes its own old files first: WRAP has room for ever where it once had.
        file.use({
          ...file.header,
          attributes: { ...file.header.attributes, fileFullAction: 'WRAP', fileUnitSize: 16_384 },
        })
        await file.flush()
        expect(await file.state()).toMatchObject({ next: taken + 1, dropped: 5_000 - taken })
        const told: number[] = []
        file.tellLosses((lost) => {
          told.push(lost)
          return line(lost, 100)
        })
        expect(told).toEqual([5_000 - taken])
        await file.flush()
        const { first } = await file.state()
        const { records } = await file.read({ file: '', from: 1, countMax: 5, waitMs: 0 })
        expect(records.map(numberIn)).toEqual([0, 1, 2, 3, 4].map((n) => first + n))
        await file.close()
      } finally {
        spawnSync('umount', [place])
      }
    },
  )

  it('lets readers wait for the next record, and not for ever', async () => {
    const file = fileOf({ flushIntervalMs: 1 })
    expect(await file.read({ file: '', from: 1, countMax: 9, waitMs: 20 })).toEqual({
      records: [],
      next: 1,
      lost: 0,
    })
    const waiting = file.read({ file: '', from: 1, countMax: 9, waitMs: 10_000 })
    file.append(line(1, 5))
    expect((await waiting).records).toHaveLength(1)
    await file.close()
  })
})
