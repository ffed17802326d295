import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface, isSdkError } from '../../idl/index.ts'
import { createRmd, memoryTransport, openPort, type Rmd } from '../../ioc/index.ts'
import {
  clEoClientDataGet,
  clEoClientDataSet,
  clEoPrivateDataGet,
  clEoServiceValidate,
  clEoWalk,
} from '../../runtime/cl/index.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'
import type { App } from '../../runtime/index.ts'

const text = z.strictObject({ text: z.string() })
const Toy = defineInterface({
  name: 'Toy',
  clientId: 20,
  version: 'B.1.1',
  methods: { say: { serviceId: 63, input: text, output: text } },
})

let eo: ExecutionObject
let server: Rmd
let caller: Rmd

beforeEach(async () => {
  const transport = memoryTransport()
  eo = new ExecutionObject({
    config: parseComponentModule({ clEoConfig: { name: 'x', initialize: () => {} } }, 'x'),
    checkpoint: () => null,
    isElsewhere: () => false,
    identity: () => ({ component: 'x', node: 'node1', address: { node: 1, port: 64 } }),
    log: () => undefined,
  })
  server = createRmd({ port: await openPort({ transport, node: 1, port: 64, name: 'eo' }) })
  server.serve(eo.dispatch)
  caller = createRmd({ port: await openPort({ transport, port: null, name: 'caller' }) })
  eo.setState('active')
})
afterEach(async () => {
  await eo.stop(100)
  await caller.close()
  await server.close()
})

function install(name: string, data?: unknown): void {
  const say = ({ text: said }: { text: string }, call: { data?: unknown }): { text: string } => ({
    text: `${name} ${said} ${String(call.data)}`,
  })
  eo.client.clientInstall(Toy, { say }, { csi: null, ...(data === undefined ? {} : { data }) })
}
const say = async (): Promise<string> => {
  const toy = caller.client(Toy, { to: '1:64', timeoutMs: 5_000 })
  try {
    return (await toy.say({ text: 'hi' })).text
  } catch (error) {
    return isSdkError(error) ? error.code : String(error)
  }
}

test('the latest table answers, and its uninstall restores what it covered', async () => {
  expect(await say()).toBe('INVALID_CLIENTID')
  install('first', 1)
  expect(await say()).toBe('first hi 1')
  install('second', 2)
  expect(await say()).toBe('second hi 2')
  expect(eo.services(false)).toHaveLength(1)
  eo.client.clientDataSet(Toy, 3)
  expect(await say()).toBe('second hi 3')
  eo.client.clientUninstall(Toy)
  expect(await say()).toBe('first hi 1')
  eo.client.clientUninstall(Toy)
  expect(await say()).toBe('INVALID_CLIENTID')
  expect(() => eo.client.clientUninstall(Toy)).toThrow(/not installed/)
  expect(() => eo.client.clientDataGet(Toy)).toThrow(/not installed/)
})

test('a walk visits what is stacked, the latest first, until it is told to stop', () => {
  for (const name of ['a', 'b', 'c']) install(name)
  const seen: string[] = []
  const call = { data: '' } as never
  eo.client.walk(Toy, 'say', (run) => {
    seen.push((run({ text: '' }, call) as { text: string }).text.trim())
    return seen.length < 2
  })
  expect(seen).toEqual(['c', 'b'])
  eo.client.clientUninstall(Toy)
  eo.client.clientUninstall(Toy)
  eo.client.clientUninstall(Toy)
  expect(() => eo.client.walk(Toy, 'say', () => undefined)).toThrow(/has no function here/)
})

test('a worker module that is given as text is refused', () => {
  const options = { worker: './work.js' as unknown as URL }
  expect(() => eo.client.clientInstall(Toy, null, options)).toThrow(/options.worker is no URL/)
})

test('stacked tables count against userClients', () => {
  for (let i = 0; i < 16; i++) install(`t${i}`)
  expect(() => install('one more')).toThrow(/raise clEoConfig\.userClients/)
})

test('private data is kept by key and bounded', () => {
  expect(() => eo.client.privateDataGet(1)).toThrow(/no private data/)
  eo.client.privateDataSet(1, 'x')
  eo.client.privateDataSet(1, 'y')
  expect(eo.client.privateDataGet(1)).toBe('y')
  expect(() => eo.client.privateDataSet(-1, 0)).toThrow(/give 0 to/)
  for (let key = 2; key <= 4_096; key++) eo.client.privateDataSet(key, 0)
  expect(() => eo.client.privateDataSet(5_000, 0)).toThrow(/4096 private data keys/)
})

test('the original names answer by code', () => {
  const app = { eo: eo.client } as App
  install('a', 7)
  const out = { value: undefined as unknown }
  expect(clEoClientDataGet(app, Toy, out)).toBe(0)
  expect(out.value).toBe(7)
  expect(clEoClientDataSet(app, Toy, 8)).toBe(0)
  expect(eo.client.clientDataGet(Toy)).toBe(8)
  expect(clEoServiceValidate(app, 20 * 64 + 63)).toBe(0)
  expect(clEoServiceValidate(app, 20 * 64 + 1) & 0xffff).toBe(0x102)
  expect(clEoServiceValidate(app, 99 * 64) & 0xffff).toBe(0x103)
  expect(clEoPrivateDataGet(app, 1, out) & 0xffff).toBe(0x04)
  let visits = 0
  expect(clEoWalk(app, Toy, 'say', () => (visits++, 0x16))).toBe(0x16)
  expect(visits).toBe(1)
})
