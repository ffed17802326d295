import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

/** What lives on fills V8's space for young objects: it grows, unless it may not. */
const PROGRAM = `
  import { once } from 'node:events'
  import { getHeapSpaceStatistics } from 'node:v8'
  import { Worker } from 'node:worker_threads'
  const { keepNewSpaceSmall } = await import(${JSON.stringify(
    new URL('../../runtime/light.ts', import.meta.url).href,
  )})
  const kept = []
  const sizeAfterMore = () => {
    for (let i = 0; i < 100_000; i += 1) kept.push({ of: [i] })
    return getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size
  }
  const [letGrow, letGrowToo] = [keepNewSpaceSmall(), keepNewSpaceSmall()]
  const sizes = [sizeAfterMore()]
  const worker = new Worker('setInterval(() => {}, 1_000)', { eval: true })
  await once(worker, 'online')
  sizes.push(sizeAfterMore())
  letGrow()
  sizes.push(sizeAfterMore())
  letGrowToo()
  sizes.push(sizeAfterMore())
  await worker.terminate()
  console.log(JSON.stringify(sizes))
`

describe('keepNewSpaceSmall', () => {
  it('holds through the start of a thread, until everybody who asked lets go', () => {
    const args = ['--import', 'tsx', '--input-type=module', '-e', PROGRAM]
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(stderr).toBe('')
    const [first = 0, withThread, withOne, free = 0] = JSON.parse(stdout) as number[]
    expect([withThread, withOne]).toEqual([first, first])
    expect(free).toBeGreaterThan(first)
  })
})
