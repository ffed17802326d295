import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { NAME_CONTEXT, type NameAttribute } from '../../runtime/services/name/interface.ts'
import { type Cut, cutEachStep, cutsAt } from './cutting.ts'
import { CheckpointWorld } from './recovery-kit.ts'
import type { Component } from './service-world.ts'

interface Scene {
  /** Of this turn only. */
  readonly name: string
  readonly cookie: number
  readonly context: number
  /** On node 3: it has registered `name` once, with LOW priority, and `name own` in the context. */
  readonly caller: Component
  /** On node 2: it has registered `name` with MEDIUM priority. */
  readonly other: Component
}

/** For what is asked: the providers, best first; or the code of the error. */
type Seen = Readonly<Record<string, string>>

interface Operation {
  readonly title: string
  run(scene: Scene): Promise<unknown>
  /** What is seen after it, beside what the deaths of components change. */
  after?(before: Registered): Registered
  /** Answers as text; left out: whatever it is. */
  readonly answer?: (scene: Scene) => string
}

/** Who provides what, in the order in which they are found. */
interface Registered {
  readonly name: readonly Who[]
  readonly own: readonly Who[]
  readonly another: readonly Who[]
  readonly hasContext: boolean
  readonly hasNewContext: boolean
}
type Who = 'caller' | 'other'

const BEFORE: Registered = {
  name: ['other', 'caller'],
  own: ['caller'],
  another: [],
  hasContext: true,
  hasNewContext: false,
}
const BLUE: readonly NameAttribute[] = [{ type: 'colour', value: 'blue' }]

const OPERATIONS: readonly Operation[] = [
  {
    title: 'register',
    run: ({ caller, name }) =>
      caller.names.register({ name: `${name} another`, attributes: BLUE, objectReference: 7 }),
    after: (before) => ({ ...before, another: ['caller'] }),
    answer: () => '7',
  },
  {
    title: 'register the same again',
    run: ({ caller, name }) => caller.names.register({ name, priority: 'LOW', objectReference: 5 }),
    answer: () => '5',
  },
  {
    title: 'register and overwrite',
    run: ({ caller, name }) => caller.names.registerAndOverwrite({ name, objectReference: 9 }),
    after: (before) => ({ ...before, name: ['caller'] }),
    answer: () => '9',
  },
  {
    title: 'service deregister',
    run: ({ caller, name }) => caller.names.serviceDeregister({ name }),
    after: (before) => ({ ...before, name: ['other'] }),
  },
  {
    title: 'component deregister',
    run: ({ caller }) => caller.names.componentDeregister(),
    after: (before) => ({ ...before, name: ['other'], own: [] }),
  },
  {
    title: 'context create',
    run: ({ caller, cookie }) => caller.names.contextCreate({ type: 'GLOBAL', cookie: cookie + 1 }),
    after: (before) => ({ ...before, hasNewContext: true }),
  },
  {
    title: 'context delete',
    run: ({ caller, context }) => caller.names.contextDelete(context),
    after: (before) => ({ ...before, hasContext: false, own: [] }),
  },
  {
    title: 'object reference get',
    run: ({ caller, name }) => caller.names.objectReferenceGet({ name }),
    answer: () => '5',
  },
  {
    title: 'object mapping get, by attributes',
    run: async ({ caller, name, cookie }) => {
      const query = { name: `${name} own`, cookie, attributes: BLUE }
      return (await caller.names.objectMappingGet(query)).objectReference
    },
    answer: () => '6',
  },
  {
    title: 'register and look up in the context of the node',
    run: async ({ caller, name }) => {
      const context = NAME_CONTEXT.nodeLocal
      await caller.names.register({ context, name, objectReference: 8 })
      return caller.names.objectReferenceGet({ name, cookie: context })
    },
    answer: () => '8',
  },
  {
    title: 'watch, and stop watching',
    run: async ({ caller }) => (await caller.names.watch(() => undefined))(),
  },
  {
    title: 'finalize',
    run: ({ caller }) => caller.names.finalize(),
    after: (before) => ({ ...before, name: ['other'], own: [] }),
  },
]

/** The caller is on node 3, the other provider on node 2; node 1 leads the order. */
const VICTIMS = {
  'the caller': 'caller',
  'the other provider': 'other',
  'the node of the caller': [3],
  'the node of the other provider': [2],
  'the leading node': [1],
  'all nodes': [1, 2, 3],
} as const
type Victim = keyof typeof VICTIMS

/** The last three: it was done, and its answer was lost with the node that had it. */
const KNOWN_ERRORS = [
  'TRY_AGAIN',
  'TIMEOUT',
  'COMP_UNREACHABLE',
  'SERVICE_NOT_REGISTERED',
  'CONTEXT_ALREADY_CREATED',
  'CONTEXT_NOT_CREATED',
]
const DEADLINE_MS = 15_100

let world: CheckpointWorld
let count = 0
beforeAll(async () => {
  world = new CheckpointWorld()
  await world.start(1, 2, 3)
})
afterAll(() => world.close())

async function sceneOf(): Promise<Scene> {
  const name = `name${++count}`
  const cookie = 1_000 + 2 * count
  const caller = await world.steps.wait(world.component(3, `caller${count}`))
  const other = await world.steps.wait(world.component(2, `other${count}`))
  await world.steps.wait(other.names.register({ name, objectReference: 5 }))
  await world.steps.wait(caller.names.register({ name, priority: 'LOW', objectReference: 5 }))
  const context = await world.steps.wait(caller.names.contextCreate({ type: 'GLOBAL', cookie }))
  const own = { context, name: `${name} own`, attributes: BLUE, objectReference: 6 }
  await world.steps.wait(caller.names.register(own))
  return { name, cookie, context, caller, other }
}

/** What a component on a node finds. */
async function seen(node: number, { name, cookie, caller, other }: Scene): Promise<Seen> {
  const observer = await world.steps.wait(world.component(node, `observer${++count}`))
  const find = async (of: string, cookieOf: number): Promise<string> => {
    try {
      const found = await observer.names.objectMappingGet({ name: of, cookie: cookieOf })
      return found.providers
        .map(({ component }) => (component === caller.name ? 'caller' : component))
        .map((component) => (component === other.name ? 'other' : component))
        .join()
    } catch (error) {
      return isSdkError(error) ? error.code : String(error)
    }
  }
  const all = async (): Promise<Seen> => ({
    name: await find(name, NAME_CONTEXT.global),
    own: await find(`${name} own`, cookie),
    another: await find(`${name} another`, NAME_CONTEXT.global),
    fresh: await find(name, cookie + 1),
  })
  const found = await world.steps.wait(all())
  world.kill(observer)
  return found
}

/** The same as it should be: who is dead provides nothing. */
function expected(registered: Registered, scene: Scene, areAllDead: boolean): Seen {
  const isAlive = (who: Who): boolean => scene[who].process.isAlive
  const text = (providers: readonly Who[]): string => {
    const alive = providers.filter(isAlive)
    return alive.length === 0 ? 'ENTRY_NOT_FOUND' : alive.join()
  }
  const none = 'CONTEXT_NOT_CREATED'
  return {
    name: text(registered.name),
    own: registered.hasContext && !areAllDead ? text(registered.own) : none,
    another: text(registered.another),
    fresh: registered.hasNewContext && !areAllDead ? 'ENTRY_NOT_FOUND' : none,
  }
}

type Ending = { readonly answer: string } | { readonly error: string } | { readonly ended: true }

/** One operation, cut short after so many steps. @returns false when it had ended before. */
async function cutShort(
  operation: Operation,
  after: number,
  { victim, isBackSoon, slow }: Cut<Victim>,
): Promise<boolean> {
  const scene = await sceneOf()
  await world.slow(slow)
  const back = isBackSoon ? 'soon' : 'late'
  const what = `${operation.title}, ${victim} after ${after} steps, back ${back}, slow ${slow}`
  let ending: Ending | null = null
  const isOver = (): boolean => ending !== null
  const end = (how: Ending): void => {
    ending ??= how
  }
  operation.run(scene).then(
    (answer) => end({ answer: String(answer) }),
    (error: unknown) => end({ error: isSdkError(error) ? error.code : String(error) }),
  )
  for (let step = 0; step < after && !isOver(); step++) await world.steps.next()
  const wasOver = isOver()
  const of = VICTIMS[victim]
  const nodes = typeof of === 'string' ? [] : of
  if (typeof of === 'string') world.kill(scene[of])
  world.killNodes(...nodes)
  if (!scene.caller.process.isAlive) end({ ended: true })
  if (isBackSoon) {
    for (let step = 0; step < 5; step++) await world.steps.step()
    await world.start(...nodes)
  }
  expect(await world.steps.run(isOver, DEADLINE_MS), `${what}: no answer`).toBe(true)
  await world.slow(0)
  await world.steps.pass(1_500)
  const survivors = [...world.nodes.keys()]
  for (const node of survivors) check(await seen(node, scene), `${what}, on node ${node}`)
  const away = nodes.filter((node) => !world.nodes.has(node))
  await world.start(...away)
  for (const node of away) check(await seen(node, scene), `${what}, on node ${node}`)
  for (const { components } of world.nodes.values()) {
    for (const component of [...components]) world.kill(component)
  }
  await clear(scene)
  return !wasOver

  function check(found: Seen, where: string): void {
    const how: Ending = ending ?? { ended: true }
    const areAllDead = victim === 'all nodes'
    const before = expected(BEFORE, scene, areAllDead)
    const done = expected(operation.after?.(BEFORE) ?? BEFORE, scene, areAllDead)
    if ('answer' in how) {
      expect(found, where).toEqual(done)
      if (operation.answer) expect(how.answer, where).toBe(operation.answer(scene))
      return
    }
    if ('error' in how) expect(KNOWN_ERRORS, `${where}: ${how.error}`).toContain(how.error)
    expect([before, done], where).toContainEqual(found)
  }
}

/** Contexts stay until they are deleted. */
async function clear({ cookie, context }: Scene): Promise<void> {
  const broom = await world.steps.wait(world.component(1, `broom${++count}`))
  await world.outcome(broom.names.contextDelete(context))
  await world.outcome(broom.names.contextCreate({ type: 'GLOBAL', cookie: cookie + 1 }))
  await world.outcome(broom.names.contextDelete(context + 1))
  world.kill(broom)
  await world.steps.pass(50)
}

const victims = Object.keys(VICTIMS) as Victim[]
describe('an operation on names, cut short after each step of its messages', () => {
  it.each(OPERATIONS.map((operation, index) => [operation.title, operation, index] as const))(
    '%s',
    { timeout: 600_000 },
    async (_, operation, index) => {
      const cases = await cutEachStep(
        (steps) => cutsAt(steps + index, victims, (victim) => Array.isArray(VICTIMS[victim])),
        (steps, cut) => cutShort(operation, steps, cut),
      )
      expect(cases).toBeGreaterThan(2)
    },
  )
})
