import { chains, type Measured, type Order } from './chains.ts'
import { built, builtClient, builtNamedClient, CSI, silent, SIZE_BYTES } from './parts.ts'

/** The ACTIVE component: `component.ts RUNDIR`. Each call writes a counter and one section, and keeps one reply. */
const [runDir = ''] = process.argv.slice(2)
const { ioc } = await built()
const { createCheckpointClient } = await builtClient()
const transport = ioc.unixTransport({ runDir })
const port = await ioc.openPort({ transport, node: 1, port: 0, name: 'component' })
const rmd = ioc.createRmd({ port })
const service = createCheckpointClient({
  rmd,
  agent: { node: 1, port: 1 },
  log: silent,
  onFenced: (_csi, error) => {
    throw error
  },
})
rmd.serve((call) => call.reply(new Uint8Array()))
const checkpoint = service.client.open(CSI)
await service.attach()
await service.roleChanged(CSI, 'ACTIVE', 1)
const gate = service.gate(CSI)!
const value = new Uint8Array(SIZE_BYTES).fill(7)
const reply = new Uint8Array(8)
const signal = new AbortController().signal
let lastId = 0
let below = 1
const running = new Set<number>()

async function one(): Promise<void> {
  const messageId = ++lastId
  running.add(messageId)
  const deadlineMs = performance.now() + 10_000
  const caller = '0123456789abcdef'
  const call = {
    eo: { component: 'bench', node: 'node1', address: { node: 1, port: 64 } },
    source: { node: 0, port: 0 },
    caller,
    messageId,
    priority: 'default',
    deadlineMs,
    epoch: 0,
    signal,
  } as const
  void gate.begin(call, {
    caller,
    messageId,
    acknowledgedBelow: below,
    functionNumber: 20 * 64,
    atMostOnce: true,
    deadlineMs,
    staleReads: false,
  })
  const view = checkpoint.in(call)
  view.write('next', ((view.read('next') as number | undefined) ?? 0) + 1)
  view.write(`s${messageId % 100}`, value)
  await gate.finish(call, { rc: 0, payload: reply })
  running.delete(messageId)
  while (below <= lastId && !running.has(below)) below++
}

/** The same through the service of named checkpoints: it opens one that is on both nodes. */
async function named(): Promise<() => Promise<void>> {
  const { namedCheckpointLibrary } = await builtNamedClient()
  const agent = { node: 1, port: 1 }
  const context = { component: 'bench', node: 'node1', nodeId: 1, rmd, agent, log: silent }
  const library = namedCheckpointLibrary({ ...context, epochOf: () => 0 })
  const handle = await library.client.initialize().open({
    name: 'bench',
    flags: ['CREATE', 'READ', 'WRITE'],
    attributes: { maxSections: 100 },
  })
  for (let n = 0; n < 100; n++) await handle.sectionCreate({ id: `s${n}` })
  let count = 0
  return () => handle.sectionOverwrite(`s${count++ % 100}`, value)
}

let overwrite: (() => Promise<void>) | undefined

async function measure(order: Order & { readonly isNamed: boolean }): Promise<Measured> {
  if (!order.isNamed) return chains(order, one)
  overwrite ??= await named()
  return chains(order, overwrite)
}

process.on('disconnect', () => process.exit())
process.on('message', (order: Order & { readonly isNamed: boolean }) => {
  void measure(order).then((measured) => process.send!(measured))
})
process.send!('ready')
