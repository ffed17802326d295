import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import type { EventChannel } from '../../runtime/services/event/channel.ts'
import type { ChannelFlag, EventHandle } from '../../runtime/services/event/client.ts'
import { eventServer } from '../../runtime/services/event/server.ts'
import { type Cut, cutEachStep, cutsAt } from './cutting.ts'
import { CheckpointWorld } from './recovery-kit.ts'
import type { Component } from './service-world.ts'

/**
 * Each operation on channels, in the midst of events, cut short after each step of its messages by the death of the
 * caller, of another publisher, of nodes, of all nodes. Servers, libraries and the order are the real ones.
 */

/** A component with the channel open, and what it heard. */
interface User {
  readonly component: Component
  readonly handle: EventHandle
  readonly channel: EventChannel
  readonly heard: string[]
  lost: number
}

interface Scene {
  readonly name: string
  /** Node 3: subscribed, unless that is the operation. */
  readonly caller: User
  /** Node 2: publishes while the operation is under way. */
  readonly other: User
  /** Node 1: subscribed, publishes nothing. */
  readonly bystander: User
  /** Of what the caller has published to be kept. */
  readonly own: bigint
}

interface Operation {
  readonly title: string
  run(scene: Scene): Promise<unknown>
  /** The caller has not subscribed yet. */
  readonly isNew?: boolean
  /** When it is done, the caller hears nothing any more. */
  readonly isEnd?: boolean
  /** When it is done: what later subscribers get beside or instead; null: the name leads nowhere. */
  readonly kept?: readonly string[] | null
}

const FOREVER_MS = 10_000_000
const CALLER = 3
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

const OPERATIONS: readonly Operation[] = [
  { title: 'publish', run: ({ caller }) => caller.channel.publish({ data: bytes('new') }) },
  {
    title: 'publish what is kept',
    run: ({ caller }) => caller.channel.publish({ data: bytes('new'), retentionMs: FOREVER_MS }),
    kept: ['kept', 'new', 'own'],
  },
  {
    title: 'subscribe',
    run: ({ caller }) => caller.channel.subscribe({ subscriptionId: 1 }),
    isNew: true,
  },
  { title: 'unsubscribe', run: ({ caller }) => caller.channel.unsubscribe(1), isEnd: true },
  {
    title: 'unsubscribe, and subscribe again',
    run: async ({ caller }) => {
      await caller.channel.unsubscribe(1)
      // What is kept comes again.
      caller.heard.length = 0
      await caller.channel.subscribe({ subscriptionId: 1 })
    },
  },
  {
    title: 'retention time clear',
    run: ({ caller, own }) => caller.channel.retentionTimeClear(own),
    kept: ['kept'],
  },
  { title: 'close', run: ({ caller }) => caller.channel.close(), isEnd: true },
  {
    title: 'unlink',
    run: ({ caller, name }) => caller.handle.channelUnlink(name),
    kept: null,
  },
  {
    title: 'open with another handle, and subscribe',
    run: async ({ caller, name }) => {
      const heard: string[] = []
      const handle = caller.component.events.initialize({
        deliver: (event) => void heard.push(textOf(event)),
      })
      const channel = await handle.channelOpen({ name, flags: ['GLOBAL', 'SUBSCRIBER'] })
      await channel.subscribe({ subscriptionId: 1 })
    },
  },
  { title: 'finalize', run: ({ caller }) => caller.handle.finalize(), isEnd: true },
]

/** Node 1 leads, and has the bystander. */
const VICTIMS = {
  'the caller': 'caller',
  'the other publisher': 'other',
  'the node of the caller': [3],
  'the node of the other publisher': [2],
  'the leading node': [1],
  'both nodes with publishers': [2, 3],
  'all nodes': [1, 2, 3],
} as const
type Victim = keyof typeof VICTIMS

const KNOWN_ERRORS = ['TRY_AGAIN', 'TIMEOUT', 'COMP_UNREACHABLE', 'NOT_EXIST']
const DEADLINE_MS = 20_100
/** What is retained is on all nodes by then, or on none. */
const SETTLED_MS = 12_000

let world: CheckpointWorld
let count = 0
beforeEach(async () => {
  world = new CheckpointWorld([eventServer])
  await world.start(1, 2, 3)
})
afterEach(() => world.close())

const textOf = ({ data }: { readonly data: Uint8Array }): string => Buffer.from(data).toString()

async function userOn(
  node: number,
  name: string,
  flags: readonly ChannelFlag[],
  isSubscribed = true,
): Promise<User> {
  const component = await world.steps.wait(world.component(node, `user${++count}`))
  const heard: string[] = []
  const user = { component, heard, lost: 0 }
  const handle = component.events.initialize({
    deliver: (event) => {
      // What a dead one hears nobody sees.
      if (!component.process.isAlive) return
      if (event.lost > 0) user.lost += event.lost
      else heard.push(textOf(event))
    },
  })
  const channel = await world.steps.wait(handle.channelOpen({ name, flags }))
  if (isSubscribed) await world.steps.wait(channel.subscribe({ subscriptionId: 1 }))
  return Object.assign(user, { handle, channel })
}

const BOTH = ['GLOBAL', 'SUBSCRIBER', 'PUBLISHER'] as const

async function sceneOf({ isNew = false }: Operation): Promise<Scene> {
  const name = `channel${++count}`
  const bystander = await userOn(1, name, ['GLOBAL', 'SUBSCRIBER', 'CREATE'])
  const other = await userOn(2, name, BOTH)
  const caller = await userOn(CALLER, name, BOTH, !isNew)
  await world.steps.wait(other.channel.publish({ data: bytes('first') }))
  const kept = { data: bytes('kept'), retentionMs: FOREVER_MS }
  await world.steps.wait(other.channel.publish(kept))
  const mine = { data: bytes('own'), retentionMs: FOREVER_MS }
  const own = await world.steps.wait(caller.channel.publish(mine))
  await world.steps.pass(20)
  return { name, caller, other, bystander, own }
}

function kill(victim: Victim, scene: Scene): readonly number[] {
  const of = VICTIMS[victim]
  if (typeof of === 'string') {
    world.kill(scene[of].component)
    return []
  }
  world.killNodes(...of)
  return of
}

/** What somebody on a node gets who comes now; null: there is no such channel. */
async function keptOn(node: number, name: string): Promise<string[] | null> {
  try {
    const user = await userOn(node, name, ['GLOBAL', 'SUBSCRIBER'])
    await world.steps.pass(20)
    world.kill(user.component)
    return user.heard.toSorted()
  } catch (error) {
    if (isSdkError(error, 'NOT_EXIST')) return null
    throw error
  }
}

/** One operation, cut short after so many steps. @returns false when it had ended before. */
async function cutShort(operation: Operation, after: number, cut: Cut<Victim>): Promise<boolean> {
  const { victim, isBackSoon, slow } = cut
  const scene = await sceneOf(operation)
  const { caller, other, bystander, name } = scene
  await world.slow(slow)
  const what = `${operation.title}, cut after ${after} steps, ${JSON.stringify(cut)}`
  let ending: 'done' | { readonly error: string } | null = null
  const acknowledged: string[] = []
  for (const text of ['one', 'two', 'three']) {
    const published = other.component.process.run(() =>
      other.channel.publish({ data: bytes(text) }),
    )
    published.then(
      () => acknowledged.push(text),
      () => undefined,
    )
  }
  caller.component.process
    .run(() => operation.run(scene))
    .then(
      () => (ending ??= 'done'),
      (error: unknown) => {
        ending ??= { error: isSdkError(error) ? error.code : String(error) }
      },
    )
  const isOver = (): boolean => ending !== null
  for (let step = 0; step < after && !isOver(); step++) await world.steps.next()
  const wasOver = isOver()
  const nodes = kill(victim, scene)
  if (isBackSoon && nodes.length > 0) {
    // Ids of events count from the time of the start.
    await world.steps.pass(2)
    await world.start(...nodes)
  }
  const isAlive = caller.component.process.isAlive
  if (isAlive) {
    expect(await world.steps.run(isOver, DEADLINE_MS), `${what}: no answer`).toBe(true)
  }
  await world.slow(0)
  await world.steps.pass(SETTLED_MS)
  const how = (isAlive ? ending : null) as 'done' | { readonly error: string } | null
  if (how !== null && how !== 'done') expect(KNOWN_ERRORS, what).toContain(how.error)
  await check(operation, scene, how === 'done', acknowledged, what)
  const away = nodes.filter((node) => !world.nodes.has(node))
  if (away.length > 0) {
    await world.start(...away)
    await check(operation, scene, how === 'done', acknowledged, `${what}, all are back`)
  }
  for (const one of [caller, other, bystander]) world.kill(one.component)
  const broom = await world.steps.wait(world.component(1, `broom${count}`))
  await world.outcome(broom.events.initialize().channelUnlink(name))
  world.kill(broom)
  await world.steps.pass(50)
  return !wasOver
}

async function check(
  operation: Operation,
  { name, caller, other, bystander }: Scene,
  isDone: boolean,
  acknowledged: readonly string[],
  where: string,
): Promise<void> {
  const [first, ...others] = [...world.nodes.keys()]
  if (first === undefined) return
  const kept = await keptOn(first, name)
  for (const node of others) expect(await keptOn(node, name), `${where}: ${node}`).toEqual(kept)
  const users = [caller, other, bystander].filter(({ component }) => component.process.isAlive)
  const before = ['kept', 'own']
  const after = operation.kept === undefined ? before : operation.kept
  // Nobody is left who has the channel, nor a node that knows of it.
  if (users.length === 0 && where.includes('all nodes')) expect(kept, where).toBe(null)
  else expect(isDone ? [after] : [before, after], where).toContainEqual(kept)
  const publisher = await lastOf(name, other, kept, first)
  await world.steps.pass(20)
  for (const user of users) {
    const at = `${where}: ${user === caller ? 'caller' : user === other ? 'other' : 'bystander'}`
    const { heard } = user
    expect(new Set(heard).size, `${at} hears once: ${heard.join()}`).toBe(heard.length)
    expect(user.lost, at).toBe(0)
    const places = heard.flatMap((text) => {
      const place = ['first', 'kept', 'one', 'two', 'three'].indexOf(text)
      return place < 0 || (user === caller && text === 'kept') ? [] : [place]
    })
    expect(places, `${at} in order: ${heard.join()}`).toEqual(places.toSorted((a, b) => a - b))
    const hears = user !== caller || operation.isEnd !== true
    const listens = user !== caller || (hears && (isDone || operation.isNew !== true))
    if (listens && publisher !== null) expect(heard.at(-1), at).toBe(publisher)
    if (user === caller && operation.isEnd === true && isDone) {
      expect(heard, at).not.toContain(publisher)
    }
    // What the other one's node had taken is heard, while that node lives.
    if (user === bystander && other.component.process.isAlive) {
      expect(heard, at).toEqual(expect.arrayContaining([...acknowledged]))
    }
  }
}

let lastCount = 0
/** Somebody publishes for the last time. @returns what; null: nobody is there to publish it. */
async function lastOf(
  name: string,
  other: User,
  kept: readonly string[] | null,
  node: number,
): Promise<string | null> {
  const text = `last${++lastCount}`
  if (other.component.process.isAlive) {
    await world.steps.wait(other.channel.publish({ data: bytes(text) }))
    return text
  }
  if (kept === null) return null
  const user = await userOn(node, name, ['GLOBAL', 'PUBLISHER'], false)
  await world.steps.wait(user.channel.publish({ data: bytes(text) }))
  await world.steps.pass(20)
  world.kill(user.component)
  return text
}

const STRIDE = 5
const victims = Object.keys(VICTIMS) as Victim[]
describe('an operation on a channel of events, cut short after each step of its messages', () => {
  it.each(OPERATIONS.map((operation, index) => [operation.title, operation, index] as const))(
    '%s',
    { timeout: 600_000 },
    async (_, operation, index) => {
      const cases = await cutEachStep(
        (steps) => cutsAt(steps + index, victims, (victim) => Array.isArray(VICTIMS[victim])),
        (steps, cut) => cutShort(operation, steps, cut),
        { first: index % STRIDE, stride: STRIDE },
      )
      expect(cases).toBeGreaterThan(1)
    },
  )
})
