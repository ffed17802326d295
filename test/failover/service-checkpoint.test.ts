import { expect, it } from 'vitest'
import type { Cluster } from '../../dist/amf/testkit/index.js'
import type { Connection } from '../../dist/runtime/index.js'
import { CheckpointProbe } from '../../dist/test/fixtures/services/checkpoints.js'
import { startThree } from './support.ts'

const probe = (connection: Connection, n: number) =>
  connection.rmd.client(CheckpointProbe, { to: `@checkpoint${n}`, timeoutMs: 15_000 })

/** Numbers that were told of a section, each as often as it was told. */
const numbersOf = (texts: readonly string[], section: string): number[] =>
  texts.flatMap((text) => {
    const [id, number] = text.split(':')
    return id === section && number !== '' ? [Number(number)] : []
  })

it('what was written is there, through the end of component, node and leading node', async () => {
  const cluster = await startThree('checkpoint', 'services/checkpoint-component')
  const connection = await cluster.connect()
  const written = new Map([1, 2, 3].map((n) => [n, 0]))
  const write = async (n: number, count: number): Promise<void> => {
    const from = written.get(n) ?? 0
    const { failed } = await probe(connection, n).write({ section: `s${n}`, from, count })
    expect(failed, `of component ${n}`).toEqual([])
    written.set(n, from + count)
  }
  const check = async (n: number, sections: readonly number[]): Promise<void> => {
    const { sections: found } = await probe(connection, n).read({})
    for (const of of sections) expect(found[`s${of}`]).toBe(String((written.get(of) ?? 0) - 1))
  }
  /** Their names come a moment after they have it open. */
  const answer = async (...components: readonly number[]): Promise<void> => {
    const ask = (n: number): Promise<boolean> =>
      probe(connection, n)
        .status({})
        .then(
          () => true,
          () => false,
        )
    for (const n of components) await expect.poll(() => ask(n), { timeout: 15_000 }).toBe(true)
  }
  await answer(1, 2, 3)
  await Promise.all([1, 2, 3].map((n) => write(n, 50)))
  await check(2, [1, 2, 3])
  await expect
    .poll(async () => (await probe(connection, 3).status({})).inSync, { timeout: 10_000 })
    .toEqual([1, 2, 3])

  // A component: what it wrote stays, and it finds it when it is back.
  const { active } = await probe(connection, 1).status({})
  await cluster.kill(`checkpoint${active ?? 0}`)
  const others = [1, 2, 3].filter((n) => n !== active)
  await check(others[0] ?? 0, [1, 2, 3])

  // The node of the active replica, in the middle of writes on the others.
  const isBack = (): Promise<boolean> =>
    check(active ?? 0, [1, 2, 3]).then(
      () => true,
      () => false,
    )
  await expect.poll(isBack, { timeout: 10_000 }).toBe(true)
  const first = Promise.all(others.map((n) => write(n, 200)))
  await cluster.kill(`node${active ?? 0}`)
  await first
  await check(others[1] ?? 0, [1, 2, 3])
  const { gaps, texts } = await probe(connection, others[0] ?? 0).told({})
  const told = numbersOf(texts, `s${others[1] ?? 0}`).slice(-200)
  expect(gaps).toBeLessThanOrEqual(3)
  expect(told).toEqual(told.toSorted((a, b) => a - b))
  expect(told.at(-1)).toBe((written.get(others[1] ?? 0) ?? 0) - 1)

  // The leading node, once the first one is in sync again.
  await expect
    .poll(async () => (await probe(connection, others[0] ?? 0).status({})).inSync, {
      timeout: 15_000,
    })
    .toEqual([1, 2, 3])
  await answer(1, 2, 3)
  const leading = Number((await cluster.refresh()).status.director?.node.slice(-1))
  const rest = [1, 2, 3].filter((n) => n !== leading)
  const second = Promise.all(rest.map((n) => write(n, 200)))
  await cluster.kill(`node${leading}`)
  await second
  for (const n of rest) await check(n, [1, 2, 3])

  // All of them at once, in the middle of writes: what was acknowledged is there again.
  await answer(1)
  const acknowledged = await untilKilled(connection, cluster)
  await cluster.start()
  await cluster.until((s) => s.settled && s.active('checkpointSI') !== null, 20_000)
  await answer(1, 2, 3)
  const { sections } = await probe(connection, 2).read({})
  expect(Number(sections['last'])).toBeGreaterThanOrEqual(acknowledged)
  await check(1, [1, 2, 3])
}, 120_000)

/** Writes one number after the other until all nodes are killed. @returns the last one that was acknowledged. */
async function untilKilled(connection: Connection, cluster: Cluster): Promise<number> {
  let acknowledged = -1
  let isOver = false
  const writing = async (): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const { failed } = await probe(connection, 1).write({ section: 'last', from: n, count: 1 })
      if (failed.length === 0) acknowledged = n
    }
  }
  // The last one may come through after the restart: it is at least what was acknowledged.
  void writing().catch(() => undefined)
  await expect.poll(() => acknowledged, { interval: 5, timeout: 10_000 }).toBeGreaterThan(10)
  await cluster.killAll()
  isOver = true
  return acknowledged
}
