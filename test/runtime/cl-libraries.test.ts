import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, expectTypeOf, test } from 'vitest'
import { CL_CID, CL_OK, rcComponent, rcError, type ClRcT } from '../../idl/index.ts'
import * as cl from '../../runtime/cl/index.ts'
import { bindMyEo } from '../../runtime/index.ts'

const out = <T>(): cl.ClOut<T | undefined> => ({ value: undefined })
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))
/** Component and error of a code. */
const parts = (rc: ClRcT): unknown[] => [rcComponent(rc), rcError(rc)]

test('a buffer of the original', () => {
  const message = out<cl.ClBufferHandleT>()
  expect(cl.clBufferCreate(message)).toBe(CL_OK)
  const buffer = message.value!
  expect(cl.clBufferNBytesWrite(buffer, bytes('hello world'), 5)).toBe(CL_OK)
  expect(cl.clBufferDataPrepend(buffer, bytes('> '), 2)).toBe(CL_OK)
  const length = { value: 0 }
  expect([cl.clBufferLengthGet(buffer, length), length.value]).toEqual([CL_OK, 7])
  const target = new Uint8Array(16)
  const count = { value: 16 }
  expect(cl.clBufferReadOffsetSet(buffer, 2, cl.CL_BUFFER_SEEK_SET)).toBe(CL_OK)
  expect(cl.clBufferNBytesRead(buffer, target, count)).toBe(CL_OK)
  expect(Buffer.from(target.subarray(0, count.value)).toString()).toBe('hello')
  expect(parts(cl.clBufferReadOffsetSet(buffer, 0, 7))).toEqual([CL_CID.BUFFER, 0x02])
  expect(parts(cl.clBufferHeaderTrim(buffer, 8))).toEqual([CL_CID.BUFFER, 0x02])
  const handle: cl.ClOut<cl.ClBufferHandleT | null> = { value: buffer }
  expect([cl.clBufferDelete(handle), handle.value]).toEqual([CL_OK, null])
  expect(parts(cl.clBufferLengthGet(buffer, length))).toEqual([CL_CID.BUFFER, 0x05])
  expect(parts(cl.clBufferCreate(null as never))).toEqual([CL_CID.BUFFER, 0x03])
})

test('a library that is finalized is not initialized until it is again', () => {
  expect(cl.clHeapLibInitialize()).toBe(CL_OK)
  expect(parts(cl.clHeapLibInitialize())).toEqual([CL_CID.HEAP, 0x0c])
  expect(cl.clHeapLibFinalize()).toBe(CL_OK)
  expect(cl.clHeapAllocate(1)).toBeNull()
  expect(parts(cl.clHeapFree(null))).toEqual([CL_CID.HEAP, 0x0e])
  expect(cl.clHeapLibInitialize()).toBe(CL_OK)
  expect(cl.clHeapFree(cl.clHeapCalloc(2, 4))).toBe(CL_OK)
})

test('containers, lists and queues of the original', () => {
  const tree = out<cl.ClCntHandleT<number, string>>()
  const deleted: string[] = []
  const onDelete = (_: number, data: string): void => void deleted.push(data)
  const unique = cl.CL_CNT_UNIQUE_KEY
  expect(cl.clCntRbtreeCreate((a, b) => a - b, onDelete, null, unique, tree)).toBe(CL_OK)
  expectTypeOf(tree.value).toEqualTypeOf<cl.ClCntHandleT<number, string> | undefined>()
  const container = tree.value!
  for (const key of [2, 1]) expect(cl.clCntNodeAdd(container, key, `d${key}`, null)).toBe(CL_OK)
  expect(parts(cl.clCntNodeAdd(container, 1, 'x', null))).toEqual([CL_CID.CNT, 0x08])
  const node = out<cl.ClCntNodeHandleT<number, string>>()
  expect([cl.clCntFirstNodeGet(container, node), node.value?.data]).toEqual([CL_OK, 'd1'])
  expect(parts(cl.clCntPreviousNodeGet(container, node.value!, node))).toEqual([CL_CID.CNT, 0x04])
  const data = { value: '' }
  expect([cl.clCntDataForKeyGet(container, 2, data), data.value]).toEqual([CL_OK, 'd2'])
  expect(parts(cl.clCntDataForKeyGet(container, 9, data))).toEqual([CL_CID.CNT, 0x04])
  const seen: string[] = []
  const visit = (key: number, text: string, argument: string): ClRcT => {
    seen.push(argument + text)
    return key
  }
  expect(cl.clCntWalk(container, visit, '>', 0)).toBe(1)
  expect(cl.clCntWalkFailSafe(container, visit, '>', 0)).toBe(CL_OK)
  expect(seen).toEqual(['>d1', '>d1', '>d2'])
  expect(cl.clCntAllNodesForKeyDelete(container, 2)).toBe(CL_OK)
  expect(parts(cl.clCntAllNodesForKeyDelete(container, 2))).toEqual([CL_CID.CNT, 0x04])
  expect(deleted).toEqual(['d2'])

  const list = out<cl.ClClistT<string>>()
  const nothing = (): void => {}
  expect(parts(cl.clClistCreate(1, cl.CL_NO_DROP, null as never, nothing, list))).toEqual([
    CL_CID.CLIST,
    0x03,
  ])
  expect(cl.clClistCreate(1, cl.CL_NO_DROP, nothing, nothing, list)).toBe(CL_OK)
  expect(cl.clClistLastNodeAdd(list.value!, 'a')).toBe(CL_OK)
  expect(parts(cl.clClistLastNodeAdd(list.value!, 'b'))).toEqual([CL_CID.CLIST, 0x100])

  const queue = out<cl.ClQueueT<number>>()
  expect(cl.clQueueCreate(1, null, null, queue)).toBe(CL_OK)
  expect(cl.clQueueNodeInsert(queue.value!, 7)).toBe(CL_OK)
  expect(parts(cl.clQueueNodeInsert(queue.value!, 8))).toEqual([CL_CID.QUEUE, 0x100])
  const taken = { value: 0 }
  expect([cl.clQueueNodeDelete(queue.value!, taken), taken.value]).toEqual([CL_OK, 7])
  expect(parts(cl.clQueueNodeDelete(queue.value!, taken))).toEqual([CL_CID.QUEUE, 0x04])
})

test('a timer of the original', async () => {
  const timer = out<cl.ClTimerHandleT>()
  const soon = { tsSec: 0, tsMilliSec: 2 }
  const oneShot = cl.CL_TIMER_ONE_SHOT
  const task = cl.CL_TIMER_TASK_CONTEXT
  const fired = await new Promise((resolve) => {
    expect(cl.clTimerCreateAndStart(soon, oneShot, task, resolve, 'argument', timer)).toBe(CL_OK)
  })
  expect(fired).toBe('argument')
  const wrong = (type: number, context: number, run: unknown): unknown[] =>
    parts(cl.clTimerCreate(soon, type, context, run as () => void, 0, timer))
  expect(wrong(9, task, () => {})).toEqual([CL_CID.TIMER, 0x102])
  expect(wrong(oneShot, 9, () => {})).toEqual([CL_CID.TIMER, 0x103])
  expect(wrong(oneShot, task, null)).toEqual([CL_CID.TIMER, 0x104])
  expect(parts(cl.clTimerStart(null as never))).toEqual([CL_CID.TIMER, 0x02])
  const handle: cl.ClOut<cl.ClTimerHandleT | null> = { value: timer.value! }
  expect([cl.clTimerDelete(handle), handle.value]).toEqual([CL_OK, null])
  expect(parts(cl.clTimerDelete(handle))).toEqual([CL_CID.TIMER, 0x05])
})

test('a rule of the original', () => {
  const rule = out<cl.ClRuleExprT>()
  expect(cl.clRuleExprAllocate(1, rule)).toBe(CL_OK)
  const element = rule.value!
  expect(cl.clRuleExprOffsetSet(element, 1)).toBe(CL_OK)
  expect(cl.clRuleExprMaskSet(element, 1, 0xf0)).toBe(CL_OK)
  expect(parts(cl.clRuleExprMaskSet(element, 0, 1))).toEqual([CL_CID.RULE, 0x100])
  expect(cl.clRuleExprEvaluate(element, new Uint32Array([0, 0x10]), 2)).toBe(true)
  expect(cl.clRuleExprEvaluate(element, new Uint32Array([0, 0x10]), 1)).toBe(false)
  const packed: cl.ClOut<Uint8Array | null> = { value: null }
  expect(cl.clRuleExprPack(element, packed)).toBe(CL_OK)
  expect(cl.clRuleExprUnpack(null, null)).toBe(CL_OK)
  expect(parts(cl.clRuleExprUnpack(packed.value, null))).toEqual([CL_CID.RULE, 0x02])
})

test('locks of the original', () => {
  const mutex = out<cl.ClOsalMutexIdT>()
  expect(cl.clOsalMutexCreateAndLock(mutex)).toBe(CL_OK)
  expect(parts(cl.clOsalMutexLock(mutex.value!))).toEqual([CL_CID.OSAL, 0x18])
  expect(cl.clOsalMutexUnlock(mutex.value!)).toBe(CL_OK)
  const semaphore = out<cl.ClOsalSemIdT>()
  expect(cl.clOsalSemCreate(0, semaphore)).toBe(CL_OK)
  expect(parts(cl.clOsalSemTryLock(semaphore.value!))).toEqual([CL_CID.OSAL, 0x15])
  expect(parts(cl.clOsalFileUnlink('/no/such'))).toEqual([CL_CID.OSAL, 0x100])
})

test('a database and a port of the original', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hf-cl-'))
  process.env['HOLDFAST_RUN_DIR'] = directory
  const address = { node: 1, port: 1 }
  const app = { component: 'c', node: 'n', address, rmd: {} }
  try {
    const db = out<cl.ClDBHandleT>()
    const file = join(directory, 'db')
    expect(parts(cl.clDbalOpen(file, 'a', cl.CL_DB_OPEN, 64, 64, db))).toEqual([CL_CID.DBAL, 0x04])
    expect(cl.clDbalOpen(file, 'a', cl.CL_DB_CREAT | cl.CL_DB_SYNC, 64, 64, db)).toBe(CL_OK)
    expect(cl.clDbalRecordInsert(db.value!, bytes('k'), bytes('v'))).toBe(CL_OK)
    const again = cl.clDbalRecordInsert(db.value!, bytes('k'), bytes('v'))
    expect(parts(again)).toEqual([CL_CID.DBAL, 0x08])
    expect(await cl.clDbalClose({ value: db.value! })).toBe(CL_OK)

    const [a, b] = [out<cl.ClIocCommPortHandleT>(), out<cl.ClIocCommPortHandleT>()]
    bindMyEo(app)
    for (const port of [a, b])
      expect(await cl.clIocCommPortCreate(0, cl.CL_IOC_RELIABLE_MESSAGING, port)).toBe(CL_OK)
    const port = { value: 0 }
    expect(cl.clIocCommPortGet(b.value!, port)).toBe(CL_OK)
    const told: string[] = []
    const from = a.value!.port.address
    expect(cl.clEoMyEoObjectSet({ ...app, rmd: {}, ioc: b.value!.port } as never)).toBe(CL_OK)
    const installed = [from, { node: 1, port: 0 }].map((address) => {
      const handle = out<cl.ClNotificationHandleT>()
      const tell = (kind: string, _: object, arg: string): void => void told.push(`${arg} ${kind}`)
      const at = address.port === 0 ? 'node' : 'program'
      expect(cl.clEoNotificationCallbackInstall(address, tell, at, handle)).toBe(CL_OK)
      return handle
    })
    const received = out<{ readonly payload: Uint8Array }>()
    const receive = cl.clIocReceive(b.value!, { recvTimeout: 10_000 }, received as never)
    expect(cl.clIocSend(a.value!, bytes('hi'), 0x80, `1:${port.value}`)).toBe(CL_OK)
    expect(await receive).toBe(CL_OK)
    expect(Buffer.from(received.value!.payload).toString()).toBe('hi')
    const status = { value: 0 }
    expect(cl.clIocCompStatusGet(b.value!, from, status)).toBe(CL_OK)
    expect(status.value).toBe(1)
    expect(told.sort()).toEqual(['node nodeArrival', 'program arrival'])
    const [ofProgram] = installed
    expect(cl.clEoNotificationCallbackUninstall(ofProgram!)).toBe(CL_OK)
    expect(parts(cl.clEoNotificationCallbackUninstall(ofProgram!))).toEqual([CL_CID.EO, 0x05])
    const empty = cl.clIocSend(a.value!, new Uint8Array(0), 0x80, '1:1')
    expect(parts(empty)).toEqual([CL_CID.IOC, 0x06])
    for (const protocol of [0x7f, 0xff]) {
      const refused = cl.clIocSend(a.value!, bytes('x'), protocol, '1:1')
      expect(parts(refused)).toEqual([CL_CID.IOC, 0x02])
    }
    const { CL_IOC_NOTIFICATION_ENABLE: on, CL_IOC_NOTIFICATION_DISABLE: off } = cl
    expect(cl.clIocPortNotification(b.value!, on, () => {})).toBe(CL_OK)
    expect(cl.clIocPortNotification(b.value!, off, null)).toBe(CL_OK)
    expect(parts(cl.clIocPortNotification(b.value!, on, null))).toEqual([CL_CID.IOC, 0x03])
    for (const id of [-1, 1_024, 0.5]) {
      const wrong = cl.clIocCommPortCreate(id, cl.CL_IOC_RELIABLE_MESSAGING, out())
      expect(parts(await wrong)).toEqual([CL_CID.IOC, 0x02])
    }
    const taken = cl.clIocCommPortCreate(port.value, cl.CL_IOC_RELIABLE_MESSAGING, out())
    expect(parts(await taken)).toEqual([CL_CID.IOC, 0x10])
    expect(parts(await cl.clIocReceive(b.value!, { recvTimeout: 1 }, out()))).toEqual([
      CL_CID.IOC,
      0x14,
    ])
    const waiting = cl.clIocReceive(b.value!, { recvTimeout: -1 }, out())
    for (const { value } of [a, b]) expect(await cl.clIocCommPortDelete(value!)).toBe(CL_OK)
    expect(parts(await waiting)).toEqual([CL_CID.IOC, 0x112])
    expect(parts(await cl.clIocCommPortDelete(a.value!))).toEqual([CL_CID.IOC, 0x05])
  } finally {
    delete process.env['HOLDFAST_RUN_DIR']
    rmSync(directory, { recursive: true, force: true })
  }
})
