import { afterEach, describe, expect, it } from 'vitest'
import type { TransactionCallbacks } from '../../../runtime/services/transaction/agent-jobs.ts'
import type { TransactionAgentHandle } from '../../../runtime/services/transaction/agent-handle.ts'
import {
  type TransactionClient,
  transactionLibrary,
} from '../../../runtime/services/transaction/client.ts'
import type {
  Transaction,
  TransactionClientHandle,
  TransactionOptions,
} from '../../../runtime/services/transaction/client-handle.ts'
import type { Participation } from '../../../runtime/services/transaction/interface.ts'
import { transactionServer } from '../../../runtime/services/transaction/server.ts'
import { rejection } from '../../ioc/rmd-kit.ts'
import { type RigComponent, ServiceRig } from './rig.ts'

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

async function rigOf(...ids: readonly number[]): Promise<ServiceRig> {
  const rig = new ServiceRig(transactionServer)
  open.push(rig)
  await rig.start(...ids)
  return rig
}

interface Member extends RigComponent<TransactionClient> {
  readonly handle: TransactionClientHandle
  readonly agent: TransactionAgentHandle
  /** What its agent was asked, in order. */
  readonly did: string[]
  readonly ended: string[]
}

async function member(
  rig: ServiceRig,
  node: number,
  name: string,
  callbacks: Partial<TransactionCallbacks> | null = {},
): Promise<Member> {
  const component = await rig.component(node, name, transactionLibrary)
  const ended: string[] = []
  const handle = component.client.initialize({
    completion: (_, error) => ended.push(error?.code ?? 'OK'),
  })
  const agent = component.client.agentInitialize()
  const one = { ...component, handle, agent, did: [], ended }
  if (callbacks !== null) {
    await agent.serviceRegister({ serviceType: 1, callbacks: { ...noting(one.did), ...callbacks } })
  }
  return one
}

const noting = (did: string[]): TransactionCallbacks => {
  const note = (what: string) => (of: { readonly job: number } | string) => {
    did.push(typeof of === 'string' ? what : `${what} ${of.job}`)
  }
  return {
    start: note('start'),
    prepare: note('prepare'),
    commit: note('commit'),
    rollback: note('rollback'),
    stop: note('stop'),
  }
}

const refuse = (): never => {
  throw new Error('no room')
}

/** A transaction with a job for each of the components. */
function over(
  of: Member,
  components: readonly (readonly [string, Participation])[],
  options: TransactionOptions = {},
): Transaction {
  const transaction = of.handle.create(options)
  for (const [component, participation] of components) {
    const job = transaction.jobAdd({ serviceType: 1, definition: Buffer.from(component) })
    transaction.componentSet(job, component, participation)
  }
  return transaction
}

const code = async (promise: Promise<unknown>): Promise<unknown> =>
  ((await rejection(promise)) as { code: string }).code

describe('a transaction', () => {
  it('is committed by all, on all nodes, and each is told of its end', async () => {
    const rig = await rigOf(1, 2)
    const client = await member(rig, 1, 'client', null)
    const [a, b] = [await member(rig, 1, 'a'), await member(rig, 2, 'b')]
    const transaction = over(client, [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ])
    const second = transaction.jobAdd({ serviceType: 1, definition: Buffer.from('more') })
    transaction.componentSet(second, 'a', 'TWO_PHASE')
    const wrong = transaction.jobAdd({ serviceType: 9, definition: Buffer.from('wrong') })
    transaction.jobRemove(wrong)
    expect(await transaction.state()).toBe('PRE_INIT')
    expect(await transaction.start()).toMatchObject({ state: 'COMMITTED', failures: [] })
    expect(await transaction.state()).toBe('COMMITTED')
    expect(await transaction.jobInfoGet(second)).toEqual({ state: 'COMMITTED', failures: [] })
    const both = ['start', 'prepare 1', 'prepare 3', 'commit 1', 'commit 3', 'stop']
    await expect.poll(() => a.did).toEqual(both)
    await expect.poll(() => b.did).toEqual(['start', 'prepare 2', 'commit 2', 'stop'])
  })

  it('is rolled back by all that prepared when one says no, and the client learns which', async () => {
    const rig = await rigOf(1, 2)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    const b = await member(rig, 2, 'b', { prepare: refuse })
    const transaction = over(client, [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ])
    const error = await rejection(transaction.start())
    expect(error).toMatchObject({ code: 'TRANSACTION_ROLLED_BACK', rc: 0x15_0101 })
    expect(await transaction.jobInfoGet(2)).toEqual({
      state: 'ROLLED_BACK',
      failures: [
        { job: 2, agent: 'b', phase: 'prepare', code: 'HANDLER_FAILED', message: 'no room' },
      ],
    })
    await expect.poll(() => a.did).toEqual(['start', 'prepare 1', 'rollback 1', 'stop'])
    await expect.poll(() => b.did).toEqual(['start', 'stop'])
  })

  it('asks one-phase participants last, and the first of them may refuse', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    const onePhase = { prepare: null, rollback: null }
    const [a, b] = [await member(rig, 1, 'a'), await member(rig, 1, 'b', onePhase)]
    const jobs = [
      ['b', 'ONE_PHASE'],
      ['a', 'TWO_PHASE'],
    ] as const
    await over(client, jobs).start()
    await expect.poll(() => b.did).toEqual(['start', 'commit 1', 'stop'])
    a.did.length = 0
    const c = await member(rig, 1, 'c', { ...onePhase, commit: refuse })
    const refused = over(client, [jobs[1], ['c', 'ONE_PHASE']])
    expect(await code(refused.start())).toBe('TRANSACTION_ROLLED_BACK')
    await expect.poll(() => a.did).toEqual(['start', 'prepare 1', 'rollback 1', 'stop'])
    expect(c.did).toContain('start')
  })

  it('asks who verifies for nothing more', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    const [a, b] = [await member(rig, 1, 'a'), await member(rig, 1, 'b')]
    const jobs = [
      ['a', 'TWO_PHASE'],
      ['b', 'VERIFY'],
    ] as const
    await over(client, jobs).start()
    await expect.poll(() => b.did).toEqual(['start', 'prepare 2', 'stop'])
    const c = await member(rig, 1, 'c', { prepare: refuse })
    const refused = over(client, [
      ['a', 'TWO_PHASE'],
      [c.name, 'VERIFY'],
    ])
    expect(await code(refused.start())).toBe('TRANSACTION_ROLLED_BACK')
    const { failures } = await refused.jobInfoGet(2)
    expect(failures[0]?.code).toBe('VALIDATE_FAILED')
    expect(a.did).toContain('rollback 1')
  })

  it('with the atomicity of jobs rolls back what failed only', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    const b = await member(rig, 1, 'b', { prepare: refuse })
    const jobs = [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ] as const
    const transaction = over(client, jobs, { atomicity: 'JOB' })
    expect(await code(transaction.start())).toBe('TRANSACTION_FAILURE')
    expect(await transaction.state()).toBe('UNKNOWN')
    expect((await transaction.jobInfoGet(1)).state).toBe('COMMITTED')
    expect((await transaction.jobInfoGet(2)).state).toBe('ROLLED_BACK')
    expect(a.did).toContain('commit 1')
    expect(b.did).not.toContain('commit 2')
  })

  it('started without waiting tells its completion', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    await member(rig, 1, 'a')
    over(client, [['a', 'TWO_PHASE']]).startAsync()
    await expect.poll(() => client.ended).toEqual(['OK'])
    over(client, [['b', 'TWO_PHASE']]).startAsync()
    await expect.poll(() => client.ended).toEqual(['OK', 'NO_REGD_SERVICE'])
    const mute = client.client.initialize().create()
    expect(() => mute.startAsync()).toThrow(/completion/)
  })

  it('reads what agents have, on any node', async () => {
    const rig = await rigOf(1, 2)
    const client = await member(rig, 1, 'client', null)
    await member(rig, 2, 'a', {
      read: ({ definition }) => Buffer.from(`have ${definition.length}`),
    })
    const b = await member(rig, 1, 'b')
    const transaction = over(client, [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
      ['c', 'TWO_PHASE'],
    ])
    const read = await transaction.readAgentJobs()
    expect(read.map(({ value }) => value && Buffer.from(value).toString())).toEqual([
      'have 1',
      null,
      null,
    ])
    expect(read.map(({ failure }) => failure?.code)).toEqual([
      undefined,
      'NOT_IMPLEMENTED',
      'NO_REGD_SERVICE',
    ])
    expect(b.did).toEqual([])
  })
})

describe('what cannot be started', () => {
  it('is refused with its code, and can be put right', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a', { prepare: null, rollback: null })
    const transaction = client.handle.create()
    expect(await code(transaction.start())).toBe('NO_JOBS')
    const job = transaction.jobAdd({ serviceType: 1, definition: Buffer.alloc(0) })
    expect(await code(transaction.start())).toBe('NO_COMPONENTS')
    transaction.componentSet(job, 'a', 'TWO_PHASE')
    expect(await code(transaction.start())).toBe('INVALID_CMP_CAPABILITY')
    transaction.componentSet(job, 'a', 'ONE_PHASE')
    transaction.componentSet(job, { node: 9, port: 9 }, 'ONE_PHASE')
    expect(await code(transaction.start())).toBe('NO_REGD_SERVICE')
    transaction.jobRemove(job)
    const { address } = a.rmd
    const again = transaction.jobAdd({ serviceType: 1, definition: Buffer.alloc(0) })
    transaction.componentSet(again, address, 'ONE_PHASE')
    expect(await transaction.start()).toMatchObject({ state: 'COMMITTED' })
    expect(a.did).toContain('commit 2')
    expect(await code(transaction.start())).toBe('INVALID_STATE')
    expect(await code(transaction.cancel())).toBe('INVALID_STATE')
    expect(() => transaction.jobRemove(again)).toThrow(/create another/)
    expect(await code(transaction.jobInfoGet(77))).toBe('NOT_EXIST')
  })

  it('may leave out who has no service', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    const jobs = [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ] as const
    await over(client, jobs, { ignoreNoServiceRegisteredAgent: true }).start()
    expect(a.did).toContain('commit 1')
  })
})

describe('handles', () => {
  it('negotiate versions and end once', async () => {
    const rig = await rigOf(1)
    const { client, handle, agent } = await member(rig, 1, 'client')
    expect(() => client.initialize({ version: 'A.1.1' })).toThrow(/B\.1\.1/)
    expect(() => client.agentInitialize('B.2.1')).toThrow(/B\.1\.1/)
    expect(client.initialize({ version: 'B.0.1' }).version).toBe('B.1.1')
    const callbacks = noting([])
    const registered = agent.serviceRegister({ serviceType: 1, callbacks })
    expect(await code(registered)).toBe('ALREADY_EXIST')
    const other = client.agentInitialize()
    expect(await code(other.serviceRegister({ serviceType: 1, callbacks }))).toBe('ALREADY_EXIST')
    const half = { ...callbacks, rollback: null }
    const refused = other.serviceRegister({ serviceType: 2, callbacks: half })
    expect(await code(refused)).toBe('INVALID_PARAMETER')
    expect(await code(other.serviceUnregister({ serviceType: 2 }))).toBe('NOT_EXIST')
    await agent.finalize()
    expect(await code(agent.finalize())).toBe('INVALID_HANDLE')
    handle.finalize()
    expect(() => handle.create()).toThrow(/finalized/)
  })
})

describe('time and ends', () => {
  it('rolls back when an agent does not answer in time, after what it was doing', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    let release = (): void => {}
    const b = await member(rig, 1, 'b', {
      prepare: () => new Promise<void>((resolve) => (release = resolve)),
    })
    const options = { jobTimeoutMs: 60 }
    const transaction = over(
      client,
      [
        ['a', 'TWO_PHASE'],
        ['b', 'TWO_PHASE'],
      ],
      options,
    )
    const end = code(transaction.start())
    await expect.poll(() => a.did).toContain('rollback 1')
    expect((await transaction.jobInfoGet(2)).failures[0]).toMatchObject({ code: 'TIMEOUT' })
    expect(b.did).toEqual(['start'])
    release()
    expect(await end).toBe('TRANSACTION_ROLLED_BACK')
    await expect.poll(() => b.did).toEqual(['start', 'rollback 2', 'stop'])
  })

  it('is cancelled before it is decided', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    let release = (): void => {}
    await member(rig, 1, 'b', {
      prepare: () => new Promise<void>((resolve) => (release = resolve)),
    })
    const transaction = over(client, [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ])
    const end = code(transaction.start())
    await expect.poll(() => a.did).toContain('prepare 1')
    expect(await transaction.state()).toBe('PREPARING')
    await transaction.cancel()
    release()
    expect(await end).toBe('TRANSACTION_ROLLED_BACK')
    const made = client.handle.create()
    await made.cancel()
    expect(await made.state()).toBe('ROLLED_BACK')
  })

  it('gives up, after its time, who does not follow the decision', async () => {
    const rig = await rigOf(1)
    const client = await member(rig, 1, 'client', null)
    await member(rig, 1, 'a', { commit: refuse })
    const options = { timeoutMs: 150, jobTimeoutMs: 50 }
    const transaction = over(client, [['a', 'TWO_PHASE']], options)
    expect(await code(transaction.start())).toBe('TRANSACTION_FAILURE')
    expect(await transaction.jobInfoGet(1)).toMatchObject({
      state: 'COMMITTED',
      failures: [{ code: 'AGENT_FAILED_VOID', phase: 'commit', agent: 'a' }],
    })
  })

  it('rolls back when a component dies before the decision', async () => {
    const rig = await rigOf(1, 2)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    const b = await member(rig, 2, 'b', { prepare: () => new Promise<void>(() => {}) })
    const transaction = over(client, [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ])
    const end = code(transaction.start())
    await expect.poll(() => a.did).toContain('prepare 1')
    await rig.kill(b)
    expect(await end).toBe('TRANSACTION_ROLLED_BACK')
    expect((await transaction.jobInfoGet(2)).failures[0]).toMatchObject({
      code: 'COMP_UNREACHABLE',
      agent: 'b',
    })
    const again = await member(rig, 2, 'b')
    await expect.poll(() => again.did).toEqual(['start', 'rollback 2', 'stop'])
  })

  it('is answered without one that is gone, and is over when that does not come back', async () => {
    const rig = await rigOf(1, 2)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    await member(rig, 2, 'b', { prepare: () => new Promise<void>(() => {}) })
    const jobs = [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ] as const
    const transaction = over(client, jobs, { timeoutMs: 1_000 })
    const end = code(transaction.start())
    await expect.poll(() => a.did).toContain('prepare 1')
    await rig.killNode(2)
    expect(await end).toBe('TRANSACTION_ROLLED_BACK')
    expect(await transaction.state()).toBe('ROLLING_BACK')
    await expect.poll(() => transaction.state(), { timeout: 5_000 }).toBe('ROLLED_BACK')
    expect((await transaction.jobInfoGet(2)).failures.map((one) => one.code)).toEqual([
      'COMP_UNREACHABLE',
      'AGENT_FAILED_VOID',
    ])
  })

  it('waits for a component that comes back where that is wanted', async () => {
    const rig = await rigOf(1, 2)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    const b = await member(rig, 2, 'b', { prepare: () => new Promise<void>(() => {}) })
    const jobs = [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ] as const
    const transaction = over(client, jobs, { restartOnResourceUnavailability: true })
    const end = transaction.start()
    await expect.poll(() => a.did).toContain('prepare 1')
    await rig.kill(b)
    const again = await member(rig, 2, 'b')
    expect(await end).toMatchObject({ state: 'COMMITTED' })
    expect(again.did).toEqual(expect.arrayContaining(['prepare 2', 'commit 2']))
  })

  it('tells the decision to whoever takes the name of an agent over', async () => {
    const rig = await rigOf(1, 2, 3)
    const client = await member(rig, 1, 'client', null)
    const hang = { commit: () => new Promise<void>(() => {}) }
    const [active, standby] = [await member(rig, 2, 'x', null), await member(rig, 3, 'y', null)]
    const registration = { serviceType: 1, name: 'shared' }
    const callbacks = { ...noting(active.did), ...hang }
    await active.agent.serviceRegister({ ...registration, callbacks })
    const transaction = over(client, [['shared', 'TWO_PHASE']])
    const end = transaction.start()
    await expect.poll(() => transaction.state()).toBe('COMMITTING')
    await rig.killNode(2)
    await standby.agent.serviceRegister({ ...registration, callbacks: noting(standby.did) })
    expect(await end).toMatchObject({ state: 'COMMITTED' })
    expect(active.did).toEqual(['start', 'prepare 1'])
    await expect.poll(() => standby.did).toEqual(['start', 'commit 1', 'stop'])
  })
})

describe('nodes', () => {
  it('go on without the one of the client, and without the leading one', async () => {
    const rig = await rigOf(1, 2, 3)
    const client = await member(rig, 1, 'client', null)
    let release = (): void => {}
    const a = await member(rig, 2, 'a')
    const b = await member(rig, 3, 'b', {
      prepare: () => new Promise<void>((resolve) => (release = resolve)),
    })
    void over(client, [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ])
      .start()
      .catch(() => undefined)
    await expect.poll(() => a.did).toContain('prepare 1')
    await rig.killNode(1, 2)
    release()
    await expect.poll(() => a.did, { timeout: 5_000 }).toContain('commit 1')
    await expect.poll(() => b.did).toContain('commit 2')
  })

  it('finish from their logs what was decided when all had ended', async () => {
    const rig = await rigOf(1, 2)
    const client = await member(rig, 1, 'client', null)
    const a = await member(rig, 1, 'a')
    const hang = { commit: () => new Promise<void>(() => {}) }
    const b = await member(rig, 2, 'b', hang)
    const jobs = [
      ['a', 'TWO_PHASE'],
      ['b', 'TWO_PHASE'],
    ] as const
    void over(client, jobs)
      .start()
      .catch(() => undefined)
    await expect.poll(() => a.did).toContain('commit 1')
    // Another one, of which nobody knows an end.
    const c = await member(rig, 2, 'c', { prepare: () => new Promise<void>(() => {}) })
    void over(client, [
      ['a', 'TWO_PHASE'],
      [c.name, 'TWO_PHASE'],
    ])
      .start()
      .catch(() => undefined)
    await expect.poll(() => a.did.filter((one) => one === 'prepare 1')).toHaveLength(2)
    await Promise.all([rig.killNode(1), rig.killNode(2)])
    await rig.start(2)
    const [bAgain, cAgain] = [await member(rig, 2, 'b'), await member(rig, 2, 'c')]
    await expect.poll(() => bAgain.did).toEqual(['start', 'commit 2'])
    expect(b.did).toEqual(['start', 'prepare 2'])
    // Node 1 may have decided the other one: it is heard first.
    expect(cAgain.did).toEqual([])
    await rig.node(1)
    const aAgain = await member(rig, 1, 'a')
    await expect.poll(() => cAgain.did).toContain('rollback 2')
    await expect.poll(() => aAgain.did).toEqual(expect.arrayContaining(['commit 1', 'rollback 1']))
    await expect.poll(() => bAgain.did).toContain('stop')
  })
})
