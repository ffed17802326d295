import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeValue } from '../../../idl/index.ts'
import type { IncomingCall } from '../../../ioc/index.ts'
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

const read = (component: Component, section: string): unknown =>
  (component.service.gate(CSI) as unknown as { read(section: string): unknown }).read(section)
const readNext = (component: Component): unknown => read(component, 'next')

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

test('a component cannot attach to a CSI that the model does not have', async () => {
  const node = await rig.node(1)
  const component = await rig.component(1)
  const service = component.rmd.client(Checkpoint, { to: { node: node.id, port: 1 } })
  const unknown = { csi: 'nobodyKnowsCSI' }
  await expect(service.attach(unknown)).rejects.toMatchObject({ code: 'NOT_EXIST' })
  await expect(service.status(unknown)).rejects.toMatchObject({ code: 'NOT_EXIST' })
})

test('a standby that missed pushes gets the whole content without another write', async () => {
  const node = await rig.node(1)
  const standby = await rig.component(1)
  // More than a connection takes at once, before the standby can read any of it.
  const value = encodeValue(new Uint8Array(6 * 1_024 * 1_024))
  const failures: unknown[] = []
  const ask = (functionNumber: number, payload: Uint8Array): void => {
    const source = { node: 2, port: 1 }
    const fail = (error: unknown): number => failures.push(error)
    const call = { functionNumber, payload, source, reply: () => undefined, fail }
    node.server.dispatch(call as unknown as IncomingCall)
  }
  const { append, replace } = CheckpointReplica.methods
  const snapshot = { epoch: 1, sequence: 0, sections: [], replies: [], acknowledged: [] }
  const whole = replace.input.encode({ csi: CSI, epoch: 1, snapshot, history: [] })
  const batches = [1, 2, 3, 4, 5].map((firstSequence) => {
    const writes: [string, Uint8Array][] = [[`s${firstSequence}`, value]]
    const record = { writes, reply: null, acknowledged: [], expired: [] }
    const batch = { epoch: 1, firstSequence, records: [record] }
    return append.input.encode({ csi: CSI, batch })
  })
  ask(replace.functionNumber, whole)
  for (const batch of batches) ask(append.functionNumber, batch)
  expect(failures).toEqual([])
  await until(() => read(standby, 's5') !== undefined)
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

describe('two nodes, one of them with a history', () => {
  test('a node that lost its content may not lead, and is rebuilt by one that may', async () => {
    const [first, second] = [await rig.node(1), await rig.node(2)]
    const active = await rig.component(1)
    await rig.grant(first, active, 1, [1, 2])
    await rig.draw(active)
    await until(() => rig.authority.inSync?.size === 2)
    await rig.draw(active)
    await rig.stopNode(second)
    rmSync(join(rig.runDir, 'node2'), { recursive: true })
    const again = await rig.node(2)
    expect(() =>
      again.server.becomePrimary({ csi: CSI, epoch: 2, replicas: [1, 2], inSync: [1, 2] }),
    ).toThrow(expect.objectContaining({ code: 'OUT_OF_SYNC' }))
    const follower = await rig.component(2)
    expect(readNext(follower)).toBeUndefined()
    await until(() => readNext(follower) === 2)
    expect(await rig.draw(active)).toBe(3)
    await until(() => rig.authority.inSync?.size === 2)
    await active.rmd.close()
    await rig.grant(again, follower, 3, [1, 2])
    expect(await rig.draw(follower)).toBe(4)
  })

  test('a node outside the in-sync set may not lead', async () => {
    const second = await rig.node(2)
    expect(() =>
      second.server.becomePrimary({ csi: CSI, epoch: 1, replicas: [1, 2], inSync: [1] }),
    ).toThrow(expect.objectContaining({ code: 'OUT_OF_SYNC' }))
  })

  test('a node that is to hold no replica any more leaves the set', async () => {
    const first = await rig.node(1)
    await rig.node(2)
    const active = await rig.component(1)
    await rig.grant(first, active, 1, [1, 2])
    await rig.draw(active)
    await until(() => rig.authority.inSync?.size === 2)
    first.server.setReplicas({ csi: CSI, epoch: 1, replicas: [1], inSync: [1, 2] })
    await until(() => rig.authority.inSync?.size === 1)
    expect(await rig.draw(active)).toBe(2)
    first.server.setReplicas({ csi: CSI, epoch: 1, replicas: [1, 2], inSync: [1] })
    await until(() => rig.authority.inSync?.size === 2)
  })

  test('records of former epochs reach a node that missed them', async () => {
    const [first, second] = [await rig.node(1), await rig.node(2)]
    let active = await rig.component(1)
    await rig.grant(first, active, 1, [1, 2])
    await rig.draw(active)
    await until(() => rig.authority.inSync?.size === 2)
    await rig.stopNode(second)
    for (let epoch = 2; epoch < 5; epoch++) {
      await rig.draw(active)
      await active.rmd.close()
      active = await rig.component(1)
      await rig.grant(first, active, epoch, [1, 2])
    }
    await rig.node(2)
    await until(() => rig.authority.inSync?.size === 2)
    const follower = await rig.component(2)
    expect(readNext(follower)).toBe(4)
  })

  test('large values travel: to the replica, to the standby, and whole to one that comes later', async () => {
    const first = await rig.node(1)
    await rig.node(2)
    const [active, standby] = [await rig.component(1), await rig.component(2)]
    await rig.grant(first, active, 1, [1, 2])
    const checkpoint = active.service.gate(CSI) as unknown as {
      write(section: string, value: unknown): Promise<void>
    }
    const value = new Uint8Array(2_000_000).fill(3)
    for (let i = 0; i < 10; i++) await checkpoint.write(`big${i}`, value)
    const names = (component: Component): readonly string[] =>
      (component.service.gate(CSI) as unknown as { sections(): readonly string[] }).sections()
    await until(() => names(standby).length === 10)
    const later = await rig.component(2)
    expect(names(later)).toHaveLength(10)
  })
})

describe('what no component would send', () => {
  test.each([
    ['bytes that are no message', Checkpoint.methods.commit.functionNumber, 'MESSAGE_ERROR'],
    ['an unknown function', Checkpoint.methods.commit.functionNumber + 20, 'FUNC_NOT_REGISTERED'],
    [
      'a replica called as an agent',
      CheckpointReplica.methods.append.functionNumber,
      'OP_NOT_PERMITTED',
    ],
  ])('%s: an error, and the node goes on', async (_what, functionNumber, code) => {
    const node = await rig.node(1)
    const active = await rig.component(1)
    await rig.grant(node, active, 1, [1])
    const junk = new Uint8Array([0xc1, 0xff, 0x00])
    await expect(
      active.rmd.call({ node: 1, port: 1 }, functionNumber, junk, { timeoutMs: 2_000 }),
    ).rejects.toMatchObject({ code })
    expect(await rig.draw(active)).toBe(1)
  })

  test('a commit that does not follow, of an epoch that is not there yet, of an old one', async () => {
    const node = await rig.node(1)
    const active = await rig.component(1)
    await rig.grant(node, active, 5, [1])
    const agent = active.rmd.client(Checkpoint, { to: { node: 1, port: 1 } })
    const commit = (epoch: number, firstSequence: number) =>
      agent.commit({ csi: CSI, batch: { epoch, firstSequence, records: [] } })
    await expect(commit(5, 9)).rejects.toMatchObject({ code: 'OUT_OF_SYNC' })
    await expect(commit(6, 1)).rejects.toMatchObject({ code: 'TRY_AGAIN' })
    await expect(commit(4, 1)).rejects.toMatchObject({ code: 'STALE_EPOCH' })
    expect(await commit(5, 1)).toEqual({ sequence: 0 })
  })
})

test('a CSI that can have no checkpoint: the component hears why when it attaches', async () => {
  await rig.node(1)
  rig.refusal = 'several components are ACTIVE for it'
  await expect(rig.component(1)).rejects.toMatchObject({
    code: 'NOT_SUPPORTED',
    message: expect.stringContaining('several components are ACTIVE for it'),
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
