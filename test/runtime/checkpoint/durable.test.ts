import fs, { existsSync, readdirSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { CSI, Rig, type Component, type Node } from './rig.ts'

let rig: Rig
const sync = vi.spyOn(fs, 'fdatasyncSync')
syncBuiltinESMExports()

beforeEach(() => {
  rig = new Rig()
  sync.mockClear()
})

afterEach(async () => {
  await rig.close()
})

const readNext = (component: Component): unknown =>
  (component.service.gate(CSI) as unknown as { read(section: string): unknown }).read('next')

/** Whether the node has the batches of the CSI in its durable store. */
function isDurable(node: Node): boolean {
  const batches = join(rig.runDir, `node${node.id}-durable`, 'batches')
  return existsSync(batches) && readdirSync(batches).length > 0
}

describe('a durable checkpoint', () => {
  test('is on the disk of both nodes when a write is answered', async () => {
    const [one, two] = [await rig.node(1), await rig.node(2)]
    const active = await rig.component(1, { durable: true })
    // Nobody on node 2 said so: it learns it of the primary.
    await rig.grant(one, active, 1, [1, 2])
    await rig.draw(active)
    await vi.waitFor(() => expect(rig.authority.inSync).toEqual(new Set([1, 2])))
    sync.mockClear()
    expect(await rig.draw(active)).toBe(2)
    expect(sync).toHaveBeenCalledTimes(2)
    expect([one, two].map(isDurable)).toEqual([true, true])
  })

  test('stays so when the node starts again, and whoever opens it then', async () => {
    const node = await rig.node(1)
    const active = await rig.component(1, { durable: true })
    await rig.grant(node, active, 1, [1])
    await rig.draw(active)
    await active.service.close()
    await rig.stopNode(node)
    const again = await rig.node(1)
    const successor = await rig.component(1)
    expect(readNext(successor)).toBe(1)
    await rig.grant(again, successor, 2, [1])
    sync.mockClear()
    expect(await rig.draw(successor)).toBe(2)
    expect(sync).toHaveBeenCalledTimes(1)
  })

  test('takes along what it had before it was one', async () => {
    const node = await rig.node(1)
    const active = await rig.component(1)
    await rig.grant(node, active, 1, [1])
    await rig.draw(active, { messageId: 7 })
    expect(sync).not.toHaveBeenCalled()
    await active.service.close()
    await rig.stopNode(node)
    const again = await rig.node(1)
    const successor = await rig.component(1, { durable: true })
    expect(readNext(successor)).toBe(1)
    await rig.grant(again, successor, 2, [1])
    expect(await rig.draw(successor, { messageId: 7 })).toBe(1)
    expect(await rig.draw(successor, { messageId: 8 })).toBe(2)
    expect(isDurable(again)).toBe(true)
  })
})
