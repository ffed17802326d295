import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Checkpoint, CheckpointReplica } from '../../../runtime/services/checkpoint/interface.ts'
import { CSI, Rig, until, type Component, type Node } from './rig.ts'

let rig: Rig

beforeEach(() => {
  rig = new Rig()
})

afterEach(async () => {
  await rig.close()
})

async function statusOf(node: Node, component: Component) {
  return component.rmd.client(Checkpoint, { to: { node: node.id, port: 1 } }).status({ csi: CSI })
}

const readNext = (component: Component): unknown =>
  (component.service.gate(CSI) as unknown as { read(section: string): unknown }).read('next')

describe('one node', () => {
  test('a call is committed before it is answered, and again after a restart of the node', async () => {
    const node = await rig.node(1)
    const active = await rig.component(1)
    await rig.grant(node, active, 1, [1])
    expect(await rig.draw(active)).toBe(1)
    expect(await rig.draw(active)).toBe(2)
    expect(rig.authority.changes).toEqual(['+1'])
    await active.service.close()
    await rig.stopNode(node)
    const again = await rig.node(1)
    const successor = await rig.component(1)
    expect(readNext(successor)).toBe(2)
    await rig.grant(again, successor, 2, [1])
    expect(await rig.draw(successor)).toBe(3)
  })

  test('the same call again gets the kept reply, also from a successor', async () => {
    const node = await rig.node(1)
    const active = await rig.component(1)
    await rig.grant(node, active, 1, [1])
    expect(await rig.draw(active, { messageId: 7 })).toBe(1)
    expect(await rig.draw(active, { messageId: 7 })).toBe(1)
    const successor = await rig.component(1)
    await rig.grant(node, successor, 2, [1])
    expect(await rig.draw(successor, { messageId: 7 })).toBe(1)
    expect(await rig.draw(successor, { messageId: 8 })).toBe(2)
  })

  test('the former active is fenced by the first commit after the role went', async () => {
    const node = await rig.node(1)
    const old = await rig.component(1)
    await rig.grant(node, old, 1, [1])
    await rig.draw(old)
    const successor = await rig.component(1)
    await rig.grant(node, successor, 2, [1])
    await expect(rig.draw(old)).rejects.toMatchObject({ code: 'STALE_EPOCH' })
    expect(old.fenced).toHaveLength(1)
    expect(await rig.draw(successor)).toBe(2)
  })

  test('a method that reads confirms its epoch, one with stale reads does not', async () => {
    const node = await rig.node(1)
    const old = await rig.component(1)
    await rig.grant(node, old, 1, [1])
    await rig.draw(old)
    const successor = await rig.component(1)
    await rig.grant(node, successor, 2, [1])
    const stale = rig.call({ atMostOnce: false, staleReads: true })
    expect(old.gate.begin(stale.call, stale.key)).toBe('run')
    await old.gate.finish(stale.call, { rc: 0, payload: new Uint8Array() })
    const read = rig.call({ atMostOnce: false })
    expect(old.gate.begin(read.call, read.key)).toBe('run')
    await expect(
      old.gate.finish(read.call, { rc: 0, payload: new Uint8Array() }),
    ).rejects.toMatchObject({ code: 'STALE_EPOCH' })
  })
})

describe('two nodes', () => {
  async function pair() {
    const [first, second] = [await rig.node(1), await rig.node(2)]
    const [active, standby] = [await rig.component(1), await rig.component(2)]
    await rig.grant(first, active, 1, [1, 2])
    await rig.draw(active)
    await until(() => rig.authority.inSync?.size === 2)
    return { first, second, active, standby }
  }

  test('what is acknowledged is at the standby, which takes over with it', async () => {
    const { second, active, standby } = await pair()
    for (let i = 2; i <= 50; i++) expect(await rig.draw(active, { messageId: 1_000 + i })).toBe(i)
    await active.service.close()
    await active.rmd.close()
    await rig.grant(second, standby, 2, [1, 2])
    expect(await rig.draw(standby, { messageId: 1_050 })).toBe(50)
    expect(await rig.draw(standby)).toBe(51)
    expect(rig.authority.inSync).toEqual(new Set([1, 2]))
  })

  test('a dead secondary is taken out before the next acknowledgement, and comes back', async () => {
    const { second, active } = await pair()
    await rig.stopNode(second)
    expect(await rig.draw(active)).toBe(2)
    expect(rig.authority.inSync).toEqual(new Set([1]))
    const again = await rig.node(2)
    await until(() => rig.authority.inSync?.size === 2)
    const follower = await rig.component(2)
    expect(readNext(follower)).toBe(2)
    expect(await rig.draw(active)).toBe(3)
    await until(() => readNext(follower) === 3)
    expect((await statusOf(again, follower)).role).toBe('secondary')
  })

  test('no acknowledgement without the secondary while no director can record it', async () => {
    const { second, active } = await pair()
    rig.authority.isAway = true
    await rig.stopNode(second)
    let isDone = false
    const drawn = rig.draw(active).then((value) => {
      isDone = true
      return value
    })
    await expect(rig.draw(active, { deadlineMs: performance.now() + 100 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      mayHaveRun: true,
    })
    expect(isDone).toBe(false)
    rig.authority.isAway = false
    expect(await drawn).toBe(2)
    expect(rig.authority.inSync).toEqual(new Set([1]))
  })

  test('a stale primary with a secondary that follows a newer one is fenced', async () => {
    const { second, active, standby } = await pair()
    await rig.grant(second, standby, 2, [1, 2])
    await expect(rig.draw(active)).rejects.toMatchObject({ code: 'STALE_EPOCH' })
    expect(active.fenced).toHaveLength(1)
    expect(await rig.draw(standby)).toBe(2)
  })

  test('many calls at once share batches and stay in order', async () => {
    const { active, standby } = await pair()
    const drawn = await Promise.all(
      Array.from({ length: 500 }, (_, i) => rig.draw(active, { messageId: 10_000 + i })),
    )
    expect(drawn).toEqual(Array.from({ length: 500 }, (_, i) => i + 2))
    await until(() => readNext(standby) === 501)
  })
})

test('the bytes of a commit are those of an append and of a push', () => {
  const batch = {
    epoch: 3 * 2 ** 32,
    firstSequence: 12,
    records: [
      {
        writes: [['a', new Uint8Array([1])] as [string, Uint8Array], ['b', null] as [string, null]],
        reply: null,
        acknowledged: [],
        expired: [],
      },
    ],
  }
  const commit = Checkpoint.methods.commit.input.encode({ csi: CSI, batch })
  const append = CheckpointReplica.methods.append.input
  expect(append.encode({ csi: CSI, batch })).toEqual(commit)
  expect(append.decode(commit)).toEqual({ csi: CSI, batch })
})
