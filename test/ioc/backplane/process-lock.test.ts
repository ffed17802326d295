import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ownIdentity, processLockHolder, tryProcessLock } from '../../../ioc/backplane/internal.ts'

describe('process lock', () => {
  let directory: string
  let path: string

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hf-lock-'))
    path = join(directory, 'up')
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const held = (): boolean => tryProcessLock(path).held

  it('is held by one, names the holder, and is free after the release', () => {
    const lock = tryProcessLock(path)
    expect(lock.held).toBe(true)
    expect(tryProcessLock(path)).toMatchObject({ held: false, holder: ownIdentity() })
    expect(processLockHolder(path)).toEqual(ownIdentity())
    if (lock.held) lock.release()
    expect(processLockHolder(path)).toBeUndefined()
    expect(held()).toBe(true)
  })

  it('keeps one file however often it changes hands', () => {
    for (let turn = 0; turn < 10; turn++) {
      const lock = tryProcessLock(path)
      if (lock.held) lock.release()
    }
    expect(readdirSync(directory)).toEqual(['up.lock.10'])
  })

  it.each([
    ['a dead process', JSON.stringify({ ...ownIdentity(), startTime: 1 })],
    ['a process of another boot', JSON.stringify({ ...ownIdentity(), bootId: 'x' })],
    ['a torn file', '{"pid":'],
    ['an empty file', ''],
  ])('is free when its file is of %s', (_, text) => {
    writeFileSync(`${path}.lock.5`, text)
    expect(held()).toBe(true)
    expect(readdirSync(directory)).toEqual(['up.lock.6'])
  })

  it('a second release after a new owner came harms nobody', () => {
    const first = tryProcessLock(path)
    if (first.held) first.release()
    expect(held()).toBe(true)
    if (first.held) first.release()
    expect(held()).toBe(false)
  })

  it('has one owner when many processes contend for the lock of a dead one, again and again', async () => {
    const program = fileURLToPath(new URL('./lock-program.ts', import.meta.url))
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--import', 'tsx', program, path], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    )
    try {
      const counts = await Promise.all(
        children.map(async (child) => {
          const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
          return JSON.parse(line) as { taken: number; overlaps: number }
        }),
      )
      expect(counts.reduce((sum, { overlaps }) => sum + overlaps, 0)).toBe(0)
      expect(counts.reduce((sum, { taken }) => sum + taken, 0)).toBeGreaterThan(50)
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  })
})
