import { beforeEach, describe, expect, test } from 'vitest'
import { SdkError } from '../../../idl/index.ts'
import type { Rmd } from '../../../ioc/index.ts'
import type { KeptBatch } from '../../../runtime/services/checkpoint/batch-tail.ts'
import type { CheckpointBatch } from '../../../runtime/services/checkpoint/interface.ts'
import { lastSequenceOf } from '../../../runtime/services/checkpoint/commit-pipeline.ts'
import { CheckpointPush } from '../../../runtime/services/checkpoint/interface.ts'
import { Primary, type PrimaryEffect } from '../../../runtime/services/checkpoint/primary.ts'
import { Subscriptions } from '../../../runtime/services/checkpoint/subscriptions.ts'
import { quiet } from './rig.ts'

const TIMEOUT_MS = 100

/** Performs what the primary wants as far as its own node goes, and keeps the rest as text. */
class Shell {
  nowMs = 0
  sequence = 0
  done: string[] = []
  entries: Extract<PrimaryEffect<string>, { kind: 'append' }>[] = []
  readonly primary: Primary<string>

  constructor(inSync: number[] | null, replicas: number[] = [1, 2]) {
    const sequence = (): number => this.sequence
    const source = {
      get sequence() {
        return sequence()
      },
      isPrefix: (_epoch: number, last: number) => last >= 0 && last <= this.sequence,
      after: (sequence: number): KeptBatch[] => [
        {
          epoch: 1,
          firstSequence: sequence + 1,
          lastSequence: this.sequence,
          payload: new Uint8Array(1),
        },
      ],
    }
    this.primary = new Primary(
      { self: 1, epoch: 1, replicas, inSync, replicaTimeoutMs: TIMEOUT_MS, source },
      0,
    )
    this.perform()
  }

  commit(token: string, count = 1): void {
    const pending = this.entries.reduce(
      (last, { entry }) => Math.max(last, lastSequenceOf(entry.batch)),
      this.sequence,
    )
    this.primary.commit(
      {
        batch: batchOf(pending + 1, count),
        payload: new Uint8Array(1),
        token,
        deadlineMs: this.nowMs + 10 * TIMEOUT_MS,
      },
      this.nowMs,
    )
    this.perform()
  }

  tell(event: (primary: Primary<string>, nowMs: number) => void): void {
    event(this.primary, this.nowMs)
    this.perform()
  }

  /** Node 2 answers `open` and is at the end of what there is. */
  join(): void {
    const attempt = this.#attempt()
    this.tell((primary, nowMs) =>
      primary.opened({ node: 2, attempt, lastEpoch: 1, lastSequence: this.sequence }, nowMs),
    )
  }

  appended(): void {
    const { node, attempt, entry } = this.entries.shift() ?? fail('nothing was appended')
    this.tell((primary, nowMs) => primary.appended({ node, attempt, entry }, nowMs))
  }

  changed(outcome: 'done' | 'tryAgain' | 'staleEpoch', node: number, inSync: boolean): void {
    this.tell((primary, nowMs) => primary.changed({ node, inSync, outcome }, nowMs))
  }

  broken(): void {
    const attempt = this.#attempt()
    this.tell((primary, nowMs) => primary.streamFailed({ node: 2, attempt, why: 'test' }, nowMs))
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.nowMs += 10
      this.tell((primary, nowMs) => primary.tick(nowMs))
    }
  }

  take(): string[] {
    return this.done.splice(0)
  }

  #lastAttempt = 0

  #attempt(): number {
    return this.#lastAttempt
  }

  perform(): void {
    for (const effect of this.primary.takeEffects()) {
      switch (effect.kind) {
        case 'open':
          this.#lastAttempt = effect.attempt
          this.done.push('open')
          break
        case 'append':
          this.entries.push(effect)
          break
        case 'apply':
          this.sequence = Math.max(this.sequence, lastSequenceOf(effect.entry.batch))
          break
        case 'answer':
          this.done.push(`answer ${effect.token}`)
          break
        case 'refuse':
          this.done.push(`${effect.code} ${effect.token}`)
          break
        case 'change':
          this.done.push(`${effect.inSync ? '+' : '-'}${effect.node}`)
          break
        case 'catchUp':
          this.done.push(`catch up ${effect.batches[0]?.firstSequence ?? 0}`)
          break
        case 'replace':
          this.done.push('replace')
          break
        case 'note':
          break
      }
    }
  }
}

function batchOf(firstSequence: number, count: number): CheckpointBatch {
  const record = { writes: [], reply: null, acknowledged: [], expired: [] }
  return { epoch: 1, firstSequence, records: Array.from({ length: count }, () => record) }
}

function fail(why: string): never {
  throw new Error(why)
}

describe('a primary with an empty history', () => {
  test('records itself with the first commit, then acknowledges, then adds who has caught up', () => {
    const shell = new Shell(null)
    shell.join()
    expect(shell.take()).toEqual(['open'])
    shell.commit('a')
    expect(shell.take()).toEqual(['+1'])
    shell.changed('done', 1, true)
    expect(shell.take()).toEqual(['+2'])
    shell.appended()
    expect(shell.take()).toEqual(['answer a'])
  })

  test('acknowledges nothing while it cannot be recorded, and asks again', () => {
    const shell = new Shell(null, [1])
    shell.commit('a')
    shell.changed('tryAgain', 1, true)
    expect(shell.take()).toEqual(['+1'])
    shell.pass(20)
    expect(shell.take()).toEqual(['+1'])
    shell.changed('done', 1, true)
    expect(shell.take()).toEqual(['answer a'])
  })
})

describe('a primary with a secondary in sync', () => {
  let shell: Shell

  beforeEach(() => {
    shell = new Shell([1, 2])
    shell.join()
    shell.take()
  })

  test('acknowledges when the secondary has it', () => {
    shell.commit('a')
    shell.commit('b')
    expect(shell.take()).toEqual([])
    shell.appended()
    shell.appended()
    expect(shell.take()).toEqual(['answer a', 'answer b'])
  })

  test('has a dead one removed first, and takes it back when it has caught up', () => {
    shell.commit('a')
    shell.broken()
    expect(shell.take()).toEqual(['-2'])
    shell.pass(20)
    expect(shell.take()).toEqual(['open'])
    shell.entries = []
    shell.join()
    // It is there again, but its removal may be recorded already: it goes first.
    expect(shell.take()).toEqual([])
    shell.changed('done', 2, false)
    expect(shell.take()).toEqual(['+2'])
    shell.appended()
    expect(shell.take()).toEqual(['answer a'])
    shell.changed('done', 2, true)
    expect(shell.primary.needsTick).toBe(false)
  })

  test('keeps one that is dead while nothing is written', () => {
    shell.broken()
    shell.pass(50)
    expect(shell.take().filter((what) => what !== 'open')).toEqual([])
  })

  test('removes one that does not answer in time, not one before its time', () => {
    shell.commit('a')
    shell.pass(TIMEOUT_MS - 20)
    expect(shell.take()).toEqual([])
    shell.pass(30)
    expect(shell.take()[0]).toBe('-2')
  })

  test('starts every window again after it was stopped itself', () => {
    shell.commit('a')
    shell.nowMs += 10 * TIMEOUT_MS - 1
    shell.tell((primary, nowMs) => primary.tick(nowMs))
    expect(shell.take()).toEqual([])
    shell.appended()
    expect(shell.take()).toEqual(['answer a'])
  })

  test('lets askers go at their deadline; the batch stays and is acknowledged later', () => {
    shell.commit('a')
    shell.broken()
    shell.pass(11 * TIMEOUT_MS)
    expect(shell.take().filter((what) => what !== 'open')).toEqual(['-2', 'TRY_AGAIN a'])
    shell.changed('done', 2, false)
    expect(shell.sequence).toBe(1)
  })

  test('ends when anybody knows a newer epoch: everything is refused', () => {
    shell.commit('a')
    shell.tell((primary) => primary.fenced('node 2 has epoch 9'))
    shell.commit('b')
    expect(shell.take()).toEqual(['STALE_EPOCH a', 'STALE_EPOCH b'])
    expect(shell.sequence).toBe(0)
  })

  test('ends when the director knows a newer epoch', () => {
    shell.commit('a')
    shell.broken()
    shell.changed('staleEpoch', 2, false)
    expect(shell.take()).toEqual(['-2', 'STALE_EPOCH a'])
  })

  test('does not count answers of an earlier stream', () => {
    shell.commit('a')
    const late = shell.entries[0] ?? fail('nothing was appended')
    shell.broken()
    shell.take()
    shell.tell((primary, nowMs) =>
      primary.appended({ node: 2, attempt: late.attempt, entry: late.entry }, nowMs),
    )
    expect(shell.take()).toEqual([])
  })
})

test.each([
  [3, 'catch up 4'],
  [-1, 'replace'],
  [99, 'replace'],
])('a secondary that ends with %i gets: %s', (lastSequence, what) => {
  const shell = new Shell([1])
  shell.sequence = 5
  const attempt = 1
  shell.take()
  shell.tell((primary, nowMs) =>
    primary.opened({ node: 2, attempt, lastEpoch: 1, lastSequence }, nowMs),
  )
  expect(shell.take()).toEqual([what])
  shell.tell((primary, nowMs) => primary.caughtUp({ node: 2, attempt, sequence: 5 }, nowMs))
  expect(shell.take()).toEqual(['+2'])
})

test('a component that does not take pushes gets the whole content instead', async () => {
  const sent: [string, number][] = []
  let isSlow = true
  const rmd = {
    call: async ({ caller }: { caller: string }, functionNumber: number) => {
      if (isSlow && caller === 'slow') throw new SdkError('FLOW_XOFF_STATE', 'full')
      if (caller === 'gone') throw new SdkError('COMP_UNREACHABLE', 'gone')
      sent.push([caller, functionNumber])
      return new Uint8Array()
    },
  } as unknown as Rmd
  const { applied, replaced } = CheckpointPush.methods
  let nowMs = 0
  let behindCount = 0
  const subscriptions = new Subscriptions({
    csi: 'csi',
    rmd,
    log: quiet,
    clock: () => nowMs,
    onBehind: () => behindCount++,
  })
  for (const caller of ['slow', 'quick', 'writer', 'gone']) subscriptions.add(caller)
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  subscriptions.pushApplied(new Uint8Array(1), 'writer')
  await turn()
  subscriptions.pushApplied(new Uint8Array(1), 'writer')
  await turn()
  expect(sent).toEqual([
    ['quick', applied.functionNumber],
    ['quick', applied.functionNumber],
  ])
  expect(subscriptions.hasBehind).toBe(true)
  expect(behindCount).toBe(1)
  const content = { epoch: 1, sequence: 2, sections: [], replies: [], acknowledged: [] }
  let snapshotCount = 0
  const snapshot = (): typeof content => {
    snapshotCount++
    return content
  }
  // Offered again and again, later and later, and never made for nobody.
  for (nowMs = 0; nowMs <= 1_000; nowMs++) {
    subscriptions.resync(snapshot, 'writer', nowMs)
    await turn()
  }
  expect(snapshotCount).toBe(5)
  expect(subscriptions.hasBehind).toBe(true)
  isSlow = false
  subscriptions.resync(snapshot, 'writer')
  await turn()
  expect(sent.slice(2)).toEqual([['slow', replaced.functionNumber]])
  expect(subscriptions.hasBehind).toBe(false)
})
