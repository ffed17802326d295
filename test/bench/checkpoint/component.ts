import { quantile } from '../bench.ts'
import { built, builtClient, CSI, silent, SIZE_BYTES } from './parts.ts'

/** The ACTIVE component: `component.ts RUNDIR`. Each call writes one section and keeps one reply. */
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
  await gate.finish(call, { rc: 0, payload: value })
  running.delete(messageId)
  while (below <= lastId && !running.has(below)) below++
}

async function measure(order: { inFlight: number; ms: number }) {
  const timesMs: number[] = []
  const before = process.cpuUsage()
  const startMs = performance.now()
  const endMs = startMs + order.ms
  const chain = async (): Promise<void> => {
    for (;;) {
      const sentMs = performance.now()
      if (sentMs >= endMs) return
      await one()
      timesMs.push(performance.now() - sentMs)
    }
  }
  await Promise.all(Array.from({ length: order.inFlight }, chain))
  const lastedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(before)
  const times = Float64Array.from(timesMs)
  return {
    calls: times.length,
    perSecond: (times.length / lastedMs) * 1_000,
    p50Us: quantile(times, 0.5) * 1_000,
    p99Us: quantile(times, 0.99) * 1_000,
    cpuUs: (user + system) / times.length,
  }
}

process.on('disconnect', () => process.exit())
process.on('message', (order: { inFlight: number; ms: number }) => {
  void measure(order).then((measured) => process.send!(measured))
})
process.send!('ready')
