import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { type Connection, ocEv } from '../../dist/runtime/index.js'
import { Journal } from '../../dist/samples/ocf-events/journal.js'
import { testCluster } from './support.ts'

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const MODEL = path('samples/ocf-events/cluster.yaml')
const PROGRAM = path('dist/samples/ocf-events/program.js')
const ALL = ['@watcher1', '@watcher2', '@watcher3']
const COUNT = 100
const SOON = { timeout: 10_000 }

const journal = (connection: Connection, to: string) =>
  connection.rmd.client(Journal, { to, timeoutMs: 5_000 })

const linesOf = async (connection: Connection, to: string): Promise<readonly string[]> =>
  (await journal(connection, to).read({ first: 0 })).lines

/** What the nodes agree on, from the first message on: without what each node saw alone. */
const agreed = (lines: readonly string[]): readonly string[] =>
  lines
    .slice(lines.findIndex((line) => line.startsWith('cast')))
    .filter((line) => /^(members|join|leave|cast)/.test(line))

const countOf = (lines: readonly string[], what: string): number =>
  lines.filter((line) => line.includes(what)).length

interface Running {
  readonly child: ChildProcess
  readonly lines: string[]
  readonly ended: Promise<number | null>
}

const running: Running[] = []
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL')
})

/** The sample's program in one of its styles. */
function program(runDir: string, style: string): Running {
  const child = spawn(process.execPath, [PROGRAM, '--run-dir', runDir, '--style', style], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  let rest = ''
  child.stdout.on('data', (data: Buffer) => {
    const parts = (rest + data.toString()).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve)
  })
  const one = { child, lines, ended }
  running.push(one)
  return one
}

/** So many messages at once, from two watchers in turn. */
const say = (connection: Connection, watchers: readonly string[], word: string) =>
  Array.from({ length: COUNT }, (_, index) =>
    journal(connection, watchers[index % 2] ?? '').say({ text: `${word} ${index}` }),
  )

describe('the example of the draft', () => {
  it('hears the same in every style and on every node, whatever dies', async () => {
    const cluster = await testCluster(MODEL)
    await cluster.until((s) => s.settled, 15_000)
    const connection = await cluster.connect()
    const programs = ['noreturn', 'get-fd', 'signal'].map((style) => program(cluster.runDir, style))
    const everyone = /^members \d+:( node\d){3}$/
    for (const { lines } of programs) {
      await expect.poll(() => lines.some((line) => everyone.test(line)), SOON).toBe(true)
      expect(countOf(lines, 'eligible: ELIGIBLE node1 node2 node3')).toBe(1)
    }

    // A component dies and comes back.
    const first = say(connection, ALL, 'first')
    await cluster.kill('watcher3')
    await Promise.all(first)
    await expect
      .poll(async () => {
        const lines = await linesOf(connection, '@watcher1')
        const left = lines.findIndex((line) => /^leave \d+: watcher3$/.test(line))
        return left >= 0 && lines.slice(left).some((line) => /^join \d+: watcher3$/.test(line))
      }, SOON)
      .toBe(true)

    // Its name follows.
    for (const name of ALL) {
      await expect.poll(() => linesOf(connection, name).catch(() => []), SOON).not.toEqual([])
    }

    // The leading node dies.
    const leading = (await cluster.refresh()).status.director?.node ?? ''
    const others = ALL.filter((name) => name.at(-1) !== leading.at(-1))
    const second = say(connection, others, 'second')
    await cluster.kill(leading)
    await Promise.all(second)
    const survivors = (): Promise<readonly (readonly string[])[]> =>
      Promise.all(others.map((name) => linesOf(connection, name)))
    await expect
      .poll(async () => (await survivors()).map((lines) => countOf(lines, 'second')), SOON)
      .toEqual([COUNT, COUNT])
    const [one = [], two = []] = await survivors()
    for (const lines of [one, two]) {
      const suspected = lines.findLastIndex((line) => line.startsWith('uncertain'))
      const after = lines.slice(suspected).filter((line) => /^members/.test(line))
      expect([suspected > 0, after.length > 0]).toEqual([true, true])
      expect(after[0]).toMatch(/^members \d+:( node\d){2}$/)
    }
    // One of them may have been started again: then it knows less of the beginning.
    const [long, short] = [agreed(one), agreed(two)].sort((a, b) => b.length - a.length)
    const casts = long?.filter((line) => line.startsWith('cast')) ?? []
    expect(new Set(casts).size).toBe(casts.length)
    const common = short?.slice(-2 * COUNT) ?? []
    const place = long?.indexOf(common[0] ?? '') ?? 0
    expect(long?.slice(place, place + common.length)).toEqual(common)

    // Programs that were at that node have ended by themselves, the others heard everything.
    for (const { lines, ended } of programs) {
      if (lines.includes('evicted')) expect(await ended).toBe(0)
      else await expect.poll(() => countOf(lines, 'second'), SOON).toBe(COUNT)
    }

    // A program whose node ends hears that last, and goes on at another one.
    const events = ocEv.events(ocEv.register(connection)!, { classes: [ocEv.OC_EV_MEMB_CLASS] })
    const at = ocEv.register(connection)?.nodeId
    const heard: number[] = []
    const hearing = (async () => {
      for await (const { event } of events) heard.push(event)
    })()
    await expect.poll(() => heard, SOON).toEqual([ocEv.OC_EV_MS_NEW_MEMBERSHIP])
    await cluster.kill(`node${at}`)
    await hearing
    expect(heard.at(-1)).toBe(ocEv.OC_EV_MS_EVICTED)
    const again = ocEv.register(connection)
    expect(again?.nodeId).not.toBe(at)
    for await (const { data } of ocEv.events(again!)) {
      if (data?.kind === 'membership') break
    }

    // The rest stops in order.
    await cluster.stop()
    for (const { lines, ended } of programs) {
      expect(await ended).toBe(0)
      expect(lines.at(-2)).toMatch(/^(shutdown|evicted)$/)
      expect(lines.at(-1)).toBe('over')
    }
  }, 60_000)
})
