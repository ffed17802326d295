import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ocEv, type OcEvClass, type OcEvStyle } from '../../runtime/index.ts'
import type { GroupHandle } from '../../runtime/services/group/client.ts'
import {
  clusterEventServices,
  CONN,
  faults,
  GROUP,
  Listener,
  type ListenerOptions,
  MEMB,
} from './cluster-event-world.ts'
import { type Cut, cutEachStep, cutsAt } from './cutting.ts'
import { CheckpointWorld } from './recovery-kit.ts'
import type { Component } from './service-world.ts'

/**
 * Each operation on cluster events, cut short after each step of its messages by the death of the component, of a
 * neighbour, of nodes, of all nodes. Servers, libraries and the order are the real ones. Callbacks look at every moment
 * whether it is their turn: see {@link Listener}.
 */

const CALLER = 3
type Place = 1 | 2 | 3

interface Scene {
  readonly group: number
  /** A member of the group on each node, with a handle that hears everything. */
  readonly watchers: Readonly<
    Record<Place, { readonly listener: Listener; readonly in: GroupHandle }>
  >
  /** On the node of the caller: its callbacks last for a while. */
  readonly neighbour: Listener
  /** Of a program that is no component: one handle after the other. */
  readonly program: Listener[]
  /** Its handle is active, but for operations that begin with it. */
  readonly caller: Component
  readonly listener: Listener
}

interface Operation {
  readonly title: string
  readonly style?: OcEvStyle
  /** What the caller hears before it. @defaultValue memberships and groups */
  readonly classes?: readonly OcEvClass[]
  readonly completion?: ListenerOptions['completion']
  /** The caller's handle is not active yet. */
  readonly isNew?: boolean
  readonly isSpecial?: boolean
  /** Done before, in quiet. */
  prepare?(): Promise<void>
  run(scene: Scene): Promise<unknown>
}

let sent = 0
/** The caller's own node sends it: what the caller did before is known there. */
async function cast({ watchers, group }: Scene, from: Place = CALLER): Promise<string> {
  const text = `CAST ${++sent}`
  const data = new Uint8Array(Buffer.from(String(sent)))
  await watchers[from].in.sendAll({ group, memberId: from, data })
  return text
}

/** Looked at later, or never. */
function together(...casts: readonly Promise<string>[]): Promise<readonly string[]> {
  const all = Promise.all(casts)
  all.catch(() => undefined)
  return all
}

/** The caller hears what is sent now. */
async function hearCast(scene: Scene): Promise<void> {
  const text = await cast(scene)
  await scene.listener.until(() => scene.listener.heard.includes(text))
}

/** Who watches on the caller's node has heard them. */
async function allHear({ watchers }: Scene, ...texts: readonly string[]): Promise<void> {
  const { listener } = watchers[CALLER]
  await listener.until(() => texts.every((text) => listener.heard.includes(text)))
}

/** The caller's neighbours have heard it, and the caller has not. */
async function missCast(scene: Scene): Promise<void> {
  const { heard } = scene.listener
  const text = await cast(scene)
  await allHear(scene, text)
  if (heard.includes(text)) faults.push(`the caller hears ${text}`)
}

const activation = (title: string, style: OcEvStyle): Operation => ({
  title: `activate, ${title}, and hear`,
  style,
  isNew: true,
  run: async (scene) => {
    scene.listener.activate()
    await scene.listener.until(() => scene.listener.heard.length > 0)
    await hearCast(scene)
  },
})

const OPERATIONS: readonly Operation[] = [
  activation('called directly', ocEv.OC_EV_AS_DIRECT),
  activation('as NORETURN', ocEv.OC_EV_AS_NORETURN),
  activation('with GET_FD', ocEv.OC_EV_AS_GET_FD),
  activation('with SIGNAL', ocEv.OC_EV_AS_SIGNAL),
  {
    title: 'activate, for memberships without quorum too',
    isNew: true,
    isSpecial: true,
    run: async (scene) => {
      const { listener } = scene
      expect(ocEv.special(listener.handle, MEMB)).toBe(ocEv.OC_SUCCESS)
      listener.isSpecial = true
      listener.activate()
      await listener.until(() => listener.heard.length > 0)
      await hearCast(scene)
    },
  },
  {
    title: 'set a callback',
    classes: [MEMB],
    run: async (scene) => {
      scene.listener.listen(GROUP)
      await Promise.resolve()
      await hearCast(scene)
    },
  },
  {
    title: 'set no callback any more',
    run: async (scene) => {
      scene.listener.ignore(GROUP)
      await missCast(scene)
    },
  },
  {
    title: 'unregister',
    style: ocEv.OC_EV_AS_NORETURN,
    run: async (scene) => {
      const { listener } = scene
      listener.unregister()
      await listener.until(() => listener.returned !== null)
      if (listener.returned !== ocEv.OC_SUCCESS) faults.push(`returned ${listener.returned}`)
      await missCast(scene)
    },
  },
  {
    title: 'unregister by a callback, which completes later',
    completion: 'later',
    run: async (scene) => {
      scene.listener.inside = () => scene.listener.unregister()
      await cast(scene)
      await scene.listener.until(() => scene.listener.isUnregistered)
      await missCast(scene)
    },
  },
  {
    title: 'unregister what holds an event',
    completion: 'never',
    run: async (scene) => {
      const texts = together(cast(scene), cast(scene, 2))
      await scene.listener.until(() => scene.listener.isHolding)
      scene.listener.unregister()
      await allHear(scene, ...(await texts))
    },
  },
  {
    title: 'complete what was held',
    completion: 'never',
    run: async (scene) => {
      const { listener } = scene
      const sending = together(cast(scene), cast(scene, 1))
      await listener.until(() => listener.isHolding)
      listener.completion = 'at once'
      listener.complete()
      const texts = await sending
      await listener.until(() => texts.every((one) => listener.heard.includes(one)))
    },
  },
  {
    title: 'casts of all at once',
    run: async (scene) => {
      const texts = await Promise.all([cast(scene, 1), cast(scene, 2), cast(scene, 3)])
      const { listener } = scene
      await listener.until(() => texts.every((one) => listener.heard.includes(one)))
    },
  },
  {
    title: 'leave a group, and join it',
    run: async ({ watchers, group, listener }) => {
      await watchers[CALLER].in.groupLeave({ group, memberId: CALLER })
      await watchers[CALLER].in.groupJoin({ group, memberId: CALLER })
      await listener.until(() => listener.of('JOIN').some((text) => text.endsWith(`: ${CALLER}`)))
    },
  },
  {
    title: 'a node leaves',
    run: async ({ listener }) => {
      const before = listener.of('NEW').length
      world.killNodes(2)
      await listener.until(() => listener.of('NEW').length > before)
    },
  },
  {
    title: 'a node joins',
    prepare: async () => {
      world.killNodes(2)
      await world.steps.pass(500)
    },
    run: async ({ listener }) => {
      const before = listener.of('NEW').length
      await world.node(2)
      await listener.until(() => listener.of('NEW').length > before)
    },
  },
]

/** The caller is on node 3, as the neighbour; node 1 leads, and has the program. */
const VICTIMS = {
  'the caller': [],
  'the neighbour': [],
  'the program': [],
  'the node of the caller': [3],
  'another node': [2],
  'the leading node': [1],
  'the nodes of the leader and the caller': [1, 3],
  'all nodes': [1, 2, 3],
  'the leading node, without an heir': [1],
} as const
type Victim = keyof typeof VICTIMS

const DEADLINE_MS = 20_100
/** Longer than programs wait for a quorum. */
const NO_HEIR_MS = 4_000

let world: CheckpointWorld
let count = 0
beforeEach(async () => {
  faults.length = 0
  world = new CheckpointWorld([clusterEventServices])
  await world.start(1, 2, 3)
  await world.steps.pass(6_000)
})
afterEach(() => world.close())

function listenerOf(component: Component, options: Partial<ListenerOptions> = {}): Listener {
  const { name, node, process, clusterEvents } = component
  return new Listener({ name, place: world.nodes.get(node), process, clusterEvents, ...options })
}

/** Handles of one program, each after the end of the one before. */
async function programOf(): Promise<Listener[]> {
  const { process, clusterEvents } = await world.steps.wait(world.program())
  const all: Listener[] = []
  const begin = (): void => {
    const [place] = world.nodes.values()
    if (!process.isAlive) return
    if (place === undefined) return void process.run(() => setTimeout(begin, 20))
    const listener = new Listener({ name: 'program', place, process, clusterEvents })
    listener.isLate = all.length > 0
    all.push(listener)
    listener.activate()
    void listener.until(() => listener.isEnded).then(() => process.run(() => setTimeout(begin, 20)))
  }
  begin()
  return all
}

async function sceneOf(operation: Operation): Promise<Scene> {
  await operation.prepare?.()
  const watcherOn = async (node: Place) => {
    // A place that is to be taken yet is watched by the next node.
    const at = world.nodes.has(node) ? node : CALLER
    const component = await world.steps.wait(world.component(at, `watcher${node}.${++count}`))
    const listener = listenerOf(component, { classes: [CONN, MEMB, GROUP] })
    listener.activate()
    return { listener, in: component.process.run(() => component.groups.initialize()) }
  }
  const watchers = { 1: await watcherOn(1), 2: await watcherOn(2), 3: await watcherOn(CALLER) }
  const group = await world.steps.wait(watchers[1].in.groupCreate(`group${count}`))
  for (const memberId of [1, 2, 3] as const) {
    await world.steps.wait(watchers[memberId].in.groupJoin({ group, memberId }))
  }
  const at = await world.steps.wait(world.component(CALLER, `neighbour${count}`))
  const neighbour = listenerOf(at, { completion: 'later' })
  neighbour.activate()
  const program = await programOf()
  const caller = await world.steps.wait(world.component(CALLER, `caller${count}`))
  const { style, classes, completion = 'at once', isNew = false } = operation
  const listener = listenerOf(caller, {
    ...(style === undefined ? {} : { style }),
    ...(classes === undefined ? {} : { classes }),
  })
  if (!isNew) listener.activate()
  await world.steps.pass(100)
  listener.completion = completion
  listener.isLate = isNew
  const all = [...Object.values(watchers).map((each) => each.listener), neighbour, listener]
  for (const one of [...all, ...program]) one.heard.length = 0
  return { group, watchers, neighbour, program, caller, listener }
}

function kill(victim: Victim, { caller, neighbour, program }: Scene): readonly number[] {
  if (victim === 'the caller') world.kill(caller)
  else if (victim === 'the program') program[0]?.process.kill()
  else if (victim === 'the neighbour') {
    for (const { components } of world.nodes.values()) {
      for (const one of [...components]) if (one.process === neighbour.process) world.kill(one)
    }
  } else if (victim.endsWith('heir')) {
    world.killNode(1)
    for (const { process, services } of world.nodes.values()) {
      process.run(() => services.leaderLost())
    }
  } else world.killNodes(...VICTIMS[victim])
  return VICTIMS[victim].filter((node) => !world.nodes.has(node))
}

/** One operation, cut short after so many steps. @returns false when it had ended before. */
async function cutShort(operation: Operation, after: number, cut: Cut<Victim>): Promise<boolean> {
  const { victim, isBackSoon, slow } = cut
  const isLeaderless = victim.endsWith('heir')
  const scene = await sceneOf(operation)
  await world.slow(slow)
  const what = `${operation.title}, cut after ${after} steps, ${JSON.stringify(cut)}`
  let ending: 'done' | { readonly error: unknown } | null = null
  scene.caller.process
    .run(() => operation.run(scene))
    .then(
      () => (ending ??= 'done'),
      (error: unknown) => (ending ??= { error }),
    )
  const isOver = (): boolean => ending !== null
  for (let step = 0; step < after && !isOver(); step++) await world.steps.next()
  const wasOver = isOver()
  const away = kill(victim, scene)
  if (isBackSoon && !isLeaderless) {
    for (let step = 0; step < 5; step++) await world.steps.step()
    for (const node of away) await world.steps.wait(world.node(node))
    if (world.leader === 0) world.lead(1)
  }
  if (isLeaderless) {
    await world.steps.pass(NO_HEIR_MS)
    if (operation.isSpecial === true) expectNoQuorum(scene, what)
    world.lead([...world.nodes.keys()][0] ?? 0)
    await world.steps.pass(5_000)
  }
  if (scene.caller.process.isAlive) {
    const hint = (): string => `${what}: ${JSON.stringify(scene.listener.heard)}`
    expect(await world.steps.run(isOver, DEADLINE_MS), `${hint()}: no end`).toBe(true)
  }
  await world.slow(0)
  await world.steps.pass(1_000)
  await check(scene, what)
  await world.start(...[1, 2, 3].filter((node) => !world.nodes.has(node)))
  await world.steps.pass(500)
  await check(scene, `${what}, all are back`)
  for (const { components } of world.nodes.values()) {
    for (const component of [...components]) world.kill(component)
  }
  for (const { process } of scene.program.slice(0, 1)) process.kill()
  await world.steps.pass(50)
  return !wasOver
}

function expectNoQuorum({ listener, caller }: Scene, what: string): void {
  if (!caller.process.isAlive || listener.heard.length === 0) return
  expect(listener.of('INVALID', 'NEW').at(-1), what).toMatch(/^INVALID \d+: [23],[23]$/)
}

/** Everybody who lives hears the same, to the last; nobody waits. */
async function check(scene: Scene, where: string): Promise<void> {
  const last = `last${++sent}`
  const [node] = world.nodes.keys()
  if (node === undefined) return
  const component = await world.steps.wait(world.component(node, `prober${++count}`))
  const handle = component.process.run(() => component.groups.initialize())
  const group = await world.steps.wait(handle.groupCreate(last))
  const memberId = 9
  await world.steps.wait(handle.groupJoin({ group, memberId }))
  await world.steps.wait(handle.sendAll({ group, memberId, data: Buffer.from(last) }))
  await world.steps.pass(200)
  world.kill(component)
  expect(faults, where).toEqual([])
  const { watchers, neighbour, listener, program } = scene
  const seen = Object.values(watchers).map((one) => one.listener)
  const alive = [...seen, neighbour, listener].filter(({ process }) => process.isAlive)
  const present = program.at(-1)
  if (present?.process.isAlive === true) alive.push(present)
  const full = seen.filter(({ process }) => process.isAlive)
  for (const one of alive) {
    const at = `${where}: ${one.name}`
    expect(one.isEnded, at).toBe(false)
    checkOne(one, full[0], at, last)
  }
  // Those that were there from the beginning: the whole, in one order.
  for (const one of full) expect(agreed(one), where).toEqual(agreed(full[0] ?? one))
}

const GROUPS = ['JOIN', 'LEAVE', 'CAST'] as const
const agreed = (one: Listener): string[] => one.of('NEW', ...GROUPS)

function checkOne(one: Listener, whole: Listener | undefined, at: string, last: string): void {
  if (one.wants(GROUP)) expect(one.of('CAST').at(-1), `${at} hears the last`).toBe(`CAST ${last}`)
  const members = one.of('NEW', 'INVALID').at(-1)
  if (one.wants(MEMB) && members !== undefined) {
    const ids = members.split(': ')[1]?.split(',').map(Number)
    expect(new Set(ids), at).toEqual(new Set(world.nodes.keys()))
    expect(one.of('SUSPECT', 'RECOVERED', 'NEW').at(-1), `${at} is sure`).not.toMatch(/^SUSPECT/)
  }
  if (whole === undefined) return
  if (!one.isSpecial) {
    const mine = one.of('NEW').slice(one.isLate ? 1 : 0)
    checkPart(mine, whole.of('NEW'), one.wants(MEMB), at)
  }
  checkPart(one.of(...GROUPS), whole.of(...GROUPS), one.wants(GROUP), at)
}

/** Nothing is missing in between, nothing comes twice; nor is anything missing at the end when it still listens. */
function checkPart(mine: string[], whole: string[], isToTheEnd: boolean, at: string): void {
  const first = whole.indexOf(mine[0] ?? '')
  const part =
    mine.length === 0 ? [] : whole.slice(first, isToTheEnd ? undefined : first + mine.length)
  expect(mine, at).toEqual(part)
}

const STRIDE = 8
const victims = Object.keys(VICTIMS) as Victim[]
describe('an operation on cluster events, cut short after each step of its messages', () => {
  it.each(OPERATIONS.map((operation, index) => [operation.title, operation, index] as const))(
    '%s',
    { timeout: 600_000 },
    async (_, operation, index) => {
      const cases = await cutEachStep(
        (steps) => cutsAt(steps + index, victims, (victim) => VICTIMS[victim].length > 0),
        (steps, cut) => cutShort(operation, steps, cut),
        { first: index % STRIDE, stride: STRIDE },
      )
      expect(cases).toBeGreaterThan(1)
    },
  )
})
