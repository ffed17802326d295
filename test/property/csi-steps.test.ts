import { performance } from 'node:perf_hooks'
import { afterEach, describe, expect, it } from 'vitest'
import { isSdkError, SdkError } from '../../idl/index.ts'
import { createRmd, IOC_PORT, openPort, type Rmd } from '../../ioc/index.ts'
import type { Call, Checkpoint } from '../../runtime/eo/app.ts'
import { createCheckpointClient } from '../../runtime/services/checkpoint/client.ts'
import type {
  CheckpointService,
  CommitGate,
} from '../../runtime/services/checkpoint/commit-gate.ts'
import {
  CheckpointPush,
  type InSyncAuthority,
} from '../../runtime/services/checkpoint/interface.ts'
import {
  type CheckpointServer,
  createCheckpointServer,
} from '../../runtime/services/checkpoint/server.ts'
import { cutEachStep, isEvery } from './cutting.ts'
import { MemoryDatabase } from './memory-database.ts'
import { outside, Process, Steps } from './stepped.ts'

const CSI = 'csi'
const QUIET = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} } as never
const CALL_MS = 5_000

interface Node {
  readonly process: Process
  readonly server: CheckpointServer
  readonly database: MemoryDatabase
}

interface Component {
  readonly node: number
  readonly process: Process
  readonly rmd: Rmd
  readonly service: CheckpointService
  readonly checkpoint: Checkpoint
  /** It has what its node has, and may register: before that it gets no role. */
  isAttached: boolean
}

/** Two nodes with a component each, and the director's part: who is in sync, who is active. */
class World implements InSyncAuthority {
  readonly steps = new Steps()
  readonly nodes = new Map<number, Node>()
  readonly components = new Map<number, Component>()
  readonly #disks = new Map<number, MemoryDatabase>()
  inSync: Set<number> | null = null
  epoch = 0
  active = 0

  async change(request: Parameters<InSyncAuthority['change']>[0]): Promise<void> {
    // The director does it whoever asked.
    await outside(() => new Promise<void>((resolve) => setTimeout(resolve, 1)))
    if (request.epoch !== this.epoch) throw new SdkError('STALE_EPOCH', 'a newer epoch')
    this.inSync ??= new Set()
    if (request.inSync) this.inSync.add(request.node)
    else this.inSync.delete(request.node)
    expect(this.inSync.size, 'somebody is in sync').toBeGreaterThan(0)
  }

  node(id: number): Promise<void> {
    const process = new Process(this.steps)
    return process.run(() => this.#node(id, process))
  }

  async #node(id: number, process: Process): Promise<void> {
    const { transport } = process
    const name = `node${id}`
    const port = await openPort({ transport, node: id, port: IOC_PORT.agent, name })
    const rmd = createRmd({ port })
    const database = this.#disks.get(id)?.clone() ?? new MemoryDatabase()
    const server = createCheckpointServer({
      nodeId: id,
      directory: '/nowhere',
      rmd,
      hasCsi: () => true,
      authority: this,
      replicaTimeoutMs: 1_000,
      log: QUIET,
      environment: database.asEnvironment(),
    })
    rmd.serve((call) => void (process.isAlive && server.dispatch(call)))
    rmd.onPresence(({ kind, caller }) => {
      if (kind === 'death') server.dropConnection(caller)
    })
    this.nodes.set(id, { process, server, database })
  }

  component(node: number): Promise<void> {
    const process = new Process(this.steps)
    return process.run(() => this.#component(node, process))
  }

  async #component(node: number, process: Process): Promise<void> {
    const { transport } = process
    const port = await openPort({ transport, node, port: 0, name: `component${node}` })
    const rmd = createRmd({ port })
    const service = createCheckpointClient({
      rmd,
      agent: { node, port: IOC_PORT.agent },
      log: QUIET,
      // A fenced component ends.
      onFenced: () => this.killComponent(node),
    })
    rmd.serve((call) => {
      const { applied, replaced } = CheckpointPush.methods
      if (!process.isAlive) return
      if (call.functionNumber === applied.functionNumber) {
        void service.pushHandlers.applied(applied.input.decode(call.payload), null)
      } else void service.pushHandlers.replaced(replaced.input.decode(call.payload), null)
      call.reply(new Uint8Array())
    })
    const checkpoint = service.client.open(CSI)
    const made = { node, process, rmd, service, checkpoint, isAttached: false }
    this.components.set(node, made)
    await service.attach()
    made.isAttached = true
  }

  killComponent(node: number): void {
    const component = this.components.get(node)
    if (component === undefined) return
    this.components.delete(node)
    component.process.kill()
    void component.rmd.close()
    if (this.active === node) this.active = 0
  }

  killNode(id: number): void {
    const node = this.nodes.get(id)
    if (node === undefined) return
    this.killComponent(id)
    this.nodes.delete(id)
    this.#disks.set(id, node.database.clone())
    node.process.kill()
    void node.server.close()
  }

  /** Starts what is not there, and has somebody active who may be. */
  async heal(): Promise<void> {
    for (const id of [1, 2]) if (!this.nodes.has(id)) await this.steps.wait(this.node(id))
    for (const id of [1, 2]) if (!this.components.has(id)) await this.steps.wait(this.component(id))
    if (this.active === 0) await this.steps.wait(this.promote())
    await this.steps.pass(1_500)
  }

  /** Somebody in sync becomes active, as the director and the agent do it. */
  async promote(): Promise<void> {
    const id = [...this.components.keys()].find((one) => {
      return this.components.get(one)?.isAttached === true && (this.inSync?.has(one) ?? true)
    })
    const node = this.nodes.get(id ?? 0)
    const component = this.components.get(id ?? 0)
    if (id === undefined || node === undefined || component === undefined) return
    const epoch = ++this.epoch
    const inSync = this.inSync === null ? null : [...this.inSync]
    const role = { csi: CSI, epoch, replicas: [1, 2], inSync }
    node.process.run(() => node.server.becomePrimary(role))
    // It may have ended meanwhile, and then another one is chosen.
    if (this.components.get(id) !== component) return
    this.active = id
    await component.process.run(() => component.service.roleChanged(CSI, 'ACTIVE', epoch))
  }

  gate(): (CommitGate & Checkpoint) | null {
    const gate = this.components.get(this.active)?.service.gate(CSI)
    return (gate as (CommitGate & Checkpoint) | undefined) ?? null
  }

  /** Code of the active component. */
  asActive<T>(code: () => T): T {
    const { process } = this.components.get(this.active) ?? {}
    return process === undefined ? code() : process.run(code)
  }

  async close(): Promise<void> {
    for (const id of [1, 2]) this.killNode(id)
    await this.steps.pass(20)
    this.steps.close()
  }
}

let world: World
afterEach(() => world.close())

let messageId = 0
/** A call that adds one to a counter; asked again under the same id it must not add again. */
async function add(id: number): Promise<number> {
  const gate = world.gate()
  if (gate === null) throw new SdkError('TRY_AGAIN', 'nobody is active')
  const key = {
    caller: 'client',
    messageId: id,
    acknowledgedBelow: id,
    functionNumber: 1,
    atMostOnce: true,
    deadlineMs: performance.now() + CALL_MS,
    staleReads: false,
  }
  const call = { ...key, source: { node: 0, port: 0 } } as unknown as Call
  const verdict = gate.begin(call, key)
  if (verdict === 'inProgress') throw new SdkError('INUSE', 'it runs')
  if (verdict !== 'run') return Number(Buffer.from((await verdict).payload).toString())
  const view = gate.in(call)
  const next = ((view.read('counter') as number | undefined) ?? 0) + 1
  view.write('counter', next)
  await gate.finish(call, { rc: 0, payload: Buffer.from(String(next)) })
  return next
}

/** A call that changes nothing: it confirms the role before it answers. */
async function look(section: string): Promise<unknown> {
  const gate = world.gate()
  if (gate === null) throw new SdkError('TRY_AGAIN', 'nobody is active')
  const key = {
    caller: 'reader',
    messageId: ++messageId,
    acknowledgedBelow: messageId,
    functionNumber: 2,
    atMostOnce: false,
    deadlineMs: performance.now() + CALL_MS,
    staleReads: false,
  }
  const call = { ...key, source: { node: 0, port: 0 } } as unknown as Call
  if (gate.begin(call, key) !== 'run') throw new SdkError('INUSE', 'it runs')
  const value = gate.in(call).read(section)
  await gate.finish(call, { rc: 0, payload: new Uint8Array() })
  return value
}

interface Operation {
  readonly title: string
  /** @returns what it answers. */
  run(turn: number): Promise<unknown>
}

const OPERATIONS: readonly Operation[] = [
  { title: 'a call that writes, at most once', run: (turn) => world.asActive(() => add(turn)) },
  {
    title: 'a write',
    run: (turn) => {
      const gate = world.gate()
      if (gate === null) throw new SdkError('TRY_AGAIN', 'nobody is active')
      return world.asActive(() => gate.write('value', turn))
    },
  },
  { title: 'a call that reads', run: () => world.asActive(() => look('value')) },
  {
    title: 'a standby that attaches',
    run: async () => {
      const standby = world.active === 1 ? 2 : 1
      world.killComponent(standby)
      await world.component(standby)
    },
  },
  {
    title: 'a role that moves, and the first call after it',
    run: async () => {
      world.killComponent(world.active)
      await world.promote()
      return world.asActive(() => look('value'))
    },
  },
]

const other = (): number => (world.active === 1 ? 2 : 1)
const VICTIMS: Readonly<Record<string, (active: number, standby: number) => void>> = {
  'the active component': (active) => world.killComponent(active),
  'the standby component': (_, standby) => world.killComponent(standby),
  'the node of the active': (active) => world.killNode(active),
  'the node of the standby': (_, standby) => world.killNode(standby),
  'all nodes': () => {
    world.killNode(1)
    world.killNode(2)
  },
}

const KNOWN_ERRORS = [
  'TRY_AGAIN',
  'TIMEOUT',
  'STALE_EPOCH',
  'COMP_UNREACHABLE',
  'INTERRUPT',
  'NOT_ACTIVE',
  'INUSE',
]

/** @returns false when it had ended before. */
async function cutShort(operation: Operation, after: number, cut: Cut): Promise<boolean> {
  const turn = ++messageId
  const what = `${operation.title}, ${cut.victim} after ${after} steps, slow ${cut.slow}`
  const before = { counter: await ask('counter'), value: await ask('value') }
  await world.steps.drain()
  for (const [id, { process }] of world.nodes) process.isSlow = id === cut.slow
  const [active, standby] = [world.active, other()]
  let ending: { readonly answer: unknown } | { readonly error: string } | null = null
  const isOver = (): boolean => ending !== null
  operation.run(turn).then(
    (answer) => (ending = { answer }),
    (error: unknown) => (ending = { error: isSdkError(error) ? error.code : String(error) }),
  )
  for (let step = 0; step < after && !isOver(); step++) await world.steps.next()
  const wasOver = isOver()
  VICTIMS[cut.victim]?.(active, standby)
  await world.steps.drain()
  for (const { process } of world.nodes.values()) process.isSlow = false
  // A living caller always hears something; a dead one never does.
  const isAlive = world.components.has(active)
  const isAnswered = await world.steps.run(isOver, CALL_MS + 100)
  if (isAlive) expect(isAnswered, what).toBe(true)
  await world.heal()
  const end = ending as { readonly answer?: unknown; readonly error?: string } | null
  if (end?.error !== undefined) expect(KNOWN_ERRORS, what).toContain(end.error)
  const isDone = end !== null && end.error === undefined
  const value = await ask('value')
  const counter = await ask('counter')
  if (operation.title === 'a write') {
    expect(isDone ? [turn] : [before.value, turn], what).toContain(value)
    expect(counter, what).toBe(before.counter)
  } else expect(value, what).toBe(before.value)
  if (operation.title.startsWith('a call that writes')) {
    const was = Number(before.counter ?? 0)
    expect(isDone ? [was + 1] : [before.counter, was + 1], what).toContain(counter)
    // Asked again it is what it was, and counts once.
    expect(await world.steps.wait(world.asActive(() => add(turn))), what).toBe(was + 1)
    expect(await ask('counter'), what).toBe(was + 1)
  }
  await world.steps.pass(1_000)
  agree(what)
  return !wasOver
}

async function ask(section: string): Promise<unknown> {
  return world.steps.wait(world.asActive(() => look(section)))
}

/** All in sync, and all the same. */
function agree(what: string): void {
  expect(new Set(world.inSync), what).toEqual(new Set([1, 2]))
  const contents = [...world.nodes.values()].map(({ server }) => {
    const { sequence, sections } = server.content(CSI)
    // In no order: one that was loaded has another than one that grew.
    return { sequence, sections: new Map(sections.map(([name, value]) => [name, [...value]])) }
  })
  expect(contents[0], what).toEqual(contents[1])
}

interface Cut {
  readonly victim: string
  readonly slow: number
}

const victims = Object.keys(VICTIMS)

function cutsAt(turn: number): readonly Cut[] {
  const all = victims.flatMap((victim) => [0, 1, 2].map((slow) => ({ victim, slow })))
  const at = (turn * 2) % all.length
  return isEvery ? all : all.slice(at, at + 2)
}

describe('an operation on the checkpoint of a CSI, cut short after each step', () => {
  it.each(OPERATIONS.map((operation, index) => [operation.title, operation, index] as const))(
    '%s',
    { timeout: 600_000 },
    async (_, operation, index) => {
      world = new World()
      await world.heal()
      await world.steps.wait(world.gate()?.write('value', 0) ?? Promise.resolve())
      await world.heal()
      const cases = await cutEachStep(
        (steps) => cutsAt(steps + index * 3),
        (steps, cut) => cutShort(operation, steps, cut),
      )
      expect(cases).toBeGreaterThan(4)
    },
  )
})
