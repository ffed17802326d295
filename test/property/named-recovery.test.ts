import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import type { NamedCheckpointHandle } from '../../runtime/index.ts'
import { isEvery } from './cutting.ts'
import { CheckpointWorld, put } from './recovery-kit.ts'

const LONG = { timeout: 120_000 }

let world: CheckpointWorld
afterEach(() => world.close())

describe('after all nodes were killed', () => {
  it('what was written is there, whoever comes back first', async () => {
    world = new CheckpointWorld()
    await world.start(1, 2, 3)
    const handle = await world.open(await world.at(1))
    for (let n = 0; n < 3; n++) await world.write(handle, `s${n}`, `v${n}`)
    const content = { s0: 'v0', s1: 'v1', s2: 'v2' }
    for (const order of [
      [3, 2, 1],
      [2, 3, 1],
      [1, 2, 3],
    ] as const) {
      world.killNodes(1, 2, 3)
      await world.start(...order)
      const again = await world.open(await world.at(order[0]))
      expect(await world.contentOf(again), `order ${order.join()}`).toEqual(content)
    }
  })

  it('an older replica waits for the newer one, and says for whom', async () => {
    world = new CheckpointWorld()
    await world.start(1, 2)
    const old = await world.open(await world.at(1))
    await world.write(old, 's', 'old')
    world.killNodes(2)
    await world.steps.pass(500)
    await world.write(old, 's', 'new')
    world.killNodes(1)
    await world.start(2)
    const two = await world.at(2)
    const early = await world.outcome(
      two.checkpoint.initialize().open({ name: 'c', flags: ['READ'] }),
    )
    expect(early).toBe('TRY_AGAIN: checkpoint c: it waits for node 1')
    await world.start(1)
    expect(await world.contentOf(await world.open(two))).toEqual({ s: 'new' })
  })

  it('the newer one does not wait for the older', async () => {
    world = new CheckpointWorld()
    await world.start(1, 2)
    const old = await world.open(await world.at(2))
    await world.write(old, 's', 'old')
    world.killNodes(2)
    await world.steps.pass(500)
    const handle = await world.open(await world.at(1))
    await world.write(handle, 's', 'new')
    world.killNodes(1)
    await world.start(1)
    const again = await world.open(await world.at(1))
    expect(await world.contentOf(again)).toEqual({ s: 'new' })
    await world.start(2)
    await world.write(again, 't', 'more')
    world.killNodes(1)
    const other = await world.open(await world.at(2))
    expect(await world.contentOf(other)).toEqual({ s: 'new', t: 'more' })
  })

  it('a node that the model has no more is not waited for', async () => {
    world = new CheckpointWorld()
    await world.start(1, 2)
    await world.write(await world.open(await world.at(1)), 's', 'text')
    world.killNodes(1, 2)
    await world.start(2)
    const two = await world.at(2)
    const open = two.checkpoint.initialize().open({ name: 'c', flags: ['READ'], timeoutMs: 500 })
    expect(await world.outcome(open)).toContain('waits for node 1')
    world.model = [2]
    expect(await world.contentOf(await world.open(two))).toEqual({ s: 'text' })
  })

  it('what was deleted stays deleted, also where nobody had heard of it', async () => {
    world = new CheckpointWorld()
    await world.start(1, 2, 3)
    const handle = await world.open(await world.at(1))
    await world.write(handle, 's', 'text')
    world.killNodes(2)
    await world.steps.pass(500)
    await world.steps.wait(handle.retentionDurationSet(0))
    await world.steps.wait(handle.close())
    world.killNodes(1, 3)
    await world.start(2, 1, 3)
    const one = await world.at(1)
    const open = one.checkpoint.initialize().open({ name: 'c', flags: ['READ'] })
    expect(await world.outcome(open)).toContain('NOT_EXIST')
    await world.steps.pass(500)
    expect(await world.contentOf(await world.open(one))).toEqual({})
  })

  it('what goes with its last close has gone with its openers', async () => {
    world = new CheckpointWorld()
    await world.start(1, 2)
    const one = await world.at(1)
    await world.write(await world.open(one, 'short', { retentionDurationMs: 0 }), 's', 'text')
    await world.write(await world.open(one, 'unlinked'), 's', 'text')
    await world.steps.wait(one.checkpoint.initialize().unlink('unlinked'))
    world.killNodes(1, 2)
    await world.start(1, 2)
    const again = await world.at(1)
    for (const name of ['short', 'unlinked']) {
      const open = again.checkpoint.initialize().open({ name, flags: ['READ'] })
      expect(await world.outcome(open), name).toContain('NOT_EXIST')
    }
  })

  it('times go on: of retention, and of sections', async () => {
    world = new CheckpointWorld()
    await world.start(1, 2)
    const one = await world.at(1)
    for (const [name, ms] of Object.entries({ short: 60_000, long: 600_000 })) {
      const handle = await world.open(one, name, { retentionDurationMs: ms })
      const expiresAtMs = Date.now() + 50_000
      await world.steps.wait(handle.sectionCreate({ id: 'ends', expiresAtMs }))
      await world.write(handle, 'stays', 'text')
      await world.steps.wait(handle.close())
    }
    await world.steps.pass(30_000)
    world.killNodes(1, 2)
    await world.steps.pass(25_000)
    await world.start(2, 1)
    const two = await world.at(2)
    const read = (name: string) => two.checkpoint.initialize().open({ name, flags: ['READ'] })
    // Nobody opens it, or its time would begin anew.
    await world.steps.pass(8_000)
    expect(await world.outcome(read('short'))).toContain('NOT_EXIST')
    const long = await world.steps.wait(read('long'))
    expect(await world.contentOf(long)).toEqual({ stays: 'text' })
  })
})

describe('a store that was damaged while all were dead', () => {
  const isReplica = (key: readonly unknown[]): boolean => key[0] !== 'd'

  it('is rebuilt from the peer, whichever comes first', async () => {
    world = new CheckpointWorld()
    await world.start(1, 2)
    await world.write(await world.open(await world.at(1)), 's', 'text')
    for (const torn of [1, 2]) {
      world.killNodes(1, 2)
      world.disk(torn).tear(isReplica)
      await world.start(1, 2)
      expect(await world.contentOf(await world.open(await world.at(2)))).toEqual({ s: 'text' })
      await world.steps.pass(2_000)
    }
    for (const lost of [1, 2]) {
      world.killNodes(1, 2)
      world.wipe(lost)
      await world.start(lost, 3 - lost)
      expect(await world.contentOf(await world.open(await world.at(1)))).toEqual({ s: 'text' })
      await world.steps.pass(2_000)
    }
  })

  it('and had the only copy: it is said, and the name is free again after unlink', async () => {
    world = new CheckpointWorld()
    await world.start(1)
    await world.write(await world.open(await world.at(1)), 's', 'text')
    world.killNodes(1)
    world.disk(1).tear(isReplica)
    await world.start(1)
    const one = await world.at(1)
    const service = one.checkpoint.initialize()
    const open = service.open({ name: 'c', flags: ['READ'], timeoutMs: 500 })
    expect(await world.outcome(open)).toContain('its content is lost on node 1: unlink it')
    await world.steps.wait(service.unlink('c'))
    expect(await world.contentOf(await world.open(one))).toEqual({})
  })
})

describe('a directory that was torn beside a sound replica', () => {
  it('waits for whoever may have gone on, and does not pass for the newest', LONG, async () => {
    for (let steps = 2; steps <= 50; steps += isEvery ? 1 : 8) {
      world = new CheckpointWorld()
      const where = `after ${steps} steps`
      await world.start(1, 2, 3)
      const one = await world.open(await world.at(1))
      await world.write(one, 's', 'old')
      // Node 3 hears that node 1 is alone in sync, or that itself is with it, or nothing of it.
      world.killNodes(2)
      const writing = put(one, 's', 'old')
      for (let step = 0; step < steps; step++) await world.steps.step()
      world.killNodes(3)
      await world.steps.wait(writing)
      await world.start(2)
      await world.write(one, 's', 'old')
      await world.steps.pass(1_000)
      world.killNodes(1)
      const two = await world.open(await world.at(2))
      await world.write(two, 's', 'new')
      world.killNodes(2)
      world.disk(1).tear((key) => key[0] === 'd')
      await world.start(3, 1)
      await world.steps.pass(8_000)
      const three = await world.at(3)
      const open = three.checkpoint.initialize().open({ name: 'c', flags: ['READ'] })
      expect(await world.outcome(open), where).toContain('waits for node 2')
      await world.start(2)
      expect(await world.contentOf(await world.open(three)), where).toEqual({ s: 'new' })
      await world.close()
    }
    world = new CheckpointWorld()
  })

  it('alone: nothing it holds is taken for over before all were heard', async () => {
    world = new CheckpointWorld()
    world.model = [1, 2]
    await world.start(1, 2)
    await world.write(await world.open(await world.at(1)), 's', 'text')
    world.killNodes(1, 2)
    world.disk(1).tear((key) => key[0] === 'd')
    await world.start(1)
    await world.steps.pass(8_000)
    await world.start(2)
    const two = await world.at(2)
    expect(await world.contentOf(await world.open(two))).toEqual({ s: 'text' })
    expect(world.stored(1).replicas).toHaveLength(1)
  })
})

describe('the node that creates is killed before it hears who is in sync', () => {
  it('shows nothing, when it is back first, before those that went on alone', LONG, async () => {
    let wentOn = 0
    for (let steps = 0; steps <= 60; steps += isEvery ? 1 : 6) {
      world = new CheckpointWorld()
      const where = `after ${steps} steps`
      await world.start(1, 2, 3)
      const creator = await world.at(2)
      const attributes = { maxSections: 100, retentionDurationMs: Infinity }
      const create = { name: 'c', flags: ['CREATE', 'READ', 'WRITE'], attributes } as const
      const creating = creator.checkpoint
        .initialize()
        .open(create)
        .then((handle) => put(handle, 's', 'first'))
      creating.catch(() => undefined)
      for (let step = 0; step < steps; step++) await world.steps.step()
      world.killNodes(2)
      await world.steps.pass(500)
      const other = await world.open(await world.at(3))
      const second = await world.outcome(put(other, 's', 'second'))
      // It was alone in sync already, and nobody can go on.
      if (second !== undefined) expect(second, where).toContain('waits for one of the nodes 2')
      wentOn += second === undefined ? 1 : 0
      world.killNodes(1, 3)
      await world.start(2)
      await world.steps.pass(8_000)
      const again = await world.at(2)
      const open = again.checkpoint.initialize().open({ name: 'c', flags: ['READ'] })
      const early = await world.outcome(open)
      if (second === undefined) expect(early, where).toMatch(/^(TRY_AGAIN|NOT_EXIST)/)
      await world.start(1, 3)
      const content = await world.contentOf(await world.open(again))
      const expected = second === undefined ? [{ s: 'second' }] : [{}, { s: '' }, { s: 'first' }]
      expect(expected, where).toContainEqual(content)
      await world.close()
    }
    world = new CheckpointWorld()
    expect(wentOn).toBeGreaterThan(3)
  })
})

/** What may be there: what was acknowledged, or anything that was asked for since. */
type Expected = Map<string, Set<string>>

interface Turn {
  readonly node: number
  readonly section: string
  readonly steps: number
  readonly victims: readonly number[]
  readonly back: readonly number[]
}

async function play(turns: readonly Turn[], attributes: object): Promise<void> {
  const expected: Expected = new Map(['a', 'b', 'c'].map((id) => [id, new Set()]))
  await world.start(1, 2, 3)
  await world.open(await world.at(1), 'c', attributes)
  for (const [number, turn] of turns.entries()) {
    const alive = world.nodes.has(turn.node) ? turn.node : [...world.nodes.keys()][0]
    const writing = alive === undefined ? null : attempt(alive, turn, number, expected, attributes)
    for (let count = 0; count < turn.steps; count++) await world.steps.step()
    world.killNodes(...turn.victims)
    if (writing !== null) await world.steps.wait(writing, 30_000)
    await world.start(...turn.back.filter((node) => !world.nodes.has(node)))
  }
  await world.start(...[2, 1, 3].filter((node) => !world.nodes.has(node)))
  await world.steps.pass(3_000)
  const content = await world.contentOf(await world.open(await world.at(3), 'c', attributes))
  for (const [id, values] of expected) {
    if (values.size > 0) expect([...values], `section ${id}`).toContain(content[id] ?? '')
  }
}

async function attempt(
  node: number,
  { section }: Turn,
  number: number,
  expected: Expected,
  attributes: object,
): Promise<void> {
  const values = expected.get(section)
  if (values === undefined) return
  const text = `v${number}`
  let handle: NamedCheckpointHandle
  try {
    handle = await (
      await world.component(node, `component${number}`)
    ).checkpoint
      .initialize()
      .open({
        name: 'c',
        flags: ['CREATE', 'READ', 'WRITE'],
        attributes: { maxSections: 100, retentionDurationMs: Infinity, ...attributes },
        timeoutMs: 3_000,
      })
    if (values.size === 0) values.add('')
    values.add(text)
    await put(handle, section, text)
    values.clear()
    values.add(text)
  } catch (error) {
    if (!isSdkError(error)) throw error
  }
}

const nodes = (options: { minLength?: number } = {}) => fc.shuffledSubarray([1, 2, 3], options)
const turn: fc.Arbitrary<Turn> = fc.record({
  node: fc.integer({ min: 1, max: 3 }),
  section: fc.constantFrom('a', 'b', 'c'),
  steps: fc.nat(40),
  victims: fc.oneof(nodes(), fc.constant([1, 2, 3])),
  back: nodes(),
})

describe('the node that adds a replica is killed before it hears of the addition', () => {
  it('waits, when it is back first, for the one that went on alone', async () => {
    // In some of these steps of the first write the others have heard already.
    for (let steps = 20; steps <= 44; steps += 2) {
      world = new CheckpointWorld()
      const first = { node: 2, section: 'a', steps, victims: [1], back: [] }
      await play([first, { node: 1, section: 'a', steps: 0, victims: [1, 2, 3], back: [1] }], {})
      await world.close()
    }
    world = new CheckpointWorld()
  })
})

describe('while any nodes are killed at any step, and come back in any order', () => {
  it.each([
    ['on two nodes', {}],
    ['on all nodes', { creationFlags: ['ALL_OPEN_ARE_REPLICAS'] }],
  ])('nothing acknowledged is lost: %s', { timeout: 120_000 }, async (_, attributes) => {
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 8 }), async (turns) => {
        world = new CheckpointWorld()
        try {
          await play(turns, attributes)
        } finally {
          await world.close()
        }
      }),
      { numRuns: Number(process.env['RUNS'] ?? 8) },
    )
    world = new CheckpointWorld()
  })
})
