import fs, { rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { NamedCheckpointHandle } from '../../../runtime/index.ts'
import { bytesOf, checkpointRig, code, openAll, textOf, user } from './named-checkpoint-rig.ts'
import type { ServiceRig } from './rig.ts'

const sync = vi.spyOn(fs, 'fdatasyncSync')
syncBuiltinESMExports()

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

const FOR_EVER = { retentionDurationMs: Infinity }
const DURABLE = { ...FOR_EVER, durable: true }

const inSync = (handle: NamedCheckpointHandle): Promise<void> =>
  expect
    .poll(async () => (await handle.status()).inSync.toSorted((a, b) => a - b), { timeout: 10_000 })
    .toEqual([1, 2])

/** Both node processes end at once, and start again. */
async function restart(rig: ServiceRig, meanwhile: (node: number) => void): Promise<void> {
  for (const node of [1, 2]) await rig.killNode(node)
  for (const node of [1, 2]) meanwhile(node)
  await rig.start(1, 2)
}

async function read(rig: ServiceRig, name: string): Promise<string> {
  const { service } = await user(rig, 1, `reads ${name}`)
  const handle = await service.open({ name, flags: ['READ'] })
  return textOf((await handle.read([{ id: 's' }]))[0])
}

describe('a durable named checkpoint', () => {
  it('is on the disks of all replicas in sync when a write is answered', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const one = await user(rig, 1, 'a')
    const [plain, durable] = [await openAll(one, 'plain'), await openAll(one, 'durable', DURABLE)]
    for (const handle of [plain, durable]) {
      await handle.sectionCreate({ id: 's' })
      await inSync(handle)
    }
    expect((await durable.status()).attributes.durable).toBe(true)
    for (const [handle, count] of [
      [durable, 2],
      [plain, 0],
    ] as const) {
      sync.mockClear()
      await handle.sectionOverwrite('s', bytesOf('x'))
      expect(sync).toHaveBeenCalledTimes(count)
    }
    // Wherever the active replica is.
    await rig.killNode(1, 2)
    const two = await user(rig, 2, 'b')
    const next = await two.service.open({ name: 'durable', flags: ['READ', 'WRITE'] })
    sync.mockClear()
    await next.sectionOverwrite('s', bytesOf('y'))
    expect(sync).toHaveBeenCalled()
  })

  it('is known and there when the machines took everything else with them', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const one = await user(rig, 1, 'a')
    for (const [name, attributes] of [
      ['before', FOR_EVER],
      ['durable', DURABLE],
      ['after', FOR_EVER],
    ] as const) {
      const handle = await openAll(one, name, attributes)
      await handle.sectionCreate({ id: 's', data: bytesOf(name) })
      await inSync(handle)
    }
    await restart(rig, () => undefined)
    for (const name of ['before', 'durable', 'after']) expect(await read(rig, name)).toBe(name)
    await restart(rig, (node) => {
      rmSync(rig.replicaDirectory(node), { recursive: true })
    })
    expect(await read(rig, 'durable')).toBe('durable')
    const { service } = await user(rig, 2, 'b')
    for (const name of ['before', 'after']) {
      const opened = service.open({ name, flags: ['READ'], timeoutMs: 300 })
      expect(['TRY_AGAIN', 'TIMEOUT']).toContain(await code(opened))
      await service.unlink(name)
      expect(await code(service.open({ name, flags: ['READ'] }))).toBe('NOT_EXIST')
    }
  })

  it('is that from its creation on, and answers nothing before', async () => {
    const rig = await checkpointRig(open, 1)
    const one = await user(rig, 1, 'a')
    await openAll(one, 'c', DURABLE)
    expect(await code(openAll(one, 'c', FOR_EVER))).toBe('ALREADY_EXIST')
    expect((await openAll(one, 'c', DURABLE)).name).toBe('c')
    for (const flag of ['WR_ACTIVE_REPLICA', 'WR_ACTIVE_REPLICA_WEAK'] as const) {
      const asked = openAll(one, 'd', { ...DURABLE, creationFlags: [flag] })
      expect(await code(asked)).toBe('INVALID_PARAMETER')
    }
  })
})
