import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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
    expect(file.takeUntold()).toBe(0)
    rmSync(place)
    const waiting = file.read({ file: '', from: 1, countMax: 1, waitMs: 10_000 })
    expect((await waiting).records.map(numberIn)).toEqual([1])
    expect(await file.state()).toMatchObject({ first: 1, next: taken + 1, dropped: 904 })
    expect([file.takeUntold(), file.takeUntold()]).toEqual([904, 0])
    await file.close()
  })

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
