import { afterEach, describe, expect, it } from 'vitest'
import {
  bytesOf,
  checkpointRig,
  code,
  idsOf,
  openAll,
  textOf,
  user,
} from './named-checkpoint-rig.ts'
import type { ServiceRig } from './rig.ts'

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

describe('a checkpoint', () => {
  it('is written on one node and read on another when the write returns', async () => {
    const rig = await checkpointRig(open, 1, 2, 3)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 3, 'b')]
    const mine = await openAll(a, 'c')
    await mine.sectionCreate({ id: 's', data: bytesOf('hello') })
    const theirs = await b.service.open({ name: 'c', flags: ['READ', 'WRITE'] })
    expect(textOf((await theirs.read([{ id: 's' }]))[0])).toBe('hello')
    await theirs.write([{ id: 's', offset: 5, data: bytesOf(' world') }])
    expect(textOf((await mine.read([{ id: 's', offset: 6, size: 5 }]))[0])).toBe('world')
    expect(await idsOf(mine)).toEqual(['s'])
    const { active, replicas, sectionCount, memoryUsed } = await mine.status()
    expect({ active, sectionCount, memoryUsed }).toEqual({
      active: 1,
      sectionCount: 1,
      memoryUsed: 11,
    })
    expect(replicas).toEqual([1, 2])
  })

  it('outlives the node of its active replica', async () => {
    const rig = await checkpointRig(open, 1, 2, 3)
    const [a, b] = [await user(rig, 2, 'a'), await user(rig, 3, 'b')]
    const mine = await openAll(a, 'c', { retentionDurationMs: 60_000 })
    const theirs = await b.service.open({ name: 'c', flags: ['READ', 'WRITE'] })
    for (let n = 0; n < 10; n++) {
      await theirs.sectionCreate({ id: `s${n}`, data: bytesOf(`v${n}`) })
    }
    expect((await mine.status()).active).toBe(2)
    await rig.killNode(2)
    expect(textOf((await theirs.read([{ id: 's7' }]))[0])).toBe('v7')
    expect(await idsOf(theirs)).toHaveLength(10)
    expect((await theirs.status()).active).not.toBe(2)
    expect(await code(theirs.sectionCreate({ id: 's7', data: bytesOf('x') }))).toBe('ALREADY_EXIST')
  })
})

const SYNC = { creationFlags: ['WR_ALL_REPLICAS'] } as const
const LATER = Date.now() + 3_600_000

describe('opening', () => {
  it('is refused as the reference says', async () => {
    const rig = await checkpointRig(open, 1)
    const a = await user(rig, 1, 'a')
    const attributes = { maxSections: 2, maxSectionSize: 10 }
    const request = (change: object) =>
      a.service.open({ name: 'c', flags: ['CREATE'], attributes, ...change })
    const refusals = {
      BAD_FLAG: { flags: ['READ', 'CREATE', 'MORE'] },
      NOT_EXIST: { flags: ['READ'], attributes: undefined },
      NULL_POINTER: { attributes: undefined },
      INVALID_PARAMETER: { flags: ['READ'] },
    }
    for (const [expected, change] of Object.entries(refusals)) {
      expect(await code(request(change)), expected).toBe(expected)
    }
    const tooLarge = { ...attributes, checkpointSize: 21 }
    expect(await code(request({ attributes: tooLarge }))).toBe('INVALID_PARAMETER')
    const both = { ...attributes, creationFlags: ['WR_ALL_REPLICAS', 'WR_ACTIVE_REPLICA'] }
    expect(await code(request({ attributes: both }))).toBe('BAD_FLAG')
    await request({})
    await request({})
    expect(await code(request({ attributes: { maxSections: 3 } }))).toBe('ALREADY_EXIST')
    expect(() => a.component.client.initialize({}, 'C.1.1')).toThrow('C.1.1')
    await a.service.finalize()
    expect(await code(a.service.finalize())).toBe('NOT_INITIALIZED')
    expect(await code(request({}))).toBe('NOT_INITIALIZED')
  })

  it('tells by callback where it is asked for with an invocation', async () => {
    const rig = await checkpointRig(open, 1)
    const told: unknown[] = []
    const a = await user(rig, 1, 'a', {
      checkpointOpen: (invocation, handle, error) => {
        told.push([invocation, handle?.name ?? null, error?.code ?? null])
      },
    })
    a.service.openAsync({ name: 'c', flags: ['READ'] }, 1)
    await expect.poll(() => told).toEqual([[1, null, 'NOT_EXIST']])
    a.service.openAsync({ name: 'c', flags: ['CREATE'], attributes: { maxSections: 1 } }, 2)
    await expect.poll(() => told.length).toBe(2)
    expect(told[1]).toEqual([2, 'c', null])
    const silent = await user(rig, 1, 'b')
    expect(() => silent.service.openAsync({ name: 'c', flags: ['READ'] }, 3)).toThrow('callback')
  })

  it('gives what its flags allow', async () => {
    const rig = await checkpointRig(open, 1)
    const a = await user(rig, 1, 'a')
    const creating = await a.service.open({
      name: 'c',
      flags: ['CREATE'],
      attributes: { maxSections: 2 },
    })
    const reading = await a.service.open({ name: 'c', flags: ['READ'] })
    await creating.sectionCreate({ id: 's', data: bytesOf('x') })
    expect(await code(creating.read([{ id: 's' }]))).toBe('OP_NOT_PERMITTED')
    expect(await code(reading.write([{ id: 's', data: bytesOf('y') }]))).toBe('OP_NOT_PERMITTED')
    expect(textOf((await reading.read([{ id: 's' }]))[0])).toBe('x')
    await reading.close()
    expect(await code(reading.close())).toBe('INVALID_HANDLE')
    expect(await code(reading.read([{ id: 's' }]))).toBe('INVALID_HANDLE')
  })
})

describe('sections', () => {
  it('are refused as the reference says', async () => {
    const rig = await checkpointRig(open, 1)
    const a = await user(rig, 1, 'a')
    const limits = { maxSections: 2, maxSectionSize: 8, maxSectionIdSize: 4, checkpointSize: 10 }
    const handle = await openAll(a, 'c', limits)
    const create = (id: string, text: string): Promise<unknown> =>
      code(handle.sectionCreate({ id, data: bytesOf(text) }))
    expect(await create('s', '')).toBe('INVALID_PARAMETER')
    expect(await create('long id', 'x')).toBe('INVALID_PARAMETER')
    expect(await create('s', '123456789')).toBe('INVALID_PARAMETER')
    await handle.sectionCreate({ id: 's', data: bytesOf('12345') })
    expect(await create('s', 'x')).toBe('ALREADY_EXIST')
    expect(await create('t', '123456')).toBe('NO_SPACE')
    const past = { id: 't', expiresAtMs: Date.now() - 1 }
    expect(await code(handle.sectionCreate(past))).toBe('INVALID_PARAMETER')
    await handle.sectionCreate({ id: 't' })
    expect(await create('u', 'x')).toBe('NO_SPACE')
    expect(await code(handle.sectionDelete(''))).toBe('INVALID_PARAMETER')
    expect(await code(handle.sectionDelete('u'))).toBe('NOT_EXIST')
    expect(await code(handle.sectionExpirationTimeSet('', LATER))).toBe('INVALID_PARAMETER')
    expect(await code(handle.sectionExpirationTimeSet('s', 1))).toBe('INVALID_PARAMETER')
    expect(await code(handle.sectionExpirationTimeSet('u', LATER))).toBe('NOT_EXIST')
    expect(await code(handle.write([]))).toBe('INVALID_PARAMETER')
    expect(await code(handle.read([]))).toBe('INVALID_PARAMETER')
    const write = (id: string, offset: number): Promise<unknown> =>
      code(handle.write([{ id, offset, data: bytesOf('abc') }]))
    expect(await write('', 0)).toBe('INVALID_PARAMETER')
    expect(await write('s', 6)).toBe('INVALID_PARAMETER')
    expect(await write('u', 0)).toBe('NOT_EXIST')
    expect(await code(handle.sectionOverwrite('s', bytesOf('123456789')))).toBe('INVALID_PARAMETER')
    expect(await code(handle.read([{ id: 's', offset: 6, size: 3 }]))).toBe('INVALID_PARAMETER')
    expect(await code(handle.synchronize())).toBe('BAD_OPERATION')
    expect(() => handle.sections('SOME' as 'ANY')).toThrow('SOME')
  })

  it('of a vector are written all or none, and the wrong element is named', async () => {
    const rig = await checkpointRig(open, 1)
    const a = await user(rig, 1, 'a')
    const text = async (name: string, weak: boolean): Promise<unknown> => {
      const flag = weak ? 'WR_ACTIVE_REPLICA_WEAK' : 'WR_ALL_REPLICAS'
      const handle = await openAll(a, name, { creationFlags: [flag] })
      await handle.sectionCreate({ id: 's', data: bytesOf('old') })
      const vector = ['s', 'nobody', 's'].map((id) => ({ id, data: bytesOf('new') }))
      const error: unknown = await handle.write(vector).catch((one: unknown) => one)
      const { context } = error as { context: { errorIndex: number } }
      return [context.errorIndex, textOf((await handle.read([{ id: 's' }]))[0])]
    }
    expect(await text('strong', false)).toEqual([1, 'old'])
    expect(await text('weak', true)).toEqual([1, 'new'])
  })

  it('one default section needs no creation', async () => {
    const rig = await checkpointRig(open, 1)
    const handle = await openAll(await user(rig, 1, 'a'), 'c', { maxSections: 1 })
    expect(textOf((await handle.read([{}]))[0])).toBe('')
    await handle.write([{ data: bytesOf('abc'), offset: 1 }])
    expect(textOf((await handle.read([{}]))[0])).toBe('\0abc')
    expect(await code(handle.sectionCreate({ id: 's' }))).toBe('ALREADY_EXIST')
    expect(await handle.status()).toMatchObject({ sectionCount: 1, memoryUsed: 4 })
  })

  it('end at their time, and are iterated by it', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const handle = await openAll(await user(rig, 1, 'a'), 'c')
    const soon = Date.now() + 150
    await handle.sectionCreate({ id: 'soon', expiresAtMs: soon })
    await handle.sectionCreate({ id: 'later', expiresAtMs: LATER })
    await handle.sectionCreate({ id: 'never' })
    const generated = await handle.sectionCreate({})
    await handle.sectionExpirationTimeSet(generated, LATER + 1)
    const chosen = async (...of: Parameters<typeof handle.sections>): Promise<string[]> => {
      const ids: string[] = []
      for await (const { id } of handle.sections(...of)) ids.push(id)
      return ids
    }
    expect(await chosen('FOREVER')).toEqual(['never'])
    expect(await chosen('LEQ_EXPIRATION', LATER)).toEqual(expect.arrayContaining(['later']))
    expect(await chosen('GEQ_EXPIRATION', LATER)).toEqual(['later', generated].sort())
    expect(await chosen('CORRUPTED')).toEqual([])
    await expect.poll(() => chosen('ANY')).toEqual(['later', 'never', generated].sort())
    await expect.poll(async () => (await handle.status()).sectionCount).toBe(3)
    expect(await code(handle.read([{ id: 'soon' }]))).toBe('NOT_EXIST')
    await handle.sectionCreate({ id: 'soon', data: bytesOf('again') })
  })
})

describe('names', () => {
  it('are free after unlink, and the content lives until the last close', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const old = await openAll(a, 'c', { retentionDurationMs: Infinity })
    await old.sectionCreate({ id: 's', data: bytesOf('old') })
    await b.service.unlink('c')
    expect(await code(b.service.open({ name: 'c', flags: ['READ'] }))).toBe('NOT_EXIST')
    expect(await code(b.service.unlink('c'))).toBe('NOT_EXIST')
    const fresh = await openAll(b, 'c')
    expect(await idsOf(fresh)).toEqual([])
    expect(textOf((await old.read([{ id: 's' }]))[0])).toBe('old')
    expect(await code(old.retentionDurationSet(5))).toBe('BAD_OPERATION')
    await old.close()
    await expect.poll(() => rig.nodes.get(2)?.store?.names('').length).toBe(1)
  })

  it('go when nobody has had the checkpoint open for its retention time', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const [a, b] = [await user(rig, 2, 'a'), await user(rig, 1, 'b')]
    const handle = await openAll(a, 'short', { retentionDurationMs: 50 })
    const kept = await openAll(a, 'kept', { retentionDurationMs: 60_000 })
    await handle.sectionCreate({ id: 's' })
    await kept.sectionCreate({ id: 's' })
    await rig.kill(a.component)
    const exists = (name: string): Promise<unknown> =>
      b.service.open({ name, flags: ['READ'] }).then(
        (one) => one.close().then(() => true),
        () => false,
      )
    await expect.poll(() => rig.nodes.get(1)?.store?.names('').length).toBe(1)
    expect(await exists('short')).toBe(false)
    const again = await b.service.open({ name: 'kept', flags: ['READ'] })
    expect(await idsOf(again)).toEqual(['s'])
    await again.retentionDurationSet(0)
    await again.close()
    expect(await exists('kept')).toBe(false)
  })
})

describe('an asynchronous checkpoint', () => {
  it('that is collocated has no active replica before it is set, and follows it', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const flags = { creationFlags: ['WR_ACTIVE_REPLICA', 'COLLOCATED'] } as const
    const mine = await openAll(a, 'c', flags)
    expect(await code(mine.sectionCreate({ id: 's' }))).toBe('NOT_EXIST')
    const theirs = await openAll(b, 'c', flags)
    await theirs.activeReplicaSet()
    await theirs.sectionCreate({ id: 's', data: bytesOf('1') })
    expect((await mine.status()).active).toBe(2)
    await mine.write([{ id: 's', data: bytesOf('2') }])
    await mine.activeReplicaSet()
    expect((await theirs.status()).active).toBe(1)
    expect(textOf((await theirs.read([{ id: 's' }]))[0])).toBe('2')
    await mine.synchronize()
    const plain = await openAll(a, 'plain', SYNC)
    expect(await code(plain.activeReplicaSet())).toBe('BAD_OPERATION')
  })

  it('tells of a synchronization by callback', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const told: unknown[] = []
    const a = await user(rig, 1, 'a', {
      checkpointSynchronize: (invocation, error) => told.push([invocation, error]),
    })
    const handle = await openAll(a, 'c', { creationFlags: ['WR_ACTIVE_REPLICA'] })
    handle.synchronizeAsync(7)
    await expect.poll(() => told).toEqual([[7, null]])
    const deaf = await openAll(await user(rig, 1, 'b'), 'c', {
      creationFlags: ['WR_ACTIVE_REPLICA'],
    })
    expect(() => deaf.synchronizeAsync(8)).toThrow('checkpointSynchronize')
  })
})

describe('a checkpoint of a CSI', () => {
  it('refuses the writes of an active that is none any more', async () => {
    const rig = await checkpointRig(open, 1, 2)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 2, 'b')]
    const flags = { creationFlags: ['COLLOCATED'] } as const
    a.epochs.set('csi', 5)
    const old = await openAll(a, 'c', flags, 'csi')
    await old.activeReplicaSet()
    await old.sectionCreate({ id: 's', data: bytesOf('old') })
    b.epochs.set('csi', 6)
    const next = await openAll(b, 'c', flags, 'csi')
    await next.activeReplicaSet()
    expect(await code(old.write([{ id: 's', data: bytesOf('late') }]))).toBe('STALE_EPOCH')
    expect(await code(old.activeReplicaSet())).toBe('STALE_EPOCH')
    expect(textOf((await next.read([{ id: 's' }]))[0])).toBe('old')
    // The epoch is part of the content: it outlives the node where it was seen.
    const third = await openAll(await user(rig, 1, 'd'), 'c', flags)
    await rig.killNode(2)
    expect(await code(third.write([{ id: 's', data: bytesOf('late') }]))).toBe('STALE_EPOCH')
  })
})

describe('a hot standby', () => {
  it('is told of each update in order, and a slow one that it missed some', async () => {
    const rig = await checkpointRig(open, 1, 2, 3)
    const [a, b] = [await user(rig, 1, 'a'), await user(rig, 3, 'b')]
    const flags = { creationFlags: ['DISTRIBUTED'] } as const
    const active = await openAll(a, 'c', flags)
    const standby = await openAll(b, 'c', flags)
    const plain = await openAll(b, 'plain')
    expect(await code(plain.immediateConsumptionRegister(() => undefined))).toBe('OP_NOT_PERMITTED')
    const told: string[] = []
    await standby.immediateConsumptionRegister(({ elements, isGap }, name) => {
      if (isGap) told.push(`${name} gap`)
      for (const { id, kind, data } of elements)
        told.push(`${kind} ${id} ${textOf(data ?? undefined)}`)
    })
    await active.sectionCreate({ id: 's' })
    await expect.poll(async () => (await active.status()).inSync.includes(3)).toBe(true)
    told.length = 0
    const expected: string[] = []
    const writes = Array.from({ length: 40 }, (_, n) => {
      expected.push(`WRITTEN s ${n}`)
      return active.sectionOverwrite('s', bytesOf(String(n)))
    })
    await Promise.all(writes)
    await active.sectionDelete('s')
    await standby.sectionCreate({ id: 'own' })
    await expect.poll(() => told).toEqual([...expected, 'DELETED s '])
  })
})
