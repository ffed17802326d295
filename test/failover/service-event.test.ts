import { expect, it } from 'vitest'
import type { Connection } from '../../dist/runtime/index.js'
import { EventProbe } from '../../dist/test/fixtures/services/events.js'
import { holdfast, startThree } from './support.ts'

const NAMES = ['event1', 'event2', 'event3']

const probe = (connection: Connection, name: string) =>
  connection.rmd.client(EventProbe, { to: `@${name}`, timeoutMs: 10_000 })

const told = async (connection: Connection, name: string): Promise<readonly string[]> =>
  (await probe(connection, name).told({ after: 0 })).texts

const range = (name: string, from: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}:${from + i}`)

const of = (texts: readonly string[], name: string): string[] =>
  texts.filter((text) => text.startsWith(`${name}:`))

it('events come once, in order and without a gap, through the end of component and nodes', async () => {
  const cluster = await startThree('event', 'services/event-component')
  const connection = await cluster.connect()
  const publish = (name: string, from: number, count: number, retentionMs = 0) =>
    probe(connection, name).publish({ from, count, retentionMs })

  // Everybody to everybody.
  const all = await Promise.all(NAMES.map((name) => publish(name, 0, 2_000)))
  expect(all).toEqual(NAMES.map(() => ({ failed: 0 })))
  for (const name of NAMES) {
    await expect
      .poll(async () => (await told(connection, name)).length, { timeout: 10_000 })
      .toBe(6_000)
    const texts = await told(connection, name)
    for (const from of NAMES) expect(of(texts, from)).toEqual(range(from, 0, 2_000))
  }

  // An operator listens to a channel: what is retained comes first.
  const stop = new AbortController()
  const shown: string[] = []
  const listen = async (channel: string): Promise<number> => {
    const words = ['events', '--channel', channel, '--json']
    const onText = (text: string): void => void shown.push(text)
    return (await holdfast(cluster, words, { signal: stop.signal, onText })).code
  }
  expect(await listen('absent')).toBe(3)
  expect(JSON.parse(shown.splice(0).join(''))).toMatchObject({ error: { code: 'NOT_EXIST' } })
  const listening = listen('feed')

  // A subscriber that dies costs the others nothing; started again, it gets what is retained.
  await publish('event3', 2_000, 1, 600_000)
  await expect.poll(() => shown.length, { timeout: 10_000 }).toBe(1)
  const before = await probe(connection, 'event1').told({ after: 0 })
  const under = publish('event2', 2_000, 3_000)
  await cluster.kill('event1')
  expect(await under).toEqual({ failed: 0 })
  const again = async (): Promise<boolean> =>
    probe(connection, 'event1')
      .told({ after: 0 })
      .then(
        ({ pid, texts }) => pid !== before.pid && texts.includes('event3:2000'),
        () => false,
      )
  await expect.poll(again, { timeout: 10_000 }).toBe(true)

  await expect.poll(() => shown.length, { timeout: 10_000 }).toBeGreaterThan(3_000)
  const [event] = shown.map((line) => JSON.parse(line) as { readonly data: string })
  expect(shown.some((line) => line.includes('"data":"event3:2000"'))).toBe(true)
  expect(event).toMatchObject({ channel: 'feed', lost: 0, priority: 3 })
  stop.abort()
  expect(await listening).toBe(0)

  // The leading node dies in the middle of publishing, opening and closing on another one.
  const leading = (await cluster.refresh()).status.director?.node ?? 'node1'
  const rest = NAMES.filter((name) => name !== leading.replace('node', 'event'))
  const [publisher = '', other = ''] = rest
  const first = publisher === 'event2' ? 5_000 : publisher === 'event3' ? 2_001 : 2_000
  const parts = Array.from({ length: 30 }, (_, i) => publish(publisher, first + 100 * i, 100))
  const opened = [1, 2, 3].map((i) => probe(connection, other).passBy({ name: `other${i}` }))
  await cluster.kill(leading)
  expect(await Promise.all(parts)).toEqual(parts.map(() => ({ failed: 0 })))
  await Promise.all(opened)
  for (const name of rest) {
    const last = `${publisher}:${first + 2_999}`
    const hasLast = async (): Promise<boolean> => (await told(connection, name)).includes(last)
    await expect.poll(hasLast, { timeout: 10_000 }).toBe(true)
    const texts = await told(connection, name)
    expect(texts.filter((text) => text.startsWith('lost'))).toEqual([])
    const from = name === 'event1' ? first : 0
    const got = of(texts, publisher).filter((text) => Number(text.split(':')[1]) >= from)
    expect(got).toEqual(range(publisher, from, first + 3_000 - from))
  }
}, 60_000)
