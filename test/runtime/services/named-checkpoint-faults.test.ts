import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { NamedCheckpointHandle } from '../../../runtime/index.ts'
import { Random } from '../../property/simulation.ts'
import { bytesOf, checkpointRig, idsOf, openAll, textOf, user } from './named-checkpoint-rig.ts'
import type { ServiceRig } from './rig.ts'

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

const inSync = async (handle: NamedCheckpointHandle, ...nodes: number[]): Promise<void> => {
  await expect
    .poll(async () => (await handle.status()).inSync.toSorted((a, b) => a - b), { timeout: 10_000 })
    .toEqual(nodes)
}

describe('large content', () => {
  it('is written in parts, moves in parts to a node that comes, and is the same there', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const a = await user(rig, 1, 'a')
    const handle = await openAll(a, 'c', { maxSections: 2, creationFlags: ['COLLOCATED'] })
    await handle.sectionCreate({ id: 'large' })
    const part = 1_024 * 1_024
    for (let n = 0; n < 5; n++) {
      const data = new Uint8Array(part).fill(n + 1)
      await handle.write([{ id: 'large', offset: n * part, data }])
    }
    await handle.write([{ id: 'large', offset: part - 1, data: bytesOf('ab') }])
    expect((await handle.status()).memoryUsed).toBe(5 * part)
    await rig.killNode(2)
    await rig.node(3)
    await inSync(handle, 1, 3)
    const b = await user(rig, 3, 'b')
    const theirs = await b.service.open({ name: 'c', flags: ['READ', 'WRITE'] })
    await rig.killNode(1, 3)
    const read = (offset: number): Promise<Uint8Array[]> =>
      theirs.read([{ id: 'large', offset, size: 2 }])
    expect([...((await read(part - 1))[0] ?? [])]).toEqual([...bytesOf('ab')])
    expect([...((await read(5 * part - 2))[0] ?? [])]).toEqual([5, 5])
    expect(await read(5 * part)).toEqual([new Uint8Array()])
  })
})

describe('a torn store', () => {
  it('is noticed, and its content comes again from the peer', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const handle = await openAll(await user(rig, 1, 'a'), 'c', { maxSections: 100 })
    for (let n = 0; n < 50; n++) {
      await handle.sectionCreate({ id: `${n}`, data: bytesOf('x'.repeat(900)) })
    }
    await inSync(handle, 1, 2)
    await rig.killNode(2)
    const descriptor = openSync(join(rig.replicaDirectory(2), 'data.mdb'), 'r+')
    // Every page but the two that the store itself checks.
    const garbage = Buffer.alloc(4_096, 0xa5)
    for (let page = 2; page < 12; page++) {
      writeSync(descriptor, garbage, 0, garbage.length, page * garbage.length)
    }
    closeSync(descriptor)
    await rig.node(2)
    await handle.write([{ id: '7', data: bytesOf('more') }])
    await inSync(handle, 1, 2)
    const theirs = await (await user(rig, 2, 'c')).service.open({ name: 'c', flags: ['READ'] })
    await rig.killNode(1, 2)
    expect(textOf((await theirs.read([{ id: '7', size: 6 }]))[0])).toBe('morexx')
  })
})

describe('one user, while nodes come and go', () => {
  for (const seed of [1, 2, 3]) {
    it(`finds what it was told is written (seed ${seed})`, async () => {
      const random = new Random(seed)
      const rig = await checkpointRig(open, 1, 2, 3)
      const flags = { creationFlags: ['ALL_OPEN_ARE_REPLICAS'] } as const
      // Created on a node that dies: the active replica moves about.
      await openAll(await user(rig, 2, 'creator'), 'c', { ...flags, retentionDurationMs: 60_000 })
      const handle = await openAll(await user(rig, 1, 'a'), 'c', {
        ...flags,
        retentionDurationMs: 60_000,
      })
      const known = new Map<string, string>()
      const doubtful = new Set<string>()
      const run = async (id: string, value: string | null): Promise<void> => {
        try {
          if (value === null) await handle.sectionDelete(id)
          else if (known.has(id)) await handle.sectionOverwrite(id, bytesOf(value))
          else await handle.sectionCreate({ id, data: bytesOf(value) })
          if (value === null) known.delete(id)
          else known.set(id, value)
        } catch (error) {
          const { code } = error as { code: string }
          if (['TIMEOUT', 'TRY_AGAIN'].includes(code)) doubtful.add(id)
          else throw error
        }
      }
      for (let step = 0; step < 40; step++) {
        const id = `s${random.below(6)}`
        const works = run(id, known.has(id) && random.chance(0.2) ? null : `v${step}`)
        if (random.chance(0.15) && rig.nodes.size === 3) await rig.killNode(2 + random.below(2))
        await works
        for (const node of [2, 3]) {
          if (!rig.nodes.has(node) && random.chance(0.3)) {
            await rig.node(node)
            await inSync(handle, ...(await handle.status()).replicas.toSorted((x, y) => x - y))
          }
        }
      }
      expect([...doubtful]).toEqual([])
      expect(await idsOf(handle)).toEqual([...known.keys()].sort())
      for (const [id, value] of known) expect(textOf((await handle.read([{ id }]))[0])).toBe(value)
    }, 30_000)
  }
})
