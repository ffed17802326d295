import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import type { NamedCheckpointHandle } from '../../runtime/index.ts'
import type { CreationFlag } from '../../runtime/services/named-checkpoint/interface.ts'
import { type Cut, cutEachStep, cutsAt } from './cutting.ts'
import { bytes, CheckpointWorld } from './recovery-kit.ts'
import type { Component } from './service-world.ts'

/** What anybody sees of a checkpoint: its sections and its retention; null: there is none. */
interface Seen {
  readonly sections: Readonly<Record<string, string>>
  readonly retentionMs: number
}

interface Scene {
  readonly name: string
  readonly caller: Component
  readonly handle: NamedCheckpointHandle
}

interface Operation {
  readonly title: string
  readonly flags?: readonly CreationFlag[]
  run(scene: Scene): Promise<unknown>
  /** What is there after it, of what was there before. */
  after?(before: Seen): Seen | null
  /** What it answers when it succeeds, as text. */
  readonly answer?: string
}

const BEFORE: Seen = { sections: { a: 'old a', b: 'old b' }, retentionMs: Infinity }
const FAR_MS = 4_000_000_000_000
const changed = (sections: Record<string, string>) => (before: Seen) => {
  return { ...before, sections: { ...before.sections, ...sections } }
}

const OPERATIONS: readonly Operation[] = [
  {
    title: 'open, which creates',
    run: async ({ caller, name }) => {
      await caller.checkpoint.initialize().open({
        name: `${name} new`,
        flags: ['CREATE'],
        attributes: { maxSections: 1 },
      })
    },
  },
  {
    title: 'open',
    run: async ({ caller, name }) => {
      await caller.checkpoint.initialize().open({ name, flags: ['READ'] })
    },
  },
  {
    title: 'section create',
    run: ({ handle }) => handle.sectionCreate({ id: 'c', data: bytes('new') }),
    after: changed({ c: 'new' }),
    answer: 'c',
  },
  {
    title: 'section overwrite',
    run: ({ handle }) => handle.sectionOverwrite('a', bytes('new')),
    after: changed({ a: 'new' }),
  },
  {
    title: 'vectored overwrite',
    run: ({ handle }) =>
      handle.sectionOverwriteVector([
        { id: 'a', data: bytes('new') },
        { id: 'b', data: bytes('new') },
      ]),
    after: changed({ a: 'new', b: 'new' }),
  },
  {
    title: 'vectored write',
    run: ({ handle }) =>
      handle.write([
        { id: 'a', offset: 4, data: bytes('x') },
        { id: 'b', offset: 6, data: bytes('x') },
      ]),
    after: changed({ a: 'old x', b: 'old b\0x' }),
  },
  {
    title: 'a write that fails on any replica',
    flags: ['WR_ALL_SAFE'],
    run: ({ handle }) => handle.sectionOverwrite('a', bytes('new')),
    after: changed({ a: 'new' }),
  },
  {
    title: 'section delete',
    run: ({ handle }) => handle.sectionDelete('a'),
    after: (before) => ({ ...before, sections: { b: before.sections['b'] ?? '' } }),
  },
  {
    title: 'expiration time set',
    run: ({ handle }) => handle.sectionExpirationTimeSet('a', FAR_MS),
    after: changed({ a: `old a until ${FAR_MS}` }),
  },
  {
    title: 'read',
    run: async ({ handle }) => Buffer.from((await handle.read([{ id: 'b' }]))[0] ?? []).toString(),
    answer: 'old b',
  },
  {
    title: 'iterate',
    run: async ({ handle }) => {
      const ids: string[] = []
      for await (const { id } of handle.sections()) ids.push(id)
      return ids.join()
    },
    answer: 'a,b',
  },
  {
    title: 'status',
    run: async ({ handle }) => (await handle.status()).sectionCount,
    answer: '2',
  },
  {
    title: 'retention set',
    run: ({ handle }) => handle.retentionDurationSet(600_000),
    after: (before) => ({ ...before, retentionMs: 600_000 }),
  },
  {
    title: 'active replica set',
    flags: ['COLLOCATED'],
    run: ({ handle }) => handle.activeReplicaSet(),
  },
  {
    title: 'synchronize',
    flags: ['WR_ACTIVE_REPLICA'],
    run: ({ handle }) => handle.synchronize(),
  },
  {
    title: 'hot standby',
    flags: ['DISTRIBUTED'],
    run: ({ handle }) => handle.immediateConsumptionRegister(() => undefined),
  },
  { title: 'close', run: ({ handle }) => handle.close() },
  {
    title: 'unlink',
    run: ({ caller, name }) => caller.checkpoint.initialize().unlink(name),
    after: () => null,
  },
]

/** The caller is on node 3, the active replica on node 2; node 1 leads the order and has the other replica. */
const VICTIMS = {
  'the caller': 'caller',
  'the node of the caller': [3],
  'the node of the active replica': [2],
  'the leading node': [1],
  'both nodes with replicas': [1, 2],
  'all nodes': [1, 2, 3],
} as const
type Victim = keyof typeof VICTIMS

const KNOWN_ERRORS = ['TRY_AGAIN', 'TIMEOUT', 'COMP_UNREACHABLE', 'NOT_EXIST']
/** The libraries' own time-out, and a little for what comes late. */
const DEADLINE_MS = 10_100

let world: CheckpointWorld
let count = 0
beforeAll(async () => {
  world = new CheckpointWorld()
  await world.start(1, 2, 3)
})
afterAll(() => world.close())

async function sceneOf({ flags = [] }: Operation): Promise<Scene> {
  const name = `c${++count}`
  const attributes = { creationFlags: flags, maxSections: 10, retentionDurationMs: Infinity }
  const owner = await world.steps.wait(world.component(2, `owner${count}`))
  const own = await world.open(owner, name, attributes)
  if (flags.includes('COLLOCATED')) await world.steps.wait(own.activeReplicaSet())
  for (const [id, text] of Object.entries(BEFORE.sections)) {
    await world.steps.wait(own.sectionCreate({ id, data: bytes(text) }))
  }
  if (flags.includes('WR_ACTIVE_REPLICA')) await world.steps.wait(own.synchronize())
  const caller = await world.steps.wait(world.component(3, `caller${count}`))
  return { name, caller, handle: await world.open(caller, name, attributes) }
}

/** What a component on a node finds. */
async function seen(node: number, name: string): Promise<Seen | null> {
  const observer = await world.steps.wait(world.component(node, `observer${++count}`))
  try {
    return await world.steps.wait(seenBy(observer, name), 20_000)
  } finally {
    world.kill(observer)
  }
}

async function seenBy(observer: Component, name: string): Promise<Seen | null> {
  let handle: NamedCheckpointHandle
  try {
    handle = await observer.checkpoint.initialize().open({ name, flags: ['READ'] })
  } catch (error) {
    if (isSdkError(error, 'NOT_EXIST')) return null
    throw error
  }
  const sections: Record<string, string> = {}
  for await (const { id, expiresAtMs } of handle.sections()) {
    const text = Buffer.from((await handle.read([{ id }]))[0] ?? []).toString()
    sections[id] = expiresAtMs === null ? text : `${text} until ${expiresAtMs}`
  }
  const { attributes } = await handle.status()
  return { sections, retentionMs: attributes.retentionDurationMs }
}

type Ending = { readonly answer: string } | { readonly error: string } | { readonly ended: true }

/** One operation, cut short after so many steps. @returns false when it had ended before. */
async function cutShort(
  operation: Operation,
  after: number,
  { victim, isBackSoon, slow }: Cut<Victim>,
): Promise<boolean> {
  const scene = await sceneOf(operation)
  await world.slow(slow)
  const back = isBackSoon ? 'soon' : 'late'
  const what = `${operation.title}, ${victim} after ${after} steps, back ${back}, slow ${slow}`
  let ending: Ending | null = null
  const isOver = (): boolean => ending !== null
  // What a dead caller hears nobody sees.
  const end = (how: Ending): void => {
    ending ??= how
  }
  operation.run(scene).then(
    (answer) => end({ answer: String(answer) }),
    (error: unknown) => end({ error: isSdkError(error) ? error.code : String(error) }),
  )
  for (let step = 0; step < after && !isOver(); step++) await world.steps.next()
  const wasOver = isOver()
  const nodes = kill(victim, scene)
  if (!scene.caller.process.isAlive) end({ ended: true })
  if (isBackSoon) {
    for (let step = 0; step < 5; step++) await world.steps.step()
    await world.start(...nodes)
  }
  expect(await world.steps.run(isOver, DEADLINE_MS), `${what}: no answer`).toBe(true)
  await world.slow(0)
  await world.steps.pass(1_500)
  if (nodes.length === 1 && !isBackSoon) {
    check(await seen([1, 2, 3].find((node) => !nodes.includes(node)) ?? 1, scene.name), what)
  }
  await world.start(...nodes.filter((node) => !world.nodes.has(node)))
  check(await seen(1 + (after % 3), scene.name), what)
  await clear(scene)
  return !wasOver

  function check(found: Seen | null, where: string): void {
    const how: Ending = ending ?? { ended: true }
    const next = operation.after?.(BEFORE)
    const done = next === undefined ? BEFORE : next
    if ('answer' in how) {
      expect(found, where).toEqual(done)
      expect(how.answer, where).toBe(operation.answer ?? 'undefined')
      return
    }
    if ('error' in how) expect(KNOWN_ERRORS, `${where}: ${how.error}`).toContain(how.error)
    expect([BEFORE, done], where).toContainEqual(found)
  }
}

function kill(victim: Victim, { caller }: Scene): readonly number[] {
  const nodes = VICTIMS[victim]
  if (nodes === 'caller') {
    world.kill(caller)
    return []
  }
  world.killNodes(...nodes)
  return nodes
}

/** Nothing of it is left for the next one. */
async function clear({ name }: Scene): Promise<void> {
  for (const { components } of world.nodes.values()) {
    for (const component of [...components]) world.kill(component)
  }
  await world.steps.pass(100)
  const one = await world.steps.wait(world.component(1, `broom${++count}`))
  const gone = await world.outcome(one.checkpoint.initialize().unlink(name))
  expect(typeof gone === 'string' ? gone : 'done').toMatch(/^done|^NOT_EXIST/)
  world.kill(one)
  await world.steps.pass(50)
}

const victims = Object.keys(VICTIMS) as Victim[]
describe('an operation on a checkpoint, cut short after each step of its messages', () => {
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

  it('leaves nothing behind', async () => {
    await world.steps.pass(2_000)
    for (const node of [1, 2, 3]) {
      const { entries, replicas } = world.stored(node)
      expect({ node, entries, replicas }).toEqual({ node, entries: [], replicas: [] })
    }
  })
})
