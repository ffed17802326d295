import { afterEach, expect, it } from 'vitest'
import { CL_CID, CL_OK, rcComponent, rcError } from '../../idl/index.ts'
import * as cl from '../../runtime/cl/index.ts'
import { bindMyEo } from '../../runtime/index.ts'
import { checkpointRig, user } from './services/named-checkpoint-rig.ts'
import type { ServiceRig } from './services/rig.ts'

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

const out = <T>(): { value: T | undefined } => ({ value: undefined })
const bytes = (text: string): Uint8Array => Buffer.from(text)
const S = 1_000_000_000n

/** The low half of a code of this library; 0 for OK. */
function error(rc: number): number {
  if (rc !== CL_OK) expect(rcComponent(rc)).toBe(CL_CID.CKPT)
  return rcError(rc)
}

it('the names of the original, with its codes', async () => {
  const none = undefined as never
  expect(error(await cl.clCkptCheckpointOpen(none, 'c', null, 1, S, out()))).toBe(0x0e)
  const rig = await checkpointRig(open, 1, 2)
  const { component } = await user(rig, 1, 'one')
  const { address } = component.rmd
  const app = { component: 'one', node: 'node1', address, rmd: component.rmd }
  bindMyEo({ ...app, checkpoint: component.client } as never)

  const opened: unknown[] = []
  const callbacks: cl.ClCkptCallbacksT = {
    checkpointOpenCallback: (invocation, checkpoint, rc) =>
      opened.push([invocation, checkpoint?.name, rcError(rc)]),
    checkpointSynchronizeCallback: (invocation, rc) => opened.push([invocation, rc]),
  }
  const service = out<cl.ClCkptSvcHdlT>()
  expect(error(cl.clCkptInitialize(none, null, 'B.1.1'))).toBe(0x03)
  expect(error(cl.clCkptInitialize(service, null, null))).toBe(0x03)
  expect(error(cl.clCkptInitialize(service, null, 'C.1.1'))).toBe(0x0f)
  expect(cl.clCkptInitialize(service, callbacks, 'B.1.1')).toBe(CL_OK)
  const svc = service.value!

  const attributes: cl.ClCkptCheckpointCreationAttributesT = {
    creationFlags: cl.CL_CKPT_WR_ACTIVE_REPLICA | cl.CL_CKPT_DISTRIBUTED,
    checkpointSize: 0,
    retentionDuration: cl.CL_TIME_END,
    maxSections: 3,
    maxSectionSize: 8,
    maxSectionIdSize: 4,
  }
  const handle = out<cl.ClCkptHdlT>()
  const openIt = (given: typeof attributes | null, flags: number): Promise<number> =>
    cl.clCkptCheckpointOpen(svc, 'c', given, flags, S, handle)
  expect(error(await openIt(attributes, 8))).toBe(0x22)
  expect(error(await openIt(null, cl.CL_CKPT_CHECKPOINT_CREATE))).toBe(0x03)
  expect(error(await openIt(attributes, cl.CL_CKPT_CHECKPOINT_READ))).toBe(0x02)
  expect(error(await openIt(null, cl.CL_CKPT_CHECKPOINT_READ))).toBe(0x04)
  expect(await openIt(attributes, 7)).toBe(CL_OK)
  const other = { ...attributes, maxSections: 4 }
  expect(error(await openIt(other, 7))).toBe(0x10)
  const ckpt = handle.value!
  await cl.clCkptCheckpointOpenAsync(svc, 'c', null, cl.CL_CKPT_CHECKPOINT_READ, 5)
  await expect.poll(() => opened).toEqual([[5, 'c', 0]])

  const create = (sectionId: string, data: Uint8Array | null, size = data?.length ?? 0) =>
    cl.clCkptSectionCreate(ckpt, { sectionId, expirationTime: cl.CL_TIME_END }, data, size)
  expect(error(await create('s', null, 3))).toBe(0x03)
  expect(error(await create('s', bytes('abc'), 0))).toBe(0x02)
  expect(await create('s', bytes('abc'))).toBe(CL_OK)
  expect(error(await create('s', bytes('abc')))).toBe(0x10)
  const generated = { sectionId: '', expirationTime: cl.CL_TIME_END }
  // Generated ids have more characters than this checkpoint allows.
  expect(error(await cl.clCkptSectionCreate(ckpt, generated, null, 0))).toBe(0x02)
  const index = { value: -1 }
  const element = (sectionId: string, text: string, dataOffset = 0) => ({
    sectionId,
    dataBuffer: bytes(text),
    dataSize: text.length,
    dataOffset,
  })
  const wrong = [element('s', 'x'), element('none', 'y')]
  expect(error(await cl.clCkptCheckpointWrite(ckpt, wrong, 2, index))).toBe(0x04)
  expect(index.value).toBe(1)
  for (const [vector, count, code] of [
    [null, 1, 0x03],
    [[], 0, 0x02],
    [wrong, 0, 0x02],
    [wrong, 3, 0x02],
    [[element('s', 'd', 3), ...wrong], 1, 0],
  ] as const) {
    const rc = await cl.clCkptCheckpointWrite(ckpt, vector as never, count, index)
    expect(error(rc)).toBe(code)
  }
  const read = { sectionId: 's', dataBuffer: null, dataSize: 0, dataOffset: 1, readSize: 0 }
  expect(await cl.clCkptCheckpointRead(ckpt, [read], 1, index)).toBe(CL_OK)
  expect([read.readSize, Buffer.from(read.dataBuffer ?? []).toString()]).toEqual([3, 'bcd'])
  expect(error(await cl.clCkptSectionOverwrite(ckpt, 's', bytes('123456789'), 9))).toBe(0x02)
  expect(await cl.clCkptSectionOverwrite(ckpt, 's', bytes('12'), 2)).toBe(CL_OK)

  const all = { value: [] as readonly cl.ClCkptIOVectorElementT[] }
  const count = { value: 0 }
  expect(await cl.clCkptCheckpointReadSections(ckpt, all, count)).toBe(CL_OK)
  const texts = all.value.map(({ sectionId, dataBuffer }) => [sectionId, String(dataBuffer)])
  expect([count.value, texts]).toEqual([1, [['s', String(new Uint8Array(bytes('12')))]]])
  expect(error(await cl.clCkptCheckpointReadSections(ckpt, null as never, count))).toBe(0x03)

  const iteration = out<cl.ClCkptSectionIterHdlT>()
  const iterate = (chosen: number): Promise<number> =>
    cl.clCkptSectionIterationInitialize(ckpt, chosen, 0n, iteration)
  expect(error(await iterate(6))).toBe(0x02)
  expect(await iterate(cl.CL_CKPT_SECTIONS_ANY)).toBe(CL_OK)
  const found = out<cl.ClCkptSectionDescriptorT>()
  expect(await cl.clCkptSectionIterationNext(iteration.value!, found)).toBe(CL_OK)
  expect(found.value).toMatchObject({ sectionId: 's', sectionSize: 2, sectionState: 1 })
  expect(error(await cl.clCkptSectionIterationNext(iteration.value!, found))).toBe(0x101)
  expect(await cl.clCkptSectionIterationFinalize(iteration.value!)).toBe(CL_OK)

  const status = out<cl.ClCkptCheckpointDescriptorT>()
  expect(await cl.clCkptCheckpointStatusGet(ckpt, status)).toBe(CL_OK)
  expect(status.value).toEqual({
    checkpointCreationAttributes: attributes,
    numberOfSections: 1,
    memoryUsed: 2,
  })
  expect(await cl.clCkptCheckpointSynchronize(ckpt, S)).toBe(CL_OK)
  expect(await cl.clCkptCheckpointSynchronizeAsync(ckpt, 9)).toBe(CL_OK)
  await expect
    .poll(() => opened)
    .toEqual([
      [5, 'c', 0],
      [9, CL_OK],
    ])
  const deaf = out<cl.ClCkptSvcHdlT>()
  expect(cl.clCkptInitialize(deaf, null, 'B.1.1')).toBe(CL_OK)
  const unheard = out<cl.ClCkptHdlT>()
  expect(await cl.clCkptCheckpointOpen(deaf.value!, 'c', null, 3, S, unheard)).toBe(CL_OK)
  expect(error(await cl.clCkptCheckpointSynchronizeAsync(unheard.value!, 1))).toBe(0x0c)
  expect(error(await cl.clCkptActiveReplicaSet(ckpt))).toBe(0x23)
  expect(await cl.clCkptImmediateConsumptionRegister(ckpt, () => undefined, null)).toBe(CL_OK)
  expect(error(await cl.clCkptSectionExpirationTimeSet(ckpt, 's', 1n))).toBe(0x02)
  expect(await cl.clCkptSectionDelete(ckpt, 's')).toBe(CL_OK)
  expect(await cl.clCkptCheckpointRetentionDurationSet(ckpt, S)).toBe(CL_OK)
  expect(await cl.clCkptCheckpointDelete(svc, 'c')).toBe(CL_OK)
  expect(error(await cl.clCkptCheckpointRetentionDurationSet(ckpt, S))).toBe(0x23)
  expect(await cl.clCkptCheckpointClose(ckpt)).toBe(CL_OK)
  expect(error(await cl.clCkptCheckpointClose(ckpt))).toBe(0x05)
  expect(await cl.clCkptFinalize(svc)).toBe(CL_OK)
  expect(error(await cl.clCkptFinalize(svc))).toBe(0x0e)
})
