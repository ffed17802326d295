import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  AgentJobs,
  type TransactionCallbacks,
} from '../../../runtime/services/transaction/agent-jobs.ts'
import {
  type Participation,
  SERVICE_TYPE_ANY,
  TRANSACTION_LIMITS,
  type TransactionPhase,
} from '../../../runtime/services/transaction/interface.ts'
import { TransactionLog } from '../../../runtime/services/transaction/log.ts'
import type { TransactionOperation } from '../../../runtime/services/transaction/operations.ts'
import { transactionsCodec } from '../../../runtime/services/transaction/operations.ts'
import { TransactionContent } from '../../../runtime/services/transaction/transaction-content.ts'

type Failure = Extract<TransactionOperation, { kind: 'done' }>['failure']

const OPTIONS = {
  atomicity: 'TRANSACTION',
  restartOnResourceUnavailability: false,
  ignoreNoServiceRegisteredAgent: false,
  jobTimeoutMs: 1_000,
  timeoutMs: 1_000,
} as const

/** A content with its own order. */
class Bench {
  readonly content: TransactionContent
  #revision: number

  constructor(content = new TransactionContent(), revision = 0) {
    this.content = content
    this.#revision = revision
  }

  apply(operation: TransactionOperation): void {
    this.content.apply(operation, { revision: ++this.#revision, life: 'L' })
  }

  register(agent: string, eo = `${agent}1`, service = 1, isTwoPhase = true): void {
    const address = { node: 1, port: 100 }
    this.apply({ kind: 'register', agent, life: 'L', eo, address, service, isTwoPhase })
  }

  begin(id: string, of: Readonly<Record<string, Participation>>, options: object = {}): void {
    const jobs = Object.entries(of).map(([agent, participation], index) => ({
      job: index + 1,
      service: 1,
      definition: Uint8Array.from(Buffer.from(agent)),
      participants: [{ agent, participation }],
    }))
    this.apply({ kind: 'begin', id, options: { ...OPTIONS, ...options }, jobs })
  }

  done(
    id: string,
    [job, agent, phase]: readonly [number, string, TransactionPhase],
    { eo = `${agent}1`, failure = null }: { eo?: string; failure?: Failure } = {},
  ): void {
    this.apply({ kind: 'done', id, job, agent, eo, phase, failure })
  }

  /** What agents are asked now. */
  asked(id: string): string[] {
    return this.content
      .tasks(id, 'L')
      .map(({ job, agent, eo, phase }) => `${phase} ${job} ${agent} ${eo}`)
  }
}

const code = (step: () => void): string => {
  try {
    step()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'OK'
}

describe('the content', () => {
  it('takes answers of the EO only that is asked', () => {
    const bench = new Bench()
    bench.register('a')
    bench.begin('t', { a: 'TWO_PHASE' }, { restartOnResourceUnavailability: true })
    expect(bench.asked('t')).toEqual(['prepare 1 a a1'])
    bench.register('a', 'a2')
    bench.done('t', [1, 'a', 'prepare'])
    bench.done('t', [1, 'a', 'commit'], { eo: 'a2' })
    bench.done('t', [7, 'a', 'prepare'], { eo: 'a2' })
    expect(bench.asked('t')).toEqual(['prepare 1 a a2'])
    bench.done('t', [1, 'a', 'prepare'], { eo: 'a2' })
    expect(bench.asked('t')).toEqual(['commit 1 a a2'])
    bench.apply({ kind: 'expire', id: 't', half: 'decide' })
    bench.apply({ kind: 'expire', id: 't', half: 'finish' })
    // It is waited for, however late.
    expect(bench.asked('t')).toEqual(['commit 1 a a2'])
    bench.done('t', [1, 'a', 'commit'], { eo: 'a2' })
    expect(bench.content.report('t').state).toBe('COMMITTED')
  })

  it('lets the first one-phase participant decide, and the next ones follow', () => {
    const bench = new Bench()
    for (const agent of ['a', 'b']) bench.register(agent, `${agent}1`, SERVICE_TYPE_ANY, false)
    bench.begin('t', { a: 'ONE_PHASE', b: 'ONE_PHASE' })
    expect(bench.asked('t')).toEqual(['commit 1 a a1'])
    expect(code(() => bench.apply({ kind: 'cancel', id: 't' }))).toBe('INVALID_STATE')
    bench.done('t', [1, 'a', 'commit'])
    expect(bench.asked('t')).toEqual(['commit 2 b b1'])
    const failure = { code: 'NO', message: 'no', mayHaveRun: false }
    bench.done('t', [2, 'b', 'commit'], { failure })
    expect(bench.content.report('t').state).toBe('COMMITTING')
    bench.apply({ kind: 'ended', eo: 'b1' })
    expect(bench.asked('t')).toEqual([])
    bench.apply({ kind: 'expire', id: 't', half: 'finish' })
    const { state, failures } = bench.content.report('t')
    expect([state, failures.map((one) => `${one.code} ${one.agent}`)]).toEqual([
      'COMMITTED',
      ['AGENT_FAILED_VOID b'],
    ])
  })

  it('is changed by nothing that it refuses', () => {
    const bench = new Bench()
    bench.register('a')
    bench.register('b', 'b1', 1, false)
    const before = JSON.stringify(bench.content.snapshot())
    const refused = [
      code(() => bench.begin('t', {})),
      code(() => bench.begin('t', { a: 'TWO_PHASE', c: 'TWO_PHASE' })),
      code(() => bench.begin('t', { a: 'TWO_PHASE', b: 'VERIFY' })),
      code(() => bench.apply({ kind: 'cancel', id: 't' })),
      code(() => bench.apply({ kind: 'unregister', agent: 'a', eo: 'b1', service: 1 })),
    ]
    expect(refused).toEqual([
      'NO_JOBS',
      'NO_REGD_SERVICE',
      'INVALID_CMP_CAPABILITY',
      'NOT_EXIST',
      'NOT_EXIST',
    ])
    const twice = [1, 1].map((job) => ({
      job,
      service: 1,
      definition: Buffer.alloc(0),
      participants: [{ agent: 'a', participation: 'TWO_PHASE' as const }],
    }))
    const begin = { kind: 'begin', id: 't', options: OPTIONS, jobs: twice } as const
    expect(code(() => bench.apply(begin))).toBe('INVALID_PARAMETER')
    expect(JSON.stringify(bench.content.snapshot())).toBe(before)
  })

  it('begins once what is submitted twice, and is the same from its bytes', () => {
    const bench = new Bench()
    bench.register('a')
    for (const _ of [1, 2]) bench.begin('t', { a: 'TWO_PHASE' })
    bench.done('t', [1, 'a', 'prepare'])
    const bytes = transactionsCodec.encode(bench.content.snapshot())
    const copy = new TransactionContent()
    copy.restore(transactionsCodec.decode(bytes))
    expect(copy.snapshot()).toEqual(bench.content.snapshot())
    const other = new Bench(copy, 100)
    expect(other.asked('t')).toEqual(['commit 1 a a1'])
    other.done('t', [1, 'a', 'commit'])
    other.begin('t', { a: 'TWO_PHASE' })
    expect(other.content.report('t').state).toBe('COMMITTED')
  })

  it('holds its bounds: so many under way, and so many bytes', () => {
    const bench = new Bench()
    bench.register('a')
    const { openCount, openBytes, definitionBytes } = TRANSACTION_LIMITS
    for (let n = 0; n < openCount; n++) bench.begin(`t${n}`, { a: 'TWO_PHASE' })
    expect(code(() => bench.begin('more', { a: 'TWO_PHASE' }))).toBe('NO_SPACE')
    for (let n = 0; n < openCount; n++) bench.apply({ kind: 'cancel', id: `t${n}` })
    for (let n = 0; n < openCount; n++) bench.done(`t${n}`, [1, 'a', 'rollback'])
    expect(bench.content.ids()).toEqual([])
    const participants = [{ agent: 'a', participation: 'TWO_PHASE' as const }]
    const jobs = [{ job: 1, service: 1, definition: Buffer.alloc(definitionBytes), participants }]
    const large = (id: string) => () => {
      bench.apply({ kind: 'begin', id, options: OPTIONS, jobs })
    }
    const count = Math.floor(openBytes / (definitionBytes + 1))
    for (let n = 0; n < count; n++) expect(code(large(`l${n}`))).toBe('OK')
    expect(code(large('more'))).toBe('NO_SPACE')
  })

  it('forgets the oldest end, and says up to where', () => {
    const bench = new Bench()
    bench.register('a', 'a1', 1, false)
    for (let n = 0; n <= TRANSACTION_LIMITS.reportCount; n++) {
      bench.begin(`t${n}`, { a: 'ONE_PHASE' })
      bench.done(`t${n}`, [1, 'a', 'commit'])
    }
    expect(code(() => bench.content.report('t0'))).toBe('NOT_EXIST')
    expect(bench.content.report('t1').state).toBe('COMMITTED')
    expect(bench.content.takeEffects().forgotten).toEqual({ ids: ['t0'], upTo: 2 })
  })
})

describe('after all nodes had ended', () => {
  /** What node 1 has of a transaction in which it and node 2 take part. */
  const logged = (steps: (bench: Bench) => void) => {
    const bench = new Bench()
    bench.content.viewChanged([1, 2], new Set(['L']))
    for (const agent of ['a', 'b']) bench.register(agent)
    bench.register('o', 'o1', 1, false)
    bench.begin('t', { a: 'TWO_PHASE', b: 'TWO_PHASE', o: 'ONE_PHASE' })
    steps(bench)
    return structuredClone(bench.content.open('t')!)
  }
  const prepared = (bench: Bench): void => {
    bench.done('t', [1, 'a', 'prepare'])
    bench.done('t', [2, 'b', 'prepare'])
  }
  const told = (bench: Bench, node: number, transaction: ReturnType<typeof logged>): void => {
    bench.apply({ kind: 'recovered', node, incarnation: 'earlier', transaction })
  }
  const fresh = (): Bench => {
    const bench = new Bench(undefined, 1_000)
    bench.content.viewChanged([1, 2], new Set(['L']))
    for (const agent of ['a', 'b']) bench.register(agent)
    bench.register('o', 'o1', 1, false)
    return bench
  }
  const reported = (bench: Bench, node: number, more: object = {}): void => {
    bench.apply({ kind: 'reported', node, ended: [], forgotten: -1, ...more })
  }

  it('waits for all that may have decided, then rolls back', () => {
    const bench = fresh()
    told(
      bench,
      1,
      logged(() => {}),
    )
    reported(bench, 1)
    expect([bench.content.report('t').state, bench.asked('t')]).toEqual(['RESTORED', []])
    bench.apply({ kind: 'expire', id: 't', half: 'decide' })
    bench.apply({ kind: 'expire', id: 't', half: 'finish' })
    expect(bench.content.report('t').state).toBe('RESTORED')
    reported(bench, 2)
    expect(bench.asked('t')).toEqual(['rollback 1 a a1', 'rollback 2 b b1'])
  })

  it('asks the one that decides again, when it may have decided', () => {
    const bench = fresh()
    told(
      bench,
      1,
      logged(() => {}),
    )
    told(bench, 2, logged(prepared))
    reported(bench, 1)
    reported(bench, 2)
    expect(bench.asked('t')).toEqual(['commit 3 o o1'])
  })

  it('takes the decision of whoever has it, at once', () => {
    const bench = fresh()
    told(
      bench,
      1,
      logged(() => {}),
    )
    const decided = logged((one) => {
      prepared(one)
      one.done('t', [3, 'o', 'commit'])
    })
    told(bench, 2, decided)
    expect(bench.asked('t')).toEqual(['commit 1 a a1', 'commit 2 b b1'])
  })

  it('leaves alone what ended, as another node knows, or has known', () => {
    const known = fresh()
    told(
      known,
      1,
      logged(() => {}),
    )
    reported(known, 1)
    reported(known, 2, { ended: [{ id: 't', begun: 5, state: 'COMMITTED' }] })
    expect([known.content.report('t').state, known.asked('t')]).toEqual(['COMMITTED', []])
    const forgotten = fresh()
    told(
      forgotten,
      1,
      logged(() => {}),
    )
    reported(forgotten, 2, { forgotten: 900 })
    expect([forgotten.content.ids(), forgotten.asked('t')]).toEqual([[], []])
    told(
      forgotten,
      1,
      logged(() => {}),
    )
    expect(forgotten.content.ids()).toEqual([])
  })

  it('knows better than the log of a node that was away alone', () => {
    const bench = fresh()
    const transaction = logged(() => {})
    bench.apply({ kind: 'recovered', node: 1, incarnation: 'L', transaction })
    expect(bench.content.ids()).toEqual([])
  })
})

describe('the functions of an agent', () => {
  const job = (number: number, more: object = {}) => ({
    transaction: 't',
    agent: 'a',
    job: number,
    service: 1,
    definition: Buffer.from('x'),
    ...more,
  })
  const bench = (more: Partial<TransactionCallbacks> = {}) => {
    const did: string[] = []
    const errors: unknown[] = []
    const note = (what: string) => () => void did.push(what)
    const jobs = new AgentJobs((error) => errors.push(error))
    const callbacks = { start: note('start'), prepare: note('prepare'), commit: note('commit') }
    jobs.add('a', SERVICE_TYPE_ANY, { ...callbacks, rollback: note('rollback'), ...more })
    return { jobs, did, errors }
  }

  it('are called once for each thing, one after the other', async () => {
    const { jobs, did } = bench({
      prepare: async () => {
        did.push('prepare')
        await new Promise(setImmediate)
        did.push('prepared')
      },
    })
    const answers = await Promise.all([
      jobs.perform(job(1), 'prepare'),
      jobs.perform(job(1), 'prepare'),
      jobs.perform(job(1), 'rollback'),
    ])
    expect(answers).toEqual([null, null, null])
    expect(did).toEqual(['start', 'prepare', 'prepared', 'rollback'])
    jobs.stop('a', 't')
    await jobs.perform(job(1), 'commit')
    expect(did.slice(4)).toEqual(['start', 'commit'])
  })

  it('are called again after they failed, with what they said', async () => {
    let count = 0
    const { jobs, did, errors } = bench({
      commit: () => {
        if (++count === 1) throw new Error('disk full')
      },
      stop: () => {
        throw new Error('too late')
      },
    })
    const failure = { code: 'HANDLER_FAILED', message: 'disk full' }
    expect(await jobs.perform(job(1), 'commit')).toEqual(failure)
    expect(await jobs.perform(job(1), 'commit')).toBeNull()
    expect([count, did]).toEqual([2, ['start']])
    jobs.stop('a', 't')
    await expect.poll(() => errors).toHaveLength(1)
    const other = job(1, { agent: 'b' })
    expect(await jobs.perform(other, 'commit')).toMatchObject({ code: 'NO_REGD_SERVICE' })
    expect(await jobs.read(other)).toMatchObject({ failure: { code: 'NOT_IMPLEMENTED' } })
    jobs.delete('a', SERVICE_TYPE_ANY)
    expect(await jobs.perform(job(2), 'commit')).toMatchObject({ code: 'NO_REGD_SERVICE' })
  })
})

describe('the log', () => {
  const parent = mkdtempSync(join(tmpdir(), 'hf-txn-log-'))
  const directory = join(parent, 'transaction')
  afterEach(() => rmSync(parent, { recursive: true, force: true }))

  it('has what was put into it, and nothing that ended; a damaged one is put aside', async () => {
    const errors: string[] = []
    const log = { warn: () => {}, error: (_: unknown, text: string) => errors.push(text) }
    const options = { directory, log } as never
    const content = new Bench()
    content.register('a')
    for (const id of ['t', 'u', 'v']) content.begin(id, { a: 'TWO_PHASE' })
    const first = new TransactionLog(options)
    expect(first.load()).toEqual({ open: [], ended: [], forgotten: -1 })
    expect(readdirSync(parent)).toEqual([])
    for (const id of ['t', 'u', 'v']) first.put('I', content.content.open(id)!)
    first.end('u', { id: 'u', begun: 3, state: 'COMMITTED' })
    first.end('w', { id: 'w', begun: 4, state: 'ROLLED_BACK' })
    first.forget(['w'], 4)
    first.keepOnly(new Set(['t']))
    await first.close()
    first.end('t', null)
    const second = new TransactionLog(options)
    expect(second.load()).toEqual({
      open: [{ incarnation: 'I', transaction: content.content.open('t') }],
      ended: [{ id: 'u', begun: 3, state: 'COMMITTED' }],
      forgotten: 4,
    })
    await second.close()
    expect(errors).toEqual([])

    writeFileSync(join(directory, 'data.mdb'), Buffer.alloc(8_192, 7))
    const third = new TransactionLog(options)
    expect(third.load().open).toEqual([])
    third.put('I', content.content.open('v')!)
    expect(third.load().open).toHaveLength(1)
    await third.close()
    expect(errors).toEqual([expect.stringMatching(/damaged .*put aside/)])
    expect(readdirSync(parent).toSorted()).toEqual(['transaction', 'transaction.damaged'])
  })
})
