import { afterEach, expect, it } from 'vitest'
import { CL_CID, CL_OK, rcComponent, rcError } from '../../idl/index.ts'
import * as cl from '../../runtime/cl/index.ts'
import { bindMyEo } from '../../runtime/index.ts'
import { transactionLibrary } from '../../runtime/services/transaction/client.ts'
import { transactionServer } from '../../runtime/services/transaction/server.ts'
import { ServiceRig } from './services/rig.ts'

const rig = new ServiceRig(transactionServer)
afterEach(() => rig.close())

const out = <T>(): { value: T | undefined } => ({ value: undefined })

it('the names of the original, with its codes', async () => {
  const unbound = cl.clTxnClientInitialize('B.1.1', null, out())
  expect(rcError(unbound)).toBe(0x0e)
  await rig.start(1)
  const { client, rmd } = await rig.component(1, 'one', transactionLibrary)
  const { address } = rmd
  bindMyEo({ component: 'one', node: 'node1', address, rmd, transaction: client } as never)
  const ended: number[] = []
  const user = out<cl.ClTxnClientHandleT>()
  const initialize = (version: string): number =>
    cl.clTxnClientInitialize(version, (_, rc) => ended.push(rc), user)
  expect(rcError(initialize('A.1.1'))).toBe(0x0f)
  expect(initialize('B.1.1')).toBe(CL_OK)
  expect(cl.clTxnAgentInitialize(null, 'B.1.1')).toBe(CL_OK)
  expect(rcError(cl.clTxnAgentInitialize(null, 'B.1.1'))).toBe(0x0c)

  const did: string[] = []
  const note =
    (what: string, rc = CL_OK) =>
    (): number => {
      did.push(what)
      return rc
    }
  const service = out<cl.ClTxnAgentServiceHandleT>()
  const phases = { prepare: note('prepare'), commit: note('commit'), rollback: note('rollback') }
  const callbacks = { ...phases, start: note('start'), stop: note('stop') }
  expect(await cl.clTxnAgentServiceRegister(1, callbacks, service)).toBe(CL_OK)
  const refusing = { ...callbacks, prepare: note('refuse', 0x21) }
  expect(await cl.clTxnAgentServiceRegister(2, refusing, out())).toBe(CL_OK)

  const create = (
    type: number,
    config = cl.CL_TXN_CONFIG_TXN_ATOMICITY,
  ): [cl.ClTxnTransactionHandleT, number] => {
    const made = out<cl.ClTxnTransactionHandleT>()
    expect(cl.clTxnTransactionCreate(config, made)).toBe(CL_OK)
    const job = { value: 0 }
    expect(cl.clTxnJobAdd(made.value!, Buffer.from('data'), 2, type, job)).toBe(CL_OK)
    return [made.value!, job.value]
  }
  const two = cl.CL_TXN_COMPONENT_CFG_1PC_CAPABLE | cl.CL_TXN_COMPONENT_CFG_2PC_CAPABLE
  const [first, job] = create(1)
  const none = await cl.clTxnTransactionStart(first)
  expect([rcComponent(none), rcError(none)]).toEqual([CL_CID.TXN, 0x107])
  expect(rcError(cl.clTxnComponentSet(first, job, address, 0))).toBe(0x02)
  expect(cl.clTxnComponentSet(first, job, address, two)).toBe(CL_OK)
  expect(await cl.clTxnTransactionStart(first)).toBe(CL_OK)
  await expect.poll(() => did).toEqual(['start', 'prepare', 'commit', 'stop'])
  expect(rcError(await cl.clTxnTransactionCancel(first))).toBe(0x12)

  const [second, refused] = create(2, cl.CL_TXN_CONFIG_JOB_ATOMICITY)
  expect(cl.clTxnComponentSet(second, refused, address, two)).toBe(CL_OK)
  expect(cl.clTxnTransactionStartAsync(second)).toBe(CL_OK)
  await expect.poll(() => ended.map(rcError)).toEqual([0x101])
  const failures = out<readonly cl.ClTxnJobInfoT[]>()
  expect(await cl.clTxnJobInfoGet(second, refused, failures)).toBe(CL_OK)
  expect(failures.value).toMatchObject([{ agent: 'one', phase: 'prepare' }])
  const read: unknown[] = []
  await cl.clTxnReadAgentJobsAsync(second, (_, readings) => read.push(...readings))
  expect(read).toMatchObject([{ job: 1, failure: { code: 'NOT_IMPLEMENTED' } }])
  const [third, removed] = create(1)
  expect(cl.clTxnJobRemove(third, removed)).toBe(CL_OK)
  expect(rcError(await cl.clTxnTransactionStart(third))).toBe(0x106)

  expect(await cl.clTxnAgentServiceUnRegister(service.value!)).toBe(CL_OK)
  expect(await cl.clTxnAgentFinalize()).toBe(CL_OK)
  expect(rcError(await cl.clTxnAgentFinalize())).toBe(0x0e)
  expect(cl.clTxnClientFinalize(user.value!)).toBe(CL_OK)
  expect(rcError(cl.clTxnClientFinalize(user.value!))).toBe(0x05)
  const nothing = undefined as never
  for (const [call, code] of [
    [() => cl.clTxnClientFinalize(nothing), 0x05],
    [() => cl.clTxnTransactionStart(nothing), 0x05],
    [() => cl.clTxnTransactionStartAsync(nothing), 0x05],
    [() => cl.clTxnTransactionCancel(nothing), 0x05],
    [() => cl.clTxnJobAdd(nothing, Buffer.from(''), 0, 1, { value: 0 }), 0x05],
    [() => cl.clTxnJobAdd(first, nothing, 0, 1, { value: 0 }), 0x03],
    [() => cl.clTxnJobAdd(first, Buffer.from(''), 0, 1, nothing), 0x03],
    [() => cl.clTxnJobInfoGet(second, refused, nothing), 0x03],
    [() => cl.clTxnTransactionCreate(0, nothing), 0x03],
    [() => cl.clTxnAgentServiceRegister(3, nothing, out()), 0x03],
  ] as const) {
    const rc = await call()
    expect([rcComponent(rc), rcError(rc)], String(call)).toEqual([CL_CID.TXN, code])
  }
})
