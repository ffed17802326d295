import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contentHash } from '../../../runtime/services/checkpoint/content-hash.ts'
import type {
  CheckpointBatch,
  CheckpointRecord,
} from '../../../runtime/services/checkpoint/interface.ts'
import { ReplicaLog } from '../../../runtime/services/checkpoint/replica-log.ts'
import { Replica } from '../../../runtime/services/checkpoint/replica.ts'
import type { StoredReplica } from '../../../runtime/services/checkpoint/stored-replica.ts'

const CSI = 'csi'
const limits = { logCountMax: 8, logSizeBytesMax: 100_000, sliceCount: 2 }

let directory: string
let problems: string[]
let open: ReplicaLog[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-store-'))
  problems = []
  open = []
})

afterEach(async () => {
  for (const store of open) await store.close()
  rmSync(directory, { recursive: true, force: true })
  rmSync(`${directory}.damaged`, { recursive: true, force: true })
})

function openStore(): ReplicaLog {
  const complain = (...what: unknown[]): void => void problems.push(String(what.at(-1)))
  const store = new ReplicaLog({
    directory,
    log: { info: () => undefined, warn: complain, error: complain },
    clock: () => 0,
    limits,
  })
  open.push(store)
  return store
}

function record(writes: [string, string | null][], reply?: [string, number]): CheckpointRecord {
  return {
    writes: writes.map(([name, text]) => [name, text === null ? null : Buffer.from(text)]),
    reply:
      reply === undefined
        ? null
        : {
            caller: reply[0],
            messageId: reply[1],
            functionNumber: 1,
            rc: 0,
            payload: new Uint8Array([1, 2]),
            keepMs: 1_000,
          },
    acknowledged: [],
    expired: [],
  }
}

/** A store with `count` one-record batches under epoch 1. */
function fill(stored: StoredReplica, count: number): void {
  stored.promise(1)
  stored.makeReliable()
  for (let i = 1; i <= count; i++) {
    const batch = {
      epoch: 1,
      firstSequence: i,
      records: [record([[`s${i % 5}`, `v${i}`]], ['c', i])],
    }
    expect(stored.append(batch, 1, null).kind).toBe('applied')
  }
}

/** The store's file, or one of the logs. */
function fileWith(text: string): string {
  const files = ['data.mdb', ...readdirSync(join(directory, 'batches')).map((f) => `batches/${f}`)]
  const paths = files.map((file) => join(directory, file))
  const found = paths.find((path) => readFileSync(path).includes(text))
  if (found === undefined) throw new Error(`${text} is in no file`)
  return found
}

/** Turns of the event loop in which content is written out. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a replica in its store', () => {
  test('is new and unreliable at first; an epoch promised outlives the process', async () => {
    const store = openStore()
    expect(store.replica(CSI).isReliable).toBe(false)
    expect(store.replica(CSI).promise(5)).toBe(true)
    await store.close()
    const again = openStore().replica(CSI)
    expect(again.replica.epoch).toBe(5)
    expect(again.promise(4)).toBe(false)
    expect(again.isReliable).toBe(false)
  })

  test.each([3, 9, 40])('comes back with %i batches, written out or not', async (count) => {
    const store = openStore()
    const stored = store.replica(CSI)
    fill(stored, count)
    await settle()
    const before = contentHash(stored.replica)
    await store.close()
    const again = openStore().replica(CSI)
    expect(problems).toEqual([])
    expect(contentHash(again.replica)).toBe(before)
    expect(again.isReliable).toBe(true)
    expect(again.replica.history).toEqual([[1, 1]])
    const next = { epoch: 1, firstSequence: count + 1, records: [record([['x', 'y']])] }
    expect(again.append(next, 1, null).kind).toBe('applied')
  })

  test('keeps two CSIs apart, one name being the beginning of the other', async () => {
    const store = openStore()
    fill(store.replica('a'), 3)
    fill(store.replica('ab'), 12)
    await settle()
    store
      .replica('a')
      .replace({ epoch: 1, sequence: 1, sections: [], replies: [], acknowledged: [] }, [[1, 1]])
    await store.close()
    const again = openStore()
    expect(again.replica('a').replica.sections.size).toBe(0)
    expect(again.replica('ab').replica.sequence).toBe(12)
    expect(again.replica('ab').replica.sections.size).toBe(5)
  })

  test('a replaced content is there whole, with its history, and nothing of the former', async () => {
    const store = openStore()
    const stored = store.replica(CSI)
    fill(stored, 20)
    stored.promise(7)
    const sections: [string, Uint8Array][] = [['other', Buffer.from('content')]]
    stored.replace({ epoch: 6, sequence: 9, sections, replies: [], acknowledged: [] }, [
      [3, 1],
      [6, 5],
    ])
    await settle()
    await store.close()
    const again = openStore().replica(CSI)
    expect([...again.replica.sections.keys()]).toEqual(['other'])
    expect(again.replica.sequence).toBe(9)
    expect(again.replica.isPrefix(3, 4)).toBe(true)
    expect(again.replica.isPrefix(3, 5)).toBe(false)
    expect(again.replica.epoch).toBe(7)
  })

  test('whatever is written and whenever content is written out, a reload gives the same', async () => {
    const section = fc.constantFrom('a', 'b', 'c', 'long name \u{1F600}')
    const oneRecord = fc.record({
      writes: fc.uniqueArray(fc.tuple(section, fc.option(fc.string({ maxLength: 4 }))), {
        selector: ([name]) => name,
        maxLength: 3,
      }),
      reply: fc.option(fc.tuple(fc.constantFrom('c1', 'c2'), fc.integer({ min: 1, max: 30 }))),
      below: fc.option(fc.tuple(fc.constantFrom('c1', 'c2'), fc.integer({ min: 1, max: 30 }))),
      expired: fc.option(fc.tuple(fc.constantFrom('c1', 'c2'), fc.integer({ min: 1, max: 30 }))),
    })
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.array(oneRecord, { minLength: 1, maxLength: 3 }) },
      { weight: 1, arbitrary: fc.constant('epoch' as const) },
      { weight: 2, arbitrary: fc.constant('turn' as const) },
      { weight: 1, arbitrary: fc.constant('reload' as const) },
    )
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const csi = `csi${++run}`
        let store = openStore()
        let stored = store.replica(csi)
        let epoch = 1
        stored.promise(epoch)
        stored.makeReliable()
        const model = new Replica()
        for (const each of steps) {
          if (each === 'epoch') stored.promise(++epoch)
          else if (each === 'turn') await new Promise((resolve) => setImmediate(resolve))
          else if (each === 'reload') {
            await store.close()
            store = openStore()
            stored = store.replica(csi)
          } else {
            const batch: CheckpointBatch = {
              epoch,
              firstSequence: model.sequence + 1,
              records: each.map(({ writes, reply, below, expired }) => ({
                ...record(writes, reply ?? undefined),
                acknowledged: below === null ? [] : [below],
                expired: expired === null ? [] : [expired],
              })),
            }
            model.promise(epoch)
            expect(model.append(batch, epoch, 0).kind).toBe('applied')
            expect(stored.append(batch, epoch, null).kind).toBe('applied')
          }
        }
        await store.close()
        const again = openStore()
        expect(contentHash(again.replica(csi).replica)).toBe(contentHash(model))
        expect(again.replica(csi).replica.history).toEqual(model.history)
        await again.close()
        expect(problems).toEqual([])
      }),
      { numRuns: 40 },
    )
  })
})

describe('damage', () => {
  test('a process killed in the middle of writing loses nothing that it had stored', async () => {
    const script = fileURLToPath(new URL('./writer.ts', import.meta.url))
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, ['--import', 'tsx', script, directory])
      let said = ''
      const exited = new Promise((resolve) => child.once('exit', resolve))
      await new Promise<void>((resolve, reject) => {
        child.once('exit', () => reject(new Error('the writer ended by itself')))
        child.stdout.on('data', (chunk: Buffer) => {
          said += chunk.toString()
          if (said.split('\n').length > 10 + round * 7) resolve()
        })
      })
      child.kill('SIGKILL')
      await exited
      const claimed = Number(said.trimEnd().split('\n').at(-1))
      const store = openStore()
      const { replica, isReliable } = store.replica('csi')
      expect(problems).toEqual([])
      expect(isReliable).toBe(true)
      expect(replica.sequence).toBeGreaterThanOrEqual(claimed)
      const next = replica.sections.get('next') ?? new Uint8Array(8)
      expect(new DataView(next.buffer, next.byteOffset).getFloat64(0)).toBe(replica.sequence)
      await store.close()
    }
  }, 30_000)

  test('a file that is cut short is put aside, and every replica starts as lost', async () => {
    const store = openStore()
    fill(store.replica(CSI), 30)
    await settle()
    await store.close()
    const file = join(directory, 'data.mdb')
    truncateSync(file, 3 * 4_096)
    const again = openStore().replica(CSI)
    expect(again.isReliable).toBe(false)
    expect(again.replica.sequence).toBe(0)
    expect(problems.join()).toContain('damaged')
    expect(existsSync(`${directory}.damaged/data.mdb`)).toBe(true)
  })

  /** The only log there is. */
  const logFile = (): string =>
    join(directory, 'batches', readdirSync(join(directory, 'batches'))[0]!)

  test('a batch whose writer was killed meanwhile was never there; the next one takes its place', async () => {
    const store = openStore()
    fill(store.replica(CSI), 4)
    await store.close()
    const whole = statSync(logFile()).size
    const bytes = readFileSync(logFile())
    const lastFrom = bytes.lastIndexOf(CSI)
    for (const size of [whole - 1, lastFrom, lastFrom - 8]) {
      writeFileSync(logFile(), bytes.subarray(0, size))
      const again = openStore()
      const stored = again.replica(CSI)
      expect(stored.isReliable).toBe(true)
      expect(stored.replica.sequence).toBe(3)
      // Shorter than the one that was cut: nothing of that may be taken for a batch.
      const next = { epoch: 1, firstSequence: 4, records: [record([['x', null]])] }
      expect(stored.append(next, 1, null).kind).toBe('applied')
      await again.close()
      const last = openStore()
      expect(last.replica(CSI).replica.sequence).toBe(4)
      await last.close()
    }
    expect(problems).toEqual([])
  })

  test.each([
    ['its length', 1, 'does not check'],
    ['its format', 0, 'does not check'],
  ])('a header of the log with another byte in %s is noticed', async (_what, at, why) => {
    const store = openStore()
    fill(store.replica(CSI), 4)
    await store.close()
    const bytes = readFileSync(logFile())
    bytes[at]! ^= 0x01
    writeFileSync(logFile(), bytes)
    expect(openStore().replica(CSI).isReliable).toBe(false)
    expect(problems.join()).toContain(why)
  })

  test('a log that is away, with the record that the history names, is noticed', async () => {
    const store = openStore()
    fill(store.replica(CSI), 4)
    // The history goes to the store with the next promise.
    store.replica(CSI).promise(2)
    await store.close()
    rmSync(logFile())
    expect(openStore().replica(CSI).isReliable).toBe(false)
    expect(problems.join()).toContain('the log ends before')
  })

  test('a piece of the log that is away between two is noticed', async () => {
    const store = openStore()
    const stored = store.replica(CSI)
    fill(stored, 9)
    stored.settle()
    // The ninth began to write out: what follows is in a piece of its own, and the process ends before the first goes.
    await new Promise((resolve) => setImmediate(resolve))
    const next = { epoch: 1, firstSequence: 10, records: [record([['x', 'y']])] }
    expect(stored.append(next, 1, null).kind).toBe('applied')
    await store.close()
    const pieces = readdirSync(join(directory, 'batches')).toSorted()
    expect(pieces).toHaveLength(2)
    rmSync(join(directory, 'batches', pieces[0]!))
    expect(openStore().replica(CSI).isReliable).toBe(false)
    expect(problems.join()).toContain('a gap')
  })

  test('files do not grow in number, whatever is written, replaced, removed and opened again', async () => {
    for (let round = 0; round < 3; round++) {
      const store = openStore()
      const stored = store.replica(CSI)
      const { sequence } = stored.replica
      if (sequence === 0) fill(stored, 40)
      await settle()
      const snapshot = { epoch: 1, sequence: 5, sections: [], replies: [], acknowledged: [] }
      stored.replace(snapshot, [[1, 1]])
      const next = { epoch: 1, firstSequence: 6, records: [record([['x', 'y']])] }
      expect(stored.append(next, 1, null).kind).toBe('applied')
      expect(readdirSync(join(directory, 'batches'))).toHaveLength(1)
      await store.close()
    }
    const store = openStore()
    store.remove(CSI)
    expect(readdirSync(join(directory, 'batches'))).toEqual([])
    expect(store.replica(CSI).isReliable).toBe(false)
    expect(problems).toEqual([])
  })

  test('a file of something else is put aside', () => {
    writeFileSync(join(directory, 'data.mdb'), 'this is no store '.repeat(1_000))
    expect(openStore().replica(CSI).isReliable).toBe(false)
    expect(problems.join()).toContain('damaged')
  })

  test.each([
    ['a section that was written out', 30, 'v26'],
    ['a batch of the log', 4, 'v2'],
  ])(
    'a changed byte in %s is noticed: the replica is lost, durably',
    async (_what, count, text) => {
      const store = openStore()
      fill(store.replica(CSI), count)
      await settle()
      await store.close()
      const file = fileWith(text)
      const bytes = readFileSync(file)
      let changed = 0
      for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
        bytes[at] = 0x57
        changed++
      }
      expect(changed).toBeGreaterThan(0)
      writeFileSync(file, bytes)
      for (let round = 0; round < 2; round++) {
        const again = openStore()
        expect(again.replica(CSI).isReliable).toBe(false)
        expect(again.replica(CSI).replica.sequence).toBe(0)
        expect(again.replica(CSI).replica.epoch).toBe(1)
        await again.close()
      }
      expect(problems).toHaveLength(1)
      expect(problems[0]).toContain('is lost on this node')
    },
  )
})
