import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Backplane } from '../../../ioc/index.ts'
import { createEmbeddedBackplane } from '../../../ioc/backplane/internal.ts'

describe('a damaged control store', () => {
  let runDir: string
  let file: string
  let backplane: Backplane

  const make = (): Backplane =>
    createEmbeddedBackplane({ runDir, node: 'a', beatMs: 20, silenceMs: 400 })
  const start = (): Promise<void> => backplane.start(() => undefined)

  beforeEach(async () => {
    runDir = mkdtempSync(join(tmpdir(), 'hf-dmg-'))
    file = join(runDir, 'store', 'data.mdb')
    backplane = make()
    await start()
    for (let turn = 0; turn < 8; turn++) {
      backplane.store.commit(1, [{ key: `k${turn}`, value: new Uint8Array(3000).fill(turn) }])
    }
    await backplane.stop()
    backplane = make()
  })
  afterEach(async () => {
    await backplane.stop()
    rmSync(runDir, { recursive: true, force: true })
  })

  const whole = (): Buffer => readFileSync(file)

  it.each([
    ['is no LMDB file', () => Buffer.alloc(20_000, 0x41)],
    ['is empty', () => Buffer.alloc(0)],
    ['has one page', () => whole().subarray(0, 4096)],
    ['lost pages that are in use', () => whole().subarray(0, 3 * 4096)],
    [
      'lost half of its first page',
      () => Buffer.concat([Buffer.alloc(2048), whole().subarray(2048)]),
    ],
    ['lost its second page', () => Buffer.concat([whole().subarray(0, 4096), Buffer.alloc(4096)])],
    ['is gone', null],
  ])('that %s is refused by name, with the remedy', async (_, damage) => {
    if (damage === null) rmSync(file)
    else writeFileSync(file, damage())
    const error = await start().catch((refusal: unknown) => refusal)
    expect(error).toMatchObject({ code: 'FAILED_OPERATION' })
    expect((error as Error).message).toContain(file)
    expect((error as Error).message).toContain('remedy')
  })

  it('that killed the process which opened it last is looked at from a safe distance', async () => {
    const bytes = whole()
    writeFileSync(
      file,
      Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(bytes.length - 8192, 0x41)]),
    )
    // What a process leaves that ended by SIGSEGV while it read the store.
    const dead = JSON.stringify({ pid: 1, startTime: 1, bootId: 'x' })
    const marker = openingMarker()
    writeFileSync(marker, dead)
    await expect(start()).rejects.toMatchObject({ code: 'FAILED_OPERATION' })
  })

  it('is no damage when the last opener was killed for another reason', async () => {
    writeFileSync(openingMarker(), 'torn')
    await start()
    expect(backplane.store.get('k3')?.value).toHaveLength(3000)
  })

  it('is made anew when its maker died before it was complete', async () => {
    rmSync(join(runDir, 'store'), { recursive: true })
    mkdirSync(join(runDir, 'store'))
    writeFileSync(file, Buffer.alloc(4096))
    await start()
    expect(backplane.leader?.term).toBe(1)
  })

  it('is not made anew when it holds data that cannot be read', async () => {
    rmSync(join(runDir, 'store', 'format'))
    writeFileSync(file, Buffer.alloc(20_000, 0x41))
    await expect(start()).rejects.toMatchObject({ code: 'FAILED_OPERATION' })
    expect(whole()).toHaveLength(20_000)
  })

  /** The marker of node `a`. */
  function openingMarker(): string {
    return join(runDir, 'store', 'opening.ca978112ca1bbdca')
  }
})

describe('options of the embedded backplane', () => {
  it.each([
    ['no name', { node: '' }],
    ['a name that is too long', { node: 'n'.repeat(256) }],
    ['no beat', { beatMs: 0 }],
    ['a beat that is no number', { beatMs: Number.NaN }],
    ['a silence of less than three beats', { beatMs: 100, silenceMs: 299 }],
  ])('refuses %s', (_, options) => {
    expect(() => createEmbeddedBackplane({ runDir: '/nowhere', node: 'a', ...options })).toThrow(
      expect.objectContaining({ code: 'INVALID_PARAMETER' }),
    )
  })

  it('refuses use of the store before the start and writes by a follower', async () => {
    const runDir = mkdtempSync(join(tmpdir(), 'hf-opt-'))
    const make = (node: string): Backplane => createEmbeddedBackplane({ runDir, node })
    const [a, b] = [make('a'), make('b')]
    try {
      expect(() => a.store.get('k')).toThrow(expect.objectContaining({ code: 'NOT_INITIALIZED' }))
      await a.start(() => undefined)
      await b.start(() => undefined)
      expect(() => b.store.putIf('k', new Uint8Array(1), 0)).toThrow(
        expect.objectContaining({ code: 'INVALID_STATE' }),
      )
      expect(b.store.get('k')).toBeUndefined()
    } finally {
      await Promise.all([a.stop(), b.stop()])
      rmSync(runDir, { recursive: true, force: true })
    }
  })
})
