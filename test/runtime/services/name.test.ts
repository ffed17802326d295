import { afterEach, describe, expect, it } from 'vitest'
import { nameLibrary, type NameClient } from '../../../runtime/services/name/client.ts'
import { NAME_CONTEXT, type NameChange } from '../../../runtime/services/name/interface.ts'
import { nameServer } from '../../../runtime/services/name/server.ts'
import { Echo, rejection } from '../../ioc/rmd-kit.ts'
import { type RigComponent, ServiceRig } from './rig.ts'

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

async function rigOf(...ids: readonly number[]): Promise<ServiceRig> {
  const rig = new ServiceRig(nameServer)
  open.push(rig)
  await rig.start(...ids)
  return rig
}

const component = (
  rig: ServiceRig,
  node: number,
  name: string,
): Promise<RigComponent<NameClient>> => rig.component(node, name, nameLibrary)

const code = async (promise: Promise<unknown>): Promise<unknown> =>
  ((await rejection(promise)) as { code: string }).code

describe('registration', () => {
  it('is seen by every node when it returns', async () => {
    const rig = await rigOf(1, 2, 3)
    const [a, b] = [await component(rig, 2, 'a'), await component(rig, 3, 'b')]
    const reference = await a.client.register({ name: 'printer', priority: 'HIGH' })
    expect(reference).toBeGreaterThan(2 ** 32)
    await expect
      .poll(() => b.client.objectReferenceGet({ name: 'printer' }).catch(() => 0))
      .toBe(reference)
    expect(await b.client.objectMappingGet({ name: 'printer' })).toEqual({
      name: 'printer',
      objectReference: reference,
      attributes: [],
      providers: [{ component: 'a', address: a.rmd.address, priority: 'HIGH' }],
    })
  })

  it('again with the same details changes nothing; of another component it adds one', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await component(rig, 1, 'a'), await component(rig, 2, 'b')]
    const details = { name: 'n', attributes: [{ type: 'kind', value: 'x' }] }
    const reference = await a.client.register(details)
    expect(await a.client.register(details)).toBe(reference)
    expect(await b.client.register({ ...details, priority: 'HIGH' })).toBe(reference)
    const { providers } = await b.client.objectMappingGet({ name: 'n' })
    expect(providers.map((one) => one.component)).toEqual(['b', 'a'])
  })

  it('with other details is another entry, found by its attributes', async () => {
    const rig = await rigOf(1)
    const [a, b] = [await component(rig, 1, 'a'), await component(rig, 1, 'b')]
    const color = (value: string): { type: string; value: string }[] => [{ type: 'color', value }]
    await a.client.register({ name: 'n', objectReference: 7, attributes: color('red') })
    await b.client.register({ name: 'n', objectReference: 8, attributes: color('blue') })
    const get = (value: string): Promise<number> =>
      a.client.objectReferenceGet({ name: 'n', attributes: color(value) })
    expect([await get('red'), await get('blue')]).toEqual([7, 8])
    expect(await a.client.objectReferenceGet({ name: 'n' })).toBe(7)
    expect(await code(get('green'))).toBe('ENTRY_NOT_FOUND')
    await b.client.registerAndOverwrite({ name: 'n', objectReference: 9 })
    expect(await a.client.objectReferenceGet({ name: 'n' })).toBe(9)
    expect(await code(get('red'))).toBe('ENTRY_NOT_FOUND')
  })

  it('ends by entry and by component', async () => {
    const rig = await rigOf(1, 2)
    const a = await component(rig, 2, 'a')
    await a.client.register({ name: 'x' })
    await a.client.register({ name: 'y' })
    await a.client.register({ name: 'z', context: NAME_CONTEXT.nodeLocal })
    await a.client.serviceDeregister({ name: 'x' })
    expect(await code(a.client.serviceDeregister({ name: 'x' }))).toBe('SERVICE_NOT_REGISTERED')
    await a.client.componentDeregister()
    expect(await code(a.client.objectReferenceGet({ name: 'y' }))).toBe('ENTRY_NOT_FOUND')
    const local = { name: 'z', cookie: NAME_CONTEXT.nodeLocal }
    expect(await code(a.client.objectReferenceGet(local))).toBe('ENTRY_NOT_FOUND')
  })

  it.each([
    ['an empty name', { name: '' }],
    ['a long name', { name: 'x'.repeat(256) }],
    ['six attributes', { name: 'n', attributes: Array(6).fill({ type: 'a', value: 'b' }) }],
    ['a long attribute', { name: 'n', attributes: [{ type: 'a'.repeat(21), value: 'b' }] }],
    ['a negative reference', { name: 'n', objectReference: -1 }],
  ])('is refused with %s', async (_, registration) => {
    const rig = await rigOf(1)
    const a = await component(rig, 1, 'a')
    expect(await code(a.client.register(registration))).toBe('INVALID_PARAMETER')
  })
})

describe('contexts', () => {
  it('are created by cookie, global or of one node, and deleted', async () => {
    const rig = await rigOf(1, 2)
    const [a, b] = [await component(rig, 1, 'a'), await component(rig, 2, 'b')]
    const context = await a.client.contextCreate({ type: 'GLOBAL', cookie: 5 })
    await b.client.register({ name: 'n', context, objectReference: 1 })
    const local = await a.client.contextCreate({ type: 'NODE_LOCAL', cookie: 6 })
    await a.client.register({ name: 'n', context: local, objectReference: 2 })
    expect(await b.client.objectReferenceGet({ name: 'n', cookie: 5 })).toBe(1)
    expect(await a.client.objectReferenceGet({ name: 'n', cookie: 6 })).toBe(2)
    expect(await code(b.client.objectReferenceGet({ name: 'n', cookie: 6 }))).toBe(
      'CONTEXT_NOT_CREATED',
    )
    expect(await code(b.client.objectReferenceGet({ name: 'n' }))).toBe('ENTRY_NOT_FOUND')
    expect(await code(b.client.contextCreate({ type: 'GLOBAL', cookie: 5 }))).toBe(
      'CONTEXT_ALREADY_CREATED',
    )
    for (const reserved of Object.values(NAME_CONTEXT)) {
      const create = b.client.contextCreate({ type: 'GLOBAL', cookie: reserved })
      expect(await code(create)).toBe('CONTEXT_ALREADY_CREATED')
      expect(await code(b.client.contextDelete(reserved))).toBe('OPERATION_NOT_PERMITTED')
    }
    await b.client.contextDelete(context)
    expect(await code(b.client.contextDelete(context))).toBe('CONTEXT_NOT_CREATED')
    expect(await code(b.client.register({ name: 'n', context }))).toBe('CONTEXT_NOT_CREATED')
  })
})

describe('the end of a provider', () => {
  it('removes what it registered, and tells watchers why', async () => {
    const rig = await rigOf(1, 2, 3)
    const [a, b, c] = [
      await component(rig, 1, 'a'),
      await component(rig, 2, 'b'),
      await component(rig, 3, 'c'),
    ]
    const changes: NameChange[] = []
    await c.client.watch((change) => changes.push(change))
    await a.client.register({ name: 'n', objectReference: 1, priority: 'HIGH' })
    await b.client.register({ name: 'n', objectReference: 1 })
    await rig.kill(a)
    const kinds = (): string[] => changes.map(({ kind, component: who }) => `${kind} ${who}`)
    await expect.poll(kinds).toEqual(['REGISTER a', 'REGISTER b', 'COMPONENT_DEATH a'])
    await rig.killNode(2)
    await expect.poll(kinds).toContain('NODE_DEREGISTER b')
    expect(await code(c.client.objectReferenceGet({ name: 'n' }))).toBe('ENTRY_NOT_FOUND')
  })

  it('survives the end of the leading node in the middle of registrations', async () => {
    const rig = await rigOf(1, 2, 3)
    const [b, c] = [await component(rig, 2, 'b'), await component(rig, 3, 'c')]
    const names = Array.from({ length: 40 }, (_, index) => `n${index}`)
    const registered = Promise.all(
      names.map((name, index) => (index % 2 ? b : c).client.register({ name })),
    )
    await rig.killNode(1, 2)
    const references = await registered
    expect(new Set(references).size).toBe(names.length)
    const found = await Promise.all(
      names.map((name) => c.client.objectReferenceGet({ name }).catch(() => 0)),
    )
    expect(found).toEqual(references)
  })

  it('finds nobody whose end this node has noticed, also while nobody leads', async () => {
    const rig = await rigOf(1, 2, 3)
    const of = (node: number, name: string) => component(rig, node, name)
    const [a, b, c] = [await of(1, 'a'), await of(2, 'b'), await of(2, 'c')]
    for (const [one, priority] of [
      [a, 'HIGH'],
      [b, 'MEDIUM'],
      [c, 'LOW'],
    ] as const) {
      await one.client.register({ name: 'n', objectReference: 1, priority })
    }
    const who = async (): Promise<string[]> => {
      const { providers } = await c.client.objectMappingGet({ name: 'n' })
      return providers.map(({ component: name }) => name)
    }
    expect(await who()).toEqual(['a', 'b', 'c'])
    // The leading node dies and no other one leads: the order says nothing.
    await rig.killNode(1)
    await expect.poll(who).toEqual(['b', 'c'])
    await rig.kill(b)
    await expect.poll(who).toEqual(['c'])
    expect(c.names.lookup('n')?.address).toEqual(c.rmd.address)
    rig.lead(2)
    const d = await of(3, 'd')
    await d.client.register({ name: 'n', objectReference: 1 })
    expect(await who()).toEqual(['d', 'c'])
  })

  it('a node that comes later has everything', async () => {
    const rig = await rigOf(1, 2)
    const a = await component(rig, 1, 'a')
    const reference = await a.client.register({ name: 'n' })
    const late = await rig.node(3)
    await expect.poll(() => late.registered.get('n')).toEqual(a.rmd.address)
    const c = await component(rig, 3, 'c')
    expect(await c.client.objectReferenceGet({ name: 'n' })).toBe(reference)
  })
})

describe('calls to @name', () => {
  const serve = (one: RigComponent<unknown>): void => {
    one.rmd.serve((call) => {
      const { echo } = Echo.methods
      call.reply(echo.output.encode(`${one.name}: ${String(echo.input.decode(call.payload))}`), 9)
    })
  }

  it('go to the provider with the highest priority, and to the next when it is gone', async () => {
    const rig = await rigOf(1, 2)
    const [a, b, c] = [
      await component(rig, 1, 'a'),
      await component(rig, 2, 'b'),
      await component(rig, 2, 'c'),
    ]
    serve(a)
    serve(b)
    const echo = c.rmd.client(Echo, { to: '@n', timeoutMs: 5_000 })
    expect(await code(echo.echo('x'))).toBe('NAME_NOT_FOUND')
    await b.client.register({ name: 'n', objectReference: 1 })
    expect(await echo.echo('1')).toBe('b: 1')
    await a.client.register({ name: 'n', objectReference: 1, priority: 'HIGH' })
    await expect.poll(() => echo.echo('2')).toBe('a: 2')
    await rig.kill(a)
    await expect.poll(() => echo.echo('3').catch(() => '')).toBe('b: 3')
    await b.client.componentDeregister()
    await expect.poll(() => code(echo.echo('4'))).toBe('NAME_NOT_FOUND')
  })
})

describe('the library', () => {
  it('negotiates versions', async () => {
    const rig = await rigOf(1)
    const { client } = await component(rig, 1, 'a')
    const initialize = (version: string): string => {
      try {
        return client.initialize(version).version
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(
      ['A.1.1', 'C.1.1', 'B.0.1', 'B.123.1', 'B.1.0', 'B.1.200', 'b1'].map(initialize),
    ).toEqual([
      'VERSION_MISMATCH',
      'VERSION_MISMATCH',
      'B.1.1',
      'VERSION_MISMATCH',
      'B.1.1',
      'B.1.1',
      'INVALID_PARAMETER',
    ])
  })

  it('does nothing after finalize until it is initialized again', async () => {
    const rig = await rigOf(1)
    const [a, b] = [await component(rig, 1, 'a'), await component(rig, 1, 'b')]
    await a.client.register({ name: 'n' })
    await a.client.finalize()
    expect(await code(b.client.objectReferenceGet({ name: 'n' }))).toBe('ENTRY_NOT_FOUND')
    expect(await code(a.client.register({ name: 'n' }))).toBe('NOT_INITIALIZED')
    expect(await code(a.client.finalize())).toBe('NOT_INITIALIZED')
    a.client.initialize()
    await a.client.register({ name: 'n' })
  })
})
