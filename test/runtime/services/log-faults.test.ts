import { afterEach, expect, it } from 'vitest'
import { type LogClient, logLibrary, type LogStream } from '../../../runtime/services/log/client.ts'
import type { LogStreamInfo } from '../../../runtime/services/log/interface.ts'
import { logServerOf } from '../../../runtime/services/log/server.ts'
import { type RigComponent, ServiceRig } from './rig.ts'

/** Machines may be busy. */
const SOON = { timeout: 15_000 }
const LINES = 300

let rig: ServiceRig
afterEach(() => rig.close())

const open = ({ client }: RigComponent<LogClient>, name: string): Promise<LogStream> =>
  client.streamOpen({
    name,
    scope: 'GLOBAL',
    // Small pieces: they turn while the node dies.
    attributes: {
      fileLocation: '*:log',
      flushIntervalMs: 5,
      fileFullAction: 'ROTATE',
      fileUnitSize: 8_192,
    },
    create: true,
  })

/** Numbers of the records of a stream in the files of all nodes that are there. */
async function numbers({ client }: RigComponent<LogClient>, stream: string): Promise<Set<number>> {
  const found = new Set<number>()
  for (const file of (await client.fileList()).filter((one) => one.stream === stream)) {
    const reader = await client.fileOpen({ file: file.file, node: file.node })
    for (const { text } of await reader.recordsGet({ start: file.first, end: file.first + 999 })) {
      found.add(Number(text))
    }
  }
  return found
}

/** What a node says of the global streams of one round. */
async function globals(
  { client }: RigComponent<LogClient>,
  round: string,
): Promise<Pick<LogStreamInfo, 'name' | 'filter' | 'openCount'>[]> {
  return (await client.streamList())
    .filter(({ name }) => name.endsWith(round))
    .map(({ name, filter, openCount }) => ({ name, filter, openCount }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

it('every operation is done once on all nodes, wherever in it the leading node with the files dies', async () => {
  rig = new ServiceRig(logServerOf('/nowhere'))
  await rig.start(1, 2, 3)
  const user = await rig.component(2, 'user', logLibrary)
  let [leader, other] = [1, 3]
  for (const turns of [0, 1, 2, 5, 13, 40]) {
    const round = ` of ${turns}`
    const [closed, filtered, written] = [
      await open(user, `closed${round}`),
      await open(user, `filtered${round}`),
      await open(user, `written${round}`),
    ]
    for (let n = 0; n < LINES; n += 1) written.write({ severity: 'INFO', text: String(n) })
    const operations = [
      open(user, `opened${round}`),
      closed.close(),
      filtered.filterSet({ severities: ['ERROR'] }),
      filtered.filterSet({ flag: 'MERGE_ADD', severities: ['INFO'] }),
    ]
    for (let turn = 0; turn < turns; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    await rig.killNode(leader, other)
    const outcomes = await Promise.allSettled(operations)
    expect(outcomes.map(({ status }) => status)).toEqual(operations.map(() => 'fulfilled'))
    const expected = [
      { name: `filtered${round}`, openCount: 1, filter: { severities: 0b1001000 } },
      { name: `opened${round}`, openCount: 1 },
      { name: `written${round}`, openCount: 1 },
    ]
    const witness = await rig.component(other, `witness${turns}`, logLibrary)
    await expect.poll(() => globals(user, round), SOON).toMatchObject(expected)
    await expect.poll(() => globals(witness, round), SOON).toEqual(await globals(user, round))

    // Its files are there again when it is.
    await rig.node(leader)
    const all = Array.from({ length: LINES }, (_, n) => n)
    await expect
      .poll(async () => [...(await numbers(user, `written${round}`))].sort((a, b) => a - b), SOON)
      .toEqual(all)
    await rig.kill(witness)
    ;[leader, other] = [other, leader]
  }
}, 60_000)
