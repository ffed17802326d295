import { afterEach, expect, it } from 'vitest'
import { CL_CID, CL_OK, rcComponent, rcError, rcOf } from '../../idl/index.ts'
import * as cl from '../../runtime/cl/index.ts'
import { bindMyEo, type NameMapping } from '../../runtime/index.ts'
import { nameLibrary } from '../../runtime/services/name/client.ts'
import { nameServer } from '../../runtime/services/name/server.ts'
import { ServiceRig } from './services/rig.ts'

const rig = new ServiceRig(nameServer)
afterEach(() => rig.close())

const GLOBAL = cl.CL_NS_DEFT_GLOBAL_CONTEXT
const board = { type: 'kind', value: 'board' }

/** The low half of a code of this library; 0 for OK. */
function error(rc: number): number {
  if (rc !== CL_OK) expect(rcComponent(rc)).toBe(CL_CID.NS)
  return rcError(rc)
}

it('the names of the original, with its codes', async () => {
  const none = undefined as never
  const ref = { value: cl.CL_NS_GET_OBJ_REF }
  const info = { name: 'n', priority: cl.CL_NS_PRIORITY_HIGH, compId: 7, attrCount: 0, attr: [] }
  expect(error(await cl.clNameRegister(GLOBAL, info, ref))).toBe(0x12)
  await rig.start(1)
  const { client, rmd } = await rig.component(1, 'one', nameLibrary)
  const { address } = rmd
  bindMyEo({ component: 'one', node: 'node1', address, rmd, name: client } as never)

  const context = { value: 0 }
  const found = { value: 0 }
  const mapping: cl.ClOut<NameMapping | undefined> = { value: undefined }
  const { clNameRegister: register, clNameToObjectReferenceGet: look } = cl
  const own = { ...info, name: 'own', attrCount: 1, attr: [board, { type: 'b', value: 'c' }] }
  for (const [title, call, expected] of [
    ['initialize', () => cl.clNameLibInitialize(), 0],
    ['register: null info', () => register(GLOBAL, none, ref), 0x03],
    ['register: null reference', () => register(GLOBAL, info, none), 0x03],
    ['register: priority', () => register(GLOBAL, { ...info, priority: 3 }, ref), 0x02],
    ['register: attributes', () => register(GLOBAL, { ...info, attrCount: 1 }, ref), 0x02],
    ['register: no name', () => register(GLOBAL, { ...info, name: '' }, ref), 0x02],
    ['register: no context', () => register(5, info, ref), 0x102],
    ['register', () => register(GLOBAL, info, ref), 0],
    ['register again', () => register(GLOBAL, info, ref), 0],
    ['register with attributes', () => register(GLOBAL, own, { value: 11 }), 0],
    ['look: null reference', () => look('n', 0, null, GLOBAL, none), 0x03],
    ['look: null name', () => look(none, 0, null, GLOBAL, found), 0x03],
    ['look: null attributes', () => look('n', 1, null, GLOBAL, found), 0x03],
    ['look: unknown', () => look('x', 0, null, GLOBAL, found), 0x100],
    ['look: cookie', () => look('n', 0, null, 99, found), 0x102],
    [
      'look: other attributes',
      () => look('own', 1, [{ type: 'b', value: 'c' }], GLOBAL, found),
      0x100,
    ],
    ['look', () => look('own', 1, [board], GLOBAL, found), 0],
    ['map', () => cl.clNameToObjectMappingGet('own', 0, null, GLOBAL, mapping), 0],
    ['map: null', () => cl.clNameToObjectMappingGet('own', 0, null, GLOBAL, none), 0x03],
    ['create: type', () => cl.clNameContextCreate(2, 40, context), 0x02],
    ['create: null', () => cl.clNameContextCreate(cl.CL_NS_USER_GLOBAL, 40, none), 0x03],
    ['create', () => cl.clNameContextCreate(cl.CL_NS_USER_GLOBAL, 40, context), 0],
    ['create: cookie in use', () => cl.clNameContextCreate(0, 40, { value: 0 }), 0x106],
    ['register there', () => register(context.value, info, { value: 12 }), 0],
    ['look there', () => look('n', 0, null, 40, found), 0],
    ['delete: default', () => cl.clNameContextDelete(GLOBAL), 0x105],
    ['delete', () => cl.clNameContextDelete(context.value), 0],
    ['delete again', () => cl.clNameContextDelete(context.value), 0x102],
    ['deregister', () => cl.clNameServiceDeregister(GLOBAL, 7, 'n'), 0],
    ['deregister again', () => cl.clNameServiceDeregister(GLOBAL, 7, 'n'), 0x103],
    ['deregister all', () => cl.clNameComponentDeregister(7), 0],
    ['look: gone', () => look('own', 0, null, GLOBAL, found), 0x100],
    ['finalize', () => cl.clNameLibFinalize(), 0],
  ] as const) {
    expect(error(await call()), title).toBe(expected)
  }
  expect(found.value).toBe(12)
  expect(mapping.value).toMatchObject({ objectReference: 11, attributes: [board] })
  // What happened on the way is told as that.
  expect(await cl.clNameLibInitialize()).toBe(CL_OK)
  await rig.nodes.get(1)?.rmd.close()
  expect(await look('n', 0, null, GLOBAL, found)).toBe(rcOf(CL_CID.IOC, 0x108))
}, 20_000)
