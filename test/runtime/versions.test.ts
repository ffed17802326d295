import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineInterface, isSdkError, type SdkError } from '../../idl/index.ts'
import { createRmd, memoryTransport, openPort, type Rmd } from '../../ioc/index.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'

const who = z.strictObject({})
const text = z.string()
const common = { name: 'Toy', clientId: 20 } as const

/** What was shipped first. */
const Old = defineInterface({
  ...common,
  version: 'B.1.1',
  methods: {
    greet: { serviceId: 0, input: who, output: text },
    leave: { serviceId: 1, input: who, output: text },
  },
})
/** The next major: a method more, and `leave` in a new form. */
const New = defineInterface({
  ...common,
  version: 'B.2.1',
  methods: {
    greet: { serviceId: 0, input: who, output: text, since: 'B.1.1' },
    leave: { serviceId: 1, input: text, output: text, since: 'B.2.1' },
    shout: { serviceId: 2, input: who, output: text, since: 'B.2.1' },
  },
})
/** Another contract under the same number. */
const Other = defineInterface({
  ...common,
  version: 'C.1.1',
  methods: { greet: { serviceId: 0, input: who, output: text } },
})

let eo: ExecutionObject
let server: Rmd
let caller: Rmd
beforeEach(async () => {
  const transport = memoryTransport()
  eo = new ExecutionObject({
    config: parseComponentModule(
      { clEoConfig: { name: 'toy', userClients: 3, initialize: () => undefined } },
      'toy',
    ),
    checkpoint: () => null,
    isElsewhere: () => false,
    identity: () => ({ component: 'toy', node: 'node1', address: { node: 1, port: 64 } }),
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

const none = { csi: null } as const
const installOld = (): void =>
  eo.client.clientInstall(Old, { greet: () => 'old', leave: () => 'old' }, none)
const installNew = (): void =>
  eo.client.clientInstall(
    New,
    { greet: () => 'new', leave: (why) => `new ${why}`, shout: () => 'NEW' },
    none,
  )
const installOther = (): void => eo.client.clientInstall(Other, { greet: () => 'other' }, none)
const outcome = (promise: Promise<string>): Promise<string> =>
  promise.catch((error: unknown) => (isSdkError(error) ? error.code : String(error)))

describe('versions of an interface', () => {
  test('a new caller gets on with an old callee where the method has not changed', async () => {
    installOld()
    const client = caller.client(New, { to: '1:64' })
    expect(await outcome(client.greet({}))).toBe('old')
    expect(await outcome(client.leave('bye'))).toBe('VERSION_MISMATCH')
    expect(await outcome(client.shout({}))).toBe('VERSION_MISMATCH')
  })

  test('an old caller gets on with a new callee where the method has not changed', async () => {
    installNew()
    const client = caller.client(Old, { to: '1:64' })
    expect(await outcome(client.greet({}))).toBe('new')
    expect(await outcome(client.leave({}))).toBe('VERSION_MISMATCH')
  })

  test('versions side by side: each caller gets its own, a call without a version the highest', async () => {
    installNew()
    installOld()
    installOther()
    const old = caller.client(Old, { to: '1:64' })
    expect(await outcome(old.greet({}))).toBe('old')
    expect(await outcome(old.leave({}))).toBe('old')
    expect(await outcome(caller.client(New, { to: '1:64' }).leave('bye'))).toBe('new bye')
    expect(await outcome(caller.client(Other, { to: '1:64' }).greet({}))).toBe('other')
    const { input, output } = Old.methods.greet
    const bytes = await caller.call('1:64', 20 * 64, input.encode({}))
    expect(output.decode(bytes)).toBe('other')
  })

  test('the refusal says what is supported, and that nothing ran', async () => {
    installOld()
    installNew()
    const error = await caller
      .client(Other, { to: '1:64' })
      .greet({})
      .then(
        () => null,
        (thrown: unknown) => thrown as SdkError,
      )
    expect(error).toMatchObject({ code: 'VERSION_MISMATCH', mayHaveRun: false })
    expect(error?.context).toMatchObject({
      function: '20.0',
      requested: 'C.1.1',
      supported: ['B.1.1', 'B.1.1 to B.2.1'],
    })
  })

  test('a version is removed alone', async () => {
    installOld()
    installNew()
    const foreign = defineInterface({ ...common, name: 'Foreign', version: 'B.9.1', methods: {} })
    expect(() => eo.client.clientInstall(foreign, {}, none)).toThrow(/taken by Toy/)
    eo.client.clientUninstall(New)
    expect(() => eo.client.clientUninstall(New)).toThrow(/not installed/)
    expect(await outcome(caller.client(New, { to: '1:64' }).greet({}))).toBe('old')
  })
})
