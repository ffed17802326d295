import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import { CompAServices } from '../../dist/samples/comp-a/comp-a.js'
import { holdfast, testCluster } from './support.ts'

const MODEL = fileURLToPath(new URL('../../samples/comp-a/cluster.yaml', import.meta.url))
const SI = 'compASI'

async function done(cluster: Cluster, ...words: readonly string[]): Promise<string> {
  const { code, stdout } = await holdfast(cluster, words)
  expect(code).toBe(0)
  return stdout
}

const both = (cluster: Cluster) =>
  cluster.until(
    (s) =>
      s.settled && s.holders(SI, 'ACTIVE').length === 1 && s.holders(SI, 'STANDBY').length === 1,
    15_000,
  )

describe("the original's sample, over its own names", () => {
  it('goes on with the next number after a kill and an orderly hand-over', async () => {
    const cluster = await testCluster(MODEL)
    const connection = await cluster.connect()
    const services = connection.rmd.client(CompAServices, { to: '@compA', timeoutMs: 10_000 })
    // One that was on its way to a dead component may have taken a number: the caller asks again.
    const draw = (): Promise<number> => services.next({}).then(({ number }) => number, retried)
    const retried = (error: unknown): Promise<number> => {
      expect(error).toMatchObject({ code: 'COMP_UNREACHABLE' })
      return draw()
    }
    const all: number[] = []
    /** Numbers above every earlier one, each once. */
    const next = async (count: number): Promise<number[]> => {
      const last = all.at(-1) ?? 0
      const numbers = await Promise.all(Array.from({ length: count }, draw))
      numbers.sort((a, b) => a - b)
      expect(numbers[0]).toBeGreaterThan(last)
      expect(new Set(numbers).size).toBe(count)
      all.push(...numbers)
      return numbers
    }
    expect(await next(20)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
    const first = (await both(cluster)).activeComponent(SI)
    expect(await done(cluster, 'debug', first?.name ?? '', 'compAShow')).toMatch(
      /^HA state 1\ncomponent id 0x[12]0[0-9a-f]{3}\nlast number 20\n$/,
    )

    // Everything that was answered is in the checkpoint: the next one goes on behind it.
    await cluster.kill(first?.name ?? '')
    await next(5)

    // In order: quiesced, terminated, nothing left behind by its own doing.
    const second = (await both(cluster)).activeComponent(SI)
    await done(cluster, 'shutdown', second?.serviceUnit ?? '')
    expect(second?.name).not.toBe(first?.name)
    const last = all.at(-1) ?? 0
    expect((await next(5))[0]).toBe(last + 1)
    await done(cluster, 'lock-instantiation', second?.serviceUnit ?? '')
    const { node = '', name = '' } = second ?? {}
    const file = join(cluster.runDir, 'nodes', node, 'components', `${name}.log`)
    expect(readFileSync(file, 'utf8')).toMatch(/QuiescingComplete[^]*Finalize before Exit/)
    const roles = await done(cluster, 'log', '--stream', 'appStream', '--level', 'NOTICE')
    expect(roles).toMatch(
      /NOTICE\) HA state 1, the last number is 2[0-5] \{"service":"CompA_Service"\}/,
    )
  }, 60_000)
})
