import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import type { GroupHandle, GroupJoin } from '../../runtime/services/group/client.ts'
import type { GroupNotification } from '../../runtime/services/group/interface.ts'
import { groupServer } from '../../runtime/services/group/server.ts'
import { type Cut, cutEachStep, cutsAt } from './cutting.ts'
import { CheckpointWorld } from './recovery-kit.ts'
import type { Component } from './service-world.ts'

/**
 * Each operation on groups, cut short before each step of its messages by the death of a node or of the caller, for
 * good or with a return. Servers, libraries and the order are the real ones.
 */

/** A component that tracks the cluster and, but for a caller that begins to, the group. */
interface Program {
  readonly component: Component
  /** The life of its node. */
  readonly node: unknown
  readonly handle: GroupHandle
  readonly views: GroupNotification[]
  /** Views and messages of the group, in the order in which they came. */
  readonly heard: string[]
  /** Reasons for which its node was ejected. */
  readonly ejected: string[]
}

/** Whoever has the number of its node as its member id and as its credential. */
type Who = 1 | 2 | 3

interface Scene {
  readonly name: string
  readonly group: number
  /** Without members. */
  readonly spare: number
  readonly programs: Readonly<Record<Who, Program>>
  /** A node that does not lead the cluster. */
  readonly preferred: number
}

interface Known {
  /** Oldest first. */
  readonly members: readonly Who[]
  readonly hasSpare: boolean
  readonly hasFresh: boolean
  readonly isSent: boolean
  readonly isPreferred: boolean
  /** The node that is not in the cluster's view, though it is there. */
  readonly out: Who | null
}

interface Operation {
  readonly title: string
  run(caller: GroupHandle, scene: Scene): Promise<unknown>
  /** Of what was before. */
  readonly changes?: Partial<Known>
  /** The caller is no member yet. */
  readonly isOutside?: boolean
  /** The caller's node has left the cluster. */
  readonly isAway?: boolean
  /** The node that it names. */
  target?(scene: Scene): number
  /** The caller does not track the group yet. */
  readonly isNew?: boolean
  /** The caller's callbacks end with it. */
  readonly isEnd?: boolean
}

const BEFORE: Known = {
  members: [1, 2, 3],
  hasSpare: true,
  hasFresh: false,
  isSent: false,
  isPreferred: false,
  out: null,
}
const CALLER = 3
const EJECTED = 2

const OPERATIONS: readonly Operation[] = [
  {
    title: 'create',
    run: (caller, { name }) => caller.groupCreate(`${name} fresh`),
    changes: { hasFresh: true },
  },
  {
    title: 'join',
    run: (caller, scene) => caller.groupJoin(joining(scene.programs[CALLER], scene.group, CALLER)),
    isOutside: true,
  },
  {
    title: 'leave',
    run: (caller, { group }) => caller.groupLeave({ group, memberId: CALLER }),
    changes: { members: [1, 2] },
  },
  {
    title: 'track',
    run: (caller, { group }) => caller.groupTrack({ group, flags: ['CURRENT', 'CHANGES'] }),
    isNew: true,
  },
  {
    title: 'send to all',
    run: (caller, { group }) =>
      caller.sendAll({ group, memberId: CALLER, data: new Uint8Array([7]) }),
    changes: { isSent: true },
  },
  {
    title: 'elect a preferred leader',
    run: (caller, { preferred }) => caller.clusterLeaderElect({ preferred }),
    target: ({ preferred }) => preferred,
    changes: { isPreferred: true },
  },
  {
    title: 'eject a node',
    run: (caller) => caller.clusterMemberEject({ nodeId: EJECTED }),
    target: () => EJECTED,
    changes: { members: [1, CALLER], out: EJECTED },
  },
  {
    title: 'leave the cluster',
    run: (caller) => caller.clusterLeave(),
    changes: { members: [1, 2], out: CALLER },
  },
  {
    title: 'join the cluster',
    run: (caller) => caller.clusterJoin(),
    isOutside: true,
    isAway: true,
    changes: { out: null, members: [1, 2] },
  },
  {
    title: 'destroy',
    run: (caller, { spare }) => caller.groupDestroy(spare),
    changes: { hasSpare: false },
  },
  {
    title: 'finalize',
    run: (caller) => caller.finalize(),
    changes: { members: [1, 2] },
    isEnd: true,
  },
]

/** Nodes that die; the caller's own is 3, and 1 leads the order. */
const VICTIMS = {
  caller: [],
  1: [1],
  2: [2],
  3: [3],
  'leader without heir': [1],
  'all other nodes': [1, 2],
  'all nodes': [1, 2, 3],
} as const
type Victim = keyof typeof VICTIMS
const KNOWN_ERRORS = ['TRY_AGAIN', 'TIMEOUT', 'COMP_UNREACHABLE']
const DEADLINE_MS = 15_100
/** Longer than an operation waits for the order, twice. */
const NO_HEIR_MS = 25_000
/** The new leader waits for what the dead one had, in vain. */
const RETURN_MS = 5_000

let world: CheckpointWorld
let count = 0
beforeAll(async () => {
  world = new CheckpointWorld([(host) => groupServer(host)])
  await world.start(1, 2, 3)
  // Until then nobody leads the cluster.
  await world.steps.pass(6_000)
})
afterAll(() => world.close())

function joining({ heard }: Program, group: number, memberId: number): GroupJoin {
  return {
    group,
    memberId,
    credential: memberId,
    deliver: ({ from, data }, lost) => heard.push(`message ${from} ${data.join()} lost ${lost}`),
  }
}

async function programOn(node: number, track: boolean): Promise<Program> {
  const component = await world.steps.wait(world.component(node, `program${++count}`))
  const [views, heard, ejected]: [GroupNotification[], string[], string[]] = [[], [], []]
  const note = (view: GroupNotification, lost: number): void => {
    views.push(view)
    if (view.group !== null) heard.push(`view ${view.viewNumber} lost ${lost}`)
  }
  const handle = component.groups.initialize({
    clusterTrack: note,
    groupTrack: note,
    clusterMemberEject: ({ reason }) => ejected.push(reason),
  })
  if (track) {
    const now = await world.steps.wait(handle.clusterTrack(['CURRENT', 'CHANGES']))
    if (now !== null) views.push(now)
  }
  return { component, node: world.nodes.get(node), handle, views, heard, ejected }
}

async function sceneOf(operation: Operation): Promise<Scene> {
  const { isOutside = false, isNew = false, isAway = false } = operation
  const name = `group${++count}`
  const first = await programOn(1, true)
  const programs = { 1: first, 2: await programOn(2, true), 3: await programOn(CALLER, true) }
  const group = await world.steps.wait(first.handle.groupCreate(name))
  const spare = await world.steps.wait(first.handle.groupCreate(`${name} spare`))
  for (const node of [1, 2, CALLER] as const) {
    const { handle, views } = programs[node]
    if (node !== CALLER || !isNew) {
      const now = await world.steps.wait(
        handle.groupTrack({ group, flags: ['CURRENT', 'CHANGES'] }),
      )
      if (now !== null) views.push(now)
    }
    if (node === CALLER && isOutside) continue
    await world.steps.wait(handle.groupJoin(joining(programs[node], group, node)))
  }
  if (isAway) await world.steps.wait(programs[CALLER].handle.clusterLeave())
  await world.steps.drain()
  for (const { heard } of Object.values(programs)) heard.length = 0
  const leader = first.views.findLast((view) => view.group === null)?.leader
  return { name, group, spare, programs, preferred: [1, 2, 3].find((id) => id !== leader) ?? 0 }
}

interface Seen {
  readonly groups: readonly string[]
  readonly cluster: GroupNotification | null
  readonly group: GroupNotification | null
}

/** What a node says. */
async function seen(node: number, { name, group }: Scene): Promise<Seen> {
  const { component, handle } = await programOn(node, false)
  const all = async (): Promise<Seen> => ({
    groups: (await handle.groupList()).flatMap((info) =>
      info.name.startsWith(name) ? info.name : [],
    ),
    cluster: await handle.clusterTrack('CURRENT'),
    group: await handle.groupTrack({ group, flags: 'CURRENT' }).catch((error: unknown) => {
      // Gone with all nodes, or with the last of them.
      if (isSdkError(error, 'NOT_EXIST')) return null
      throw error
    }),
  })
  const found = await world.steps.wait(all())
  world.kill(component)
  return found
}

type Ending =
  | { readonly answer: unknown }
  | { readonly error: string }
  | { readonly ended: true }
  /** Of an unsure outcome: the caller has joined after it. */
  | { readonly again: true }

/** One operation, cut short after so many steps. @returns false when it had ended before. */
async function cutShort(operation: Operation, after: number, cut: Cut<Victim>): Promise<boolean> {
  const { isBackSoon, slow } = cut
  const isLeaderless = cut.victim === 'leader without heir'
  const nodes: readonly number[] = VICTIMS[cut.victim]
  const scene = await sceneOf(operation)
  await world.slow(slow)
  const what = `${operation.title}, cut after ${after} steps, ${JSON.stringify(cut)}`
  const caller = scene.programs[CALLER]
  let ending: Ending | null = null
  const isOver = (): boolean => ending !== null
  const end = (how: Ending): void => {
    ending ??= how
  }
  operation.run(caller.handle, scene).then(
    (answer) => end({ answer }),
    (error: unknown) => end({ error: isSdkError(error) ? error.code : String(error) }),
  )
  for (let step = 0; step < after && !isOver(); step++) await world.steps.next()
  const wasOver = isOver()
  if (cut.victim === 'caller') world.kill(caller.component)
  else if (isLeaderless) world.killNode(1)
  else world.killNodes(...nodes)
  if (!caller.component.process.isAlive) end({ ended: true })
  if (isBackSoon && nodes.length > 0 && !isLeaderless) {
    for (let step = 0; step < 5; step++) await world.steps.step()
    await start(nodes)
  }
  expect(await world.steps.run(isOver, DEADLINE_MS), `${what}: no answer`).toBe(true)
  let how: Ending = ending ?? { ended: true }
  if (isLeaderless) how = await succeed(operation, scene, how)
  await world.slow(0)
  await world.steps.pass(700)
  await check(operation, scene, how, what)
  const away = nodes.filter((node) => !world.nodes.has(node))
  if (away.length > 0) {
    await start(away)
    await check(operation, scene, how, `${what}, ${away.join()} back`)
  }
  for (const { components } of world.nodes.values()) {
    for (const component of [...components]) world.kill(component)
  }
  await world.steps.pass(50)
  await clear(operation)
  return !wasOver
}

/** When all are new, nobody leads the cluster at first. */
async function start(nodes: readonly number[]): Promise<void> {
  await world.start(...nodes)
  if (nodes.length === 3) await world.steps.pass(6_000)
}

/** The order is led again, late; a caller that could not join or leave for sure joins again meanwhile. */
async function succeed(operation: Operation, scene: Scene, how: Ending): Promise<Ending> {
  const { [CALLER]: caller } = scene.programs
  await world.steps.pass(NO_HEIR_MS - DEADLINE_MS)
  const isAgain = 'error' in how && ['join', 'leave'].includes(operation.title)
  const again = isAgain ? caller.handle.groupJoin(joining(caller, scene.group, CALLER)) : null
  again?.catch(() => undefined)
  await world.steps.pass(1)
  world.lead(2)
  await world.steps.pass(RETURN_MS)
  if (again === null) return how
  await world.steps.wait(again)
  return { again: true }
}

/** Groups stay until they are destroyed, and a node that left the cluster stays away. */
async function clear({ changes }: Operation): Promise<void> {
  for (const node of changes?.out === undefined ? [] : world.nodes.keys()) {
    const { component, handle } = await programOn(node, false)
    await world.steps.wait(handle.clusterJoin())
    world.kill(component)
  }
  const { component, handle } = await programOn(1, false)
  for (const { group } of await world.steps.wait(handle.groupList())) {
    await world.steps.wait(handle.groupDestroy(group))
  }
  world.kill(component)
}

async function check(
  operation: Operation,
  scene: Scene,
  how: Ending,
  where: string,
): Promise<void> {
  const [node, ...others] = world.nodes.keys()
  if (node === undefined) return
  const found = await seen(node, scene)
  for (const other of others) expect(await seen(other, scene), where).toEqual(found)
  if ('error' in how) {
    const target = operation.target?.(scene)
    const isRefused = target !== undefined && !isThere(scene, target)
    const errors = isRefused ? [...KNOWN_ERRORS, 'INVALID_PARAMETER'] : KNOWN_ERRORS
    expect(errors, `${where}: ${how.error}`).toContain(how.error)
  }
  checkListeners(operation, scene, found, how, where)
  checkLeader(found, where)
  const isMember = operation.isOutside !== true
  const members = isMember ? BEFORE.members : ([1, 2] as const)
  const before = { ...BEFORE, members, out: operation.isAway === true ? CALLER : null } as const
  const done = { ...BEFORE, ...operation.changes }
  const present = known(scene, found)
  const expected = [expectedOf(done, scene), expectedOf(before, scene)]
  if ('again' in how) expect(present.members, where).toContain(CALLER)
  else if ('answer' in how) expect(present, where).toEqual(expected[0])
  // Who was told that it has not joined, or that it may not have left, is no member.
  else if ('error' in how && ['join', 'leave'].includes(operation.title)) {
    expect(present.members, where).toEqual(expectedOf({ ...done, members: [1, 2] }, scene).members)
  } else expect(expected, where).toContainEqual(present)
}

/** The node has not died. */
function isThere({ programs }: Scene, node: number): boolean {
  return programs[node as Who].node === world.nodes.get(node)
}

/** What is left of it with those that live. */
function expectedOf(state: Known, scene: Scene): Known {
  const isAlive = (who: Who): boolean => scene.programs[who].component.process.isAlive
  const isAnybody = ([1, 2, 3] as const).some(isAlive)
  return {
    ...state,
    hasSpare: state.hasSpare && isAnybody,
    hasFresh: state.hasFresh && isAnybody,
    members: state.members.filter(isAlive),
    isPreferred: state.isPreferred && isThere(scene, scene.preferred),
    out: state.out !== null && isThere(scene, state.out) ? state.out : null,
    isSent: state.isSent && isAnybody,
  }
}

function known({ name, programs, preferred }: Scene, { groups, group, cluster }: Seen): Known {
  const heard = Object.values(programs).filter(({ component }) => component.process.isAlive)
  const sent = heard.map(({ heard: of }) => of.filter((one) => one.startsWith('message')).length)
  expect(sent, 'once for all or for none').toEqual(sent.map(() => Math.min(1, sent[0] ?? 0)))
  const isPreferred = cluster?.items.some(
    ({ member }) => member.memberId === preferred && member.isPreferredLeader,
  )
  if (isPreferred === true) expect(cluster?.leader).toBe(preferred)
  const present = new Set(cluster?.items.map(({ member }) => member.nodeId))
  const out = [...world.nodes.keys()].filter((node) => !present.has(node))
  expect(out.length).toBeLessThan(2)
  const { component, ejected } = programs[EJECTED]
  if (component.process.isAlive) {
    expect(ejected).toEqual(out[0] === EJECTED ? ['API_REQUEST'] : [])
  }
  return {
    members: (group?.items ?? []).map(({ member }) => member.memberId as Who),
    hasSpare: groups.includes(`${name} spare`),
    hasFresh: groups.includes(`${name} fresh`),
    isSent: sent[0] === 1,
    isPreferred: isPreferred === true,
    out: (out[0] ?? null) as Who | null,
  }
}

/** Each view once, none skipped, the same for all, down to the present one. */
function checkListeners(
  { isNew, isEnd }: Operation,
  { group, programs }: Scene,
  found: Seen,
  how: Ending,
  where: string,
): void {
  const texts = new Map<string, string>()
  const [heard, ...others] = [1, 2, 3].flatMap((who) => {
    const { component, views, heard: of } = programs[who as Who]
    if (!component.process.isAlive) return []
    const isCaller = who === CALLER
    const answer = isCaller && isNew && 'answer' in how ? (how.answer as GroupNotification) : null
    for (const present of [found.cluster, found.group]) {
      const all = [...(answer === null ? [] : [answer]), ...views]
      const mine = all.filter((view) => view.group === present?.group)
      if (isCaller && isNew && present?.group === group && answer === null) continue
      const numbers = mine.map(({ viewNumber }) => viewNumber)
      const first = numbers[0] ?? 0
      const last = isCaller && isEnd ? (numbers.at(-1) ?? 0) : (present?.viewNumber ?? 0)
      expect(numbers, `${where}: ${who} sees each view`).toEqual(
        Array.from({ length: last - first + 1 }, (_, at) => first + at),
      )
      for (const view of mine.slice(1)) {
        const text = JSON.stringify(view)
        const key = `${view.group} ${view.viewNumber}`
        expect(text, `${where}: ${who}, ${key}`).toBe(texts.get(key) ?? text)
        texts.set(key, text)
      }
    }
    return isCaller && (isNew === true || !isIn(found, CALLER)) ? [] : [of]
  })
  for (const other of others) expect(other, `${where}: in one order`).toEqual(heard)
  for (const one of heard ?? []) expect(one, where).toMatch(/lost 0$/)
}

function isIn({ group }: Seen, memberId: number): boolean {
  return group?.items.some(({ member }) => member.memberId === memberId) === true
}

function checkLeader({ cluster, group }: Seen, where: string): void {
  for (const view of [cluster, group]) {
    if (view === null) continue
    const ids = view.items.map(({ member }) => member.memberId)
    const leading = view.items.filter(({ member }) => member.isCurrentLeader)
    expect(
      leading.map(({ member }) => member.memberId),
      where,
    ).toEqual(ids.length === 0 ? [] : [view.leader])
  }
}

const victims = Object.keys(VICTIMS) as Victim[]
describe('an operation on groups, cut short after each step of its messages', () => {
  it.each(OPERATIONS.map((operation, index) => [operation.title, operation, index] as const))(
    '%s',
    { timeout: 600_000 },
    async (_, operation, index) => {
      const cases = await cutEachStep(
        (steps) => cutsAt(steps + index, victims, (victim) => victim !== 'caller'),
        (steps, cut) => cutShort(operation, steps, cut),
        { first: index % 2, stride: 2 },
      )
      expect(cases).toBeGreaterThan(1)
    },
  )
})
