// Longer than usual: one replica that answers when it is told to, for all that can befall a call.
import { beforeEach, describe, expect, test } from 'vitest'
import { isSdkError, rcOfCode, SdkError } from '../../../idl/index.ts'
import type { Call, CheckpointOptions } from '../../../runtime/eo/app.ts'
import type { CallKey } from '../../../runtime/services/checkpoint/commit-gate.ts'
import { CsiCheckpoint } from '../../../runtime/services/checkpoint/csi-checkpoint.ts'
import type {
  CheckpointBatch,
  CheckpointRecord,
} from '../../../runtime/services/checkpoint/interface.ts'
import { quiet } from './rig.ts'

/** A replica that answers when the test says so. */
class Replica {
  readonly batches: CheckpointBatch[] = []
  readonly fenced: Error[] = []
  gaps = 0
  #answers: { resolve: () => void; reject: (error: Error) => void }[] = []

  readonly send = (batch: CheckpointBatch): Promise<void> => {
    this.batches.push(batch)
    return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }))
  }

  get records(): CheckpointRecord[] {
    return this.batches.flatMap((batch) => batch.records)
  }

  get waitingCount(): number {
    return this.#answers.length
  }

  async accept(count = Infinity): Promise<void> {
    for (const { resolve } of this.#answers.splice(0, count)) resolve()
    await turn()
  }

  async refuse(code: string): Promise<void> {
    for (const { reject } of this.#answers.splice(0)) reject(new SdkError(code, 'refused'))
    await turn()
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const ok = { rc: 0, payload: new Uint8Array([1]) }

let replica: Replica
let nowMs: number
let sweep: () => void
let lastId: number

beforeEach(() => {
  replica = new Replica()
  nowMs = 1_000
  sweep = () => undefined
  lastId = 0
})

function make(options: CheckpointOptions = {}): CsiCheckpoint {
  return new CsiCheckpoint({
    csi: 'csi',
    options,
    log: quiet,
    clock: () => nowMs,
    send: replica.send,
    onFenced: (error) => replica.fenced.push(error),
    onGap: () => replica.gaps++,
    every: (_periodMs, run) => {
      sweep = run
      return () => undefined
    },
  })
}

async function active(options: CheckpointOptions = {}): Promise<CsiCheckpoint> {
  const checkpoint = make(options)
  await checkpoint.roleChanged('ACTIVE', 1)
  return checkpoint
}

function begin(checkpoint: CsiCheckpoint, changes: Partial<CallKey> = {}) {
  const key: CallKey = {
    caller: 'c',
    messageId: ++lastId,
    acknowledgedBelow: 0,
    functionNumber: 1_280,
    atMostOnce: true,
    deadlineMs: nowMs + 1_000,
    staleReads: false,
    ...changes,
  }
  const call = { ...key, source: { node: 0, port: 0 } } as unknown as Call
  return { call, key, verdict: checkpoint.begin(call, key) }
}

/** What became of a promise so far. */
function watch<T>(promise: Promise<T>): { state: string } {
  const watched = { state: 'waits' }
  promise.then(
    () => (watched.state = 'done'),
    (error: unknown) => (watched.state = isSdkError(error) ? error.code : String(error)),
  )
  return watched
}

describe('a call of the active', () => {
  test('leaves when its record is committed, with its writes and its reply in one record', async () => {
    const checkpoint = await active()
    const { call, key } = begin(checkpoint, { acknowledgedBelow: 1 })
    checkpoint.in(call).write('a', 5)
    const finished = watch(checkpoint.finish(call, ok))
    await turn()
    expect(finished.state).toBe('waits')
    expect(checkpoint.read('a')).toBeUndefined()
    expect(replica.batches).toHaveLength(1)
    expect(replica.batches[0]).toMatchObject({ epoch: 1, firstSequence: 1 })
    const [record] = replica.records
    expect(record?.writes.map(([name]) => name)).toEqual(['a'])
    expect(record?.reply).toMatchObject({ caller: 'c', messageId: key.messageId, keepMs: 11_000 })
    expect(record?.acknowledged).toEqual([['c', 1]])
    await replica.accept()
    expect(finished.state).toBe('done')
    expect(checkpoint.read('a')).toBe(5)
    expect(checkpoint.sections()).toEqual(['a'])
  })

  test('what finishes while commits are under way goes together', async () => {
    const checkpoint = await active()
    for (let i = 0; i < 100; i++) {
      const { call } = begin(checkpoint)
      checkpoint.in(call).write('a', i)
      watch(checkpoint.finish(call, ok))
      if (i < 5) await turn()
    }
    await turn()
    expect(replica.batches.map((batch) => batch.records.length)).toEqual([1, 1, 1, 1])
    await replica.accept(1)
    expect(replica.batches.map((batch) => batch.records.length)).toEqual([1, 1, 1, 1, 96])
  })

  test('calls of one tick leave before it ends', async () => {
    const checkpoint = await active()
    for (let i = 0; i < 20; i++) {
      const { call } = begin(checkpoint)
      checkpoint.in(call).write('a', i)
      watch(checkpoint.finish(call, ok))
    }
    expect(replica.batches.map((batch) => batch.records.length)).toEqual([16])
    await turn()
    expect(replica.batches.map((batch) => batch.records.length)).toEqual([16, 4])
  })

  test('sees the writes of an earlier call, and is committed after it', async () => {
    const checkpoint = await active()
    const first = begin(checkpoint)
    const second = begin(checkpoint)
    checkpoint.in(first.call).write('a', 1)
    expect(checkpoint.in(second.call).read('a')).toBe(1)
    const finished = watch(checkpoint.finish(second.call, ok))
    await turn()
    expect(replica.batches).toHaveLength(0)
    watch(checkpoint.finish(first.call, ok))
    await turn()
    expect(replica.records.map((record) => record.reply?.messageId)).toEqual([1, 2])
    await replica.accept()
    expect(finished.state).toBe('done')
  })

  test('falls with the call whose writes it saw, and may be made again', async () => {
    const checkpoint = await active()
    const [first, second, third] = [begin(checkpoint), begin(checkpoint), begin(checkpoint)]
    checkpoint.in(first.call).write('a', 1)
    checkpoint.in(second.call).read('a')
    checkpoint.in(third.call).read('a')
    const finished = watch(checkpoint.finish(second.call, ok))
    checkpoint.abort(first.call)
    await turn()
    expect(finished.state).toBe('TRY_AGAIN')
    expect(() => checkpoint.in(third.call).write('b', 1)).toThrowError(/TRY_AGAIN|same time/)
    const failed = watch(
      checkpoint.finish(third.call, { rc: rcOfCode('TRY_AGAIN'), payload: new Uint8Array() }),
    )
    await turn()
    expect(failed.state).toBe('TRY_AGAIN')
    expect(replica.batches).toHaveLength(0)
    expect(begin(checkpoint, { messageId: second.key.messageId }).verdict).toBe('run')
  })

  test('fails when another one changed what it had read: no update is lost', async () => {
    const checkpoint = await active()
    const [slow, quick] = [begin(checkpoint), begin(checkpoint)]
    expect(checkpoint.in(slow.call).read('n')).toBeUndefined()
    checkpoint.in(quick.call).write('n', 1)
    watch(checkpoint.finish(quick.call, ok))
    expect(() => checkpoint.in(slow.call).write('n', 1)).toThrowError(/same time/)
    // The handler swallowed it: it fails all the same.
    const finished = watch(checkpoint.finish(slow.call, ok))
    await turn()
    expect(finished.state).toBe('TRY_AGAIN')
  })

  test('that failed keeps its error as the reply, without its writes', async () => {
    const checkpoint = await active()
    const { call, key } = begin(checkpoint)
    checkpoint.in(call).write('a', 1)
    const error = { rc: 0x123, payload: new Uint8Array([9]) }
    watch(checkpoint.finish(call, error))
    await turn()
    await replica.accept()
    expect(replica.records).toMatchObject([{ writes: [], reply: { rc: 0x123 } }])
    expect(begin(checkpoint, key).verdict).toMatchObject({ rc: 0x123 })
    expect(checkpoint.read('a')).toBeUndefined()
  })

  describe('that failed after it saw what another call wrote', () => {
    const failure = { rc: 0x123, payload: new Uint8Array([9]) }

    async function failing() {
      const checkpoint = await active()
      const [writer, failed] = [begin(checkpoint), begin(checkpoint)]
      checkpoint.in(writer.call).write('a', 1)
      checkpoint.in(failed.call).read('a')
      checkpoint.in(failed.call).write('b', 2)
      const answered = watch(checkpoint.finish(failed.call, failure))
      await turn()
      expect(answered.state).toBe('waits')
      expect(replica.batches).toHaveLength(0)
      return { checkpoint, writer, failed, answered }
    }

    test('answers after that one is committed', async () => {
      const { checkpoint, writer, failed, answered } = await failing()
      watch(checkpoint.finish(writer.call, ok))
      await turn()
      expect(replica.records.map(({ reply, writes }) => [reply?.messageId, writes.length])).toEqual(
        [
          [writer.key.messageId, 1],
          [failed.key.messageId, 0],
        ],
      )
      expect(answered.state).toBe('waits')
      await replica.accept()
      expect(answered.state).toBe('done')
      expect(begin(checkpoint, failed.key).verdict).toMatchObject({ rc: 0x123 })
    })

    test('is made again when that one is given up: its error was made of nothing', async () => {
      const { checkpoint, writer, failed, answered } = await failing()
      checkpoint.abort(writer.call)
      await turn()
      expect(answered.state).toBe('TRY_AGAIN')
      expect(replica.batches).toHaveLength(0)
      expect(begin(checkpoint, failed.key).verdict).toBe('run')
    })

    test('is made again when that one fails too, having seen its writes', async () => {
      const checkpoint = await active()
      const [one, other] = [begin(checkpoint), begin(checkpoint)]
      checkpoint.in(one.call).write('a', 1)
      checkpoint.in(other.call).read('a')
      checkpoint.in(other.call).write('b', 2)
      checkpoint.in(one.call).read('b')
      const answered = [
        watch(checkpoint.finish(one.call, failure)),
        watch(checkpoint.finish(other.call, failure)),
      ]
      await turn()
      await replica.accept()
      expect(answered.map(({ state }) => state)).toEqual(['TRY_AGAIN', 'TRY_AGAIN'])
      expect(replica.records).toEqual([])
      expect(checkpoint.sections()).toEqual([])
    })
  })

  test('whose reply is too big to be kept gets TOO_BIG, also when asked again, and leaves no writes', async () => {
    const checkpoint = await active({ replySizeBytesMax: 1_000 })
    const { call, key } = begin(checkpoint)
    checkpoint.in(call).write('a', 1)
    const finished = watch(checkpoint.finish(call, { rc: 0, payload: new Uint8Array(1_001) }))
    await turn()
    expect(finished.state).toBe('waits')
    await replica.accept()
    expect(finished.state).toBe('TOO_BIG')
    expect(replica.records).toMatchObject([{ writes: [], reply: { rc: rcOfCode('TOO_BIG') } }])
    expect(checkpoint.read('a')).toBeUndefined()
    expect(begin(checkpoint, key).verdict).toMatchObject({ rc: rcOfCode('TOO_BIG') })
    const plain = begin(checkpoint, { atMostOnce: false })
    const answered = watch(checkpoint.finish(plain.call, { rc: 0, payload: new Uint8Array(1_001) }))
    await turn()
    await replica.accept()
    expect(answered.state).toBe('done')
  })

  test('that answers TRY_AGAIN keeps nothing: the same call may run', async () => {
    const checkpoint = await active()
    const { call, key } = begin(checkpoint)
    watch(checkpoint.finish(call, { rc: rcOfCode('TRY_AGAIN'), payload: new Uint8Array() }))
    await turn()
    await replica.accept()
    expect(replica.records).toEqual([])
    expect(begin(checkpoint, key).verdict).toBe('run')
  })

  test('is refused while it runs, and after its caller has acknowledged it', async () => {
    const checkpoint = await active()
    const first = begin(checkpoint, { messageId: 5 })
    expect(begin(checkpoint, { messageId: 5 }).verdict).toBe('inProgress')
    watch(checkpoint.finish(first.call, ok))
    await turn()
    expect(begin(checkpoint, { messageId: 5 }).verdict).toBe('inProgress')
    await replica.accept()
    const next = begin(checkpoint, { messageId: 6, acknowledgedBelow: 6 })
    watch(checkpoint.finish(next.call, ok))
    await turn()
    await replica.accept()
    expect(begin(checkpoint, { messageId: 5 }).verdict).toBe('inProgress')
  })

  test('ends at its deadline with "may have run", and is committed later all the same', async () => {
    const checkpoint = await active()
    const { call, key } = begin(checkpoint)
    checkpoint.in(call).write('a', 1)
    const finished = watch(checkpoint.finish(call, ok))
    await turn()
    nowMs += 2_000
    sweep()
    await turn()
    expect(finished.state).toBe('TIMEOUT')
    expect(begin(checkpoint, key).verdict).toBe('inProgress')
    await replica.accept()
    expect(begin(checkpoint, key).verdict).toMatchObject({ rc: 0 })
  })
})

describe('commits', () => {
  test('are sent again, the same batch, from the first that failed', async () => {
    const checkpoint = await active()
    for (let i = 0; i < 2; i++) {
      const { call } = begin(checkpoint)
      checkpoint.in(call).write('a', i)
      watch(checkpoint.finish(call, ok))
      await turn()
    }
    const sent = [...replica.batches]
    expect(sent).toHaveLength(2)
    await replica.refuse('TRY_AGAIN')
    nowMs += 1_000
    sweep()
    expect(replica.waitingCount).toBe(1)
    await replica.accept()
    expect(replica.batches.slice(2)).toEqual(sent)
    await replica.accept()
    expect(checkpoint.read('a')).toBe(1)
    expect(replica.fenced).toEqual([])
  })

  test('STALE_EPOCH fences: nothing is answered any more', async () => {
    const checkpoint = await active()
    const { call } = begin(checkpoint)
    checkpoint.in(call).write('a', 1)
    const finished = watch(checkpoint.finish(call, ok))
    await turn()
    await replica.refuse('STALE_EPOCH')
    expect(finished.state).toBe('STALE_EPOCH')
    expect(replica.fenced).toHaveLength(1)
    expect(() => begin(checkpoint)).toThrowError(/not ACTIVE/)
  })

  test('a replica that is out of sync for good fences after some tries', async () => {
    const checkpoint = await active()
    const { call } = begin(checkpoint)
    checkpoint.in(call).write('a', 1)
    watch(checkpoint.finish(call, ok))
    for (let i = 0; i < 20 && replica.fenced.length === 0; i++) {
      await turn()
      await replica.refuse('OUT_OF_SYNC')
      nowMs += 1_000
      sweep()
    }
    expect(replica.fenced).toHaveLength(1)
    expect(replica.batches.length).toBe(6)
  })

  test('a write outside any call resolves when it is committed', async () => {
    const checkpoint = await active()
    const written = watch(checkpoint.write('a', { deep: [1, 'two', null] }))
    await turn()
    expect(written.state).toBe('waits')
    await replica.accept()
    expect(written.state).toBe('done')
    expect(checkpoint.read('a')).toEqual({ deep: [1, 'two', null] })
  })
})

describe('bounds', () => {
  test('sections: NO_SPACE, and deleting makes room', async () => {
    const checkpoint = await active({ sizeBytesMax: 100 })
    const { call } = begin(checkpoint)
    const view = checkpoint.in(call)
    view.write('a', new Uint8Array(80))
    expect(() => view.write('b', new Uint8Array(80))).toThrowError(/does not fit/)
    view.delete('a')
    view.write('b', new Uint8Array(80))
    expect(view.read('a')).toBeUndefined()
  })

  test('replies: TRY_AGAIN, and what is past its time makes room', async () => {
    const checkpoint = await active({ replyCountMax: 2 })
    for (let i = 0; i < 2; i++) {
      const { call } = begin(checkpoint)
      watch(checkpoint.finish(call, ok))
    }
    await turn()
    await replica.accept()
    expect(() => begin(checkpoint)).toThrowError(/replies/)
    nowMs += 11_001
    expect(() => begin(checkpoint)).toThrowError(/replies/)
    await turn()
    await replica.accept()
    expect(replica.records.at(-1)?.expired).toEqual([
      ['c', 1],
      ['c', 2],
    ])
    expect(begin(checkpoint).verdict).toBe('run')
  })

  test('bytes of replies: those under way count, and what finds no room is not committed', async () => {
    const checkpoint = await active()
    const reply = { rc: 0, payload: new Uint8Array(4 * 1_024 * 1_024) }
    const calls = Array.from({ length: 5 }, () => begin(checkpoint))
    const finished = calls.map(({ call }, i) => {
      checkpoint.in(call).write(`s${i}`, i)
      return watch(checkpoint.finish(call, reply))
    })
    expect(() => begin(checkpoint)).toThrowError(/replies/)
    while (finished.some(({ state }) => state === 'waits')) {
      await turn()
      await replica.accept()
    }
    expect(finished.map(({ state }) => state)).toEqual([
      ...['done', 'done', 'done', 'done'],
      'TRY_AGAIN',
    ])
    expect(checkpoint.sections()).toHaveLength(4)
    checkpoint.acknowledged('c', lastId + 1)
    sweep()
    await turn()
    await replica.accept()
    expect(begin(checkpoint).verdict).toBe('run')
  })

  test('a caller that acknowledges outside of calls frees its replies, on every replica', async () => {
    const checkpoint = await active({ replyCountMax: 2 })
    for (let i = 0; i < 2; i++) watch(checkpoint.finish(begin(checkpoint).call, ok))
    await turn()
    await replica.accept()
    checkpoint.acknowledged('stranger', 99)
    sweep()
    await turn()
    expect(replica.records).toHaveLength(2)
    checkpoint.acknowledged('c', 3)
    sweep()
    sweep()
    await turn()
    await replica.accept()
    expect(replica.records.slice(2)).toMatchObject([{ acknowledged: [['c', 3]], reply: null }])
    checkpoint.acknowledged('c', 3)
    sweep()
    await turn()
    expect(replica.records).toHaveLength(3)
    expect(begin(checkpoint, { messageId: 3 }).verdict).toBe('run')
  })

  test.each(['', 'x'.repeat(256)])('a section id of %s is refused', async (name) => {
    const checkpoint = await active()
    const { call } = begin(checkpoint)
    expect(() => checkpoint.in(call).write(name, 1)).toThrowError(/section id/)
  })

  test('a view outlives its call by nothing', async () => {
    const checkpoint = await active()
    const { call } = begin(checkpoint)
    const view = checkpoint.in(call)
    watch(checkpoint.finish(call, ok))
    expect(() => view.write('a', 1)).toThrowError(/has ended/)
    expect(() => checkpoint.in(call)).toThrowError(/has ended/)
  })
})

describe('roles', () => {
  function recordOf(name: string, value: number, id: number): CheckpointRecord {
    return {
      writes: [[name, new Uint8Array([value])]],
      reply: {
        caller: 'c',
        messageId: id,
        functionNumber: 1,
        rc: 0,
        payload: new Uint8Array([value]),
        keepMs: 1_000,
      },
      acknowledged: [],
      expired: [],
    }
  }

  test('a standby follows, tells its component, and asks again where records are missing', async () => {
    const updates: [string, unknown][][] = []
    const checkpoint = make({ onUpdate: (sections) => updates.push([...sections]) })
    await checkpoint.roleChanged('STANDBY', 0)
    checkpoint.replicate({ epoch: 1, firstSequence: 1, records: [recordOf('a', 1, 1)] })
    const both = [recordOf('a', 1, 1), recordOf('b', 2, 2)]
    checkpoint.replicate({ epoch: 1, firstSequence: 1, records: both })
    expect(updates).toEqual([[['a', 1]], [['b', 2]]])
    checkpoint.replicate({ epoch: 1, firstSequence: 4, records: [recordOf('c', 3, 3)] })
    expect(replica.gaps).toBe(1)
    expect(checkpoint.read('c')).toBeUndefined()
    expect(() => begin(checkpoint)).toThrowError(/STANDBY, not ACTIVE/)
  })

  test('a promoted standby tells kept replies only after its first commit is through', async () => {
    const checkpoint = make()
    await checkpoint.roleChanged('STANDBY', 0)
    checkpoint.replicate({ epoch: 1, firstSequence: 1, records: [recordOf('a', 1, 77)] })
    await checkpoint.roleChanged('ACTIVE', 2)
    const { verdict } = begin(checkpoint, { messageId: 77 })
    expect(verdict).toBeInstanceOf(Promise)
    const told = watch(verdict as Promise<unknown>)
    expect(begin(checkpoint, { messageId: 77 }).verdict).toBe('inProgress')
    await turn()
    expect(replica.batches).toEqual([{ epoch: 2, firstSequence: 2, records: [] }])
    expect(told.state).toBe('waits')
    await replica.accept()
    expect(told.state).toBe('done')
    expect(begin(checkpoint, { messageId: 77 }).verdict).toMatchObject({ messageId: 77 })
  })

  test('giving the role up waits for what runs, takes nothing new, and can be taken back', async () => {
    const checkpoint = await active()
    const { call } = begin(checkpoint)
    await checkpoint.roleChanged('QUIESCING', 0)
    expect(() => begin(checkpoint)).toThrowError(/QUIESCING, not ACTIVE/)
    const quiesced = watch(checkpoint.roleChanged('QUIESCED', 0))
    checkpoint.in(call).write('a', 1)
    watch(checkpoint.finish(call, ok))
    await turn()
    expect(quiesced.state).toBe('waits')
    await checkpoint.roleChanged('ACTIVE', 1)
    const later = begin(checkpoint)
    expect(later.verdict).toBe('run')
    checkpoint.abort(later.call)
    await replica.accept()
    expect(quiesced.state).toBe('done')
    expect(begin(checkpoint).verdict).toBe('run')
    expect(replica.fenced).toEqual([])
  })

  test('the end says of commits under way that they may be through, and only of these', async () => {
    const checkpoint = await active()
    const made = [
      begin(checkpoint, { atMostOnce: false }),
      begin(checkpoint),
      begin(checkpoint),
      begin(checkpoint),
    ] as const
    const [plain, once, running, behind] = made
    for (const { call } of [plain, once]) checkpoint.in(call).write('a', 1)
    checkpoint.in(running.call).write('b', 1)
    checkpoint.in(behind.call).read('b')
    const finished = [plain, once, behind].map(({ call }) =>
      checkpoint.finish(call, ok).catch((error: unknown) => error),
    )
    await turn()
    expect(replica.waitingCount).toBe(1)
    checkpoint.close()
    expect(await Promise.all(finished)).toMatchObject([
      { code: 'NOT_ACTIVE', mayHaveRun: true },
      { code: 'INUSE' },
      { code: 'NOT_ACTIVE', mayHaveRun: false },
    ])
  })

  test('content of another node for an active one fences', async () => {
    const checkpoint = await active()
    checkpoint.replace({ epoch: 1, sequence: 9, sections: [], replies: [], acknowledged: [] })
    expect(replica.fenced).toHaveLength(1)
  })
})
