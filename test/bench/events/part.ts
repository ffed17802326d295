import { type EventSystem, PARTS, SIZE_BYTES } from './systems.ts'

/**
 * One process of one system: `part.ts SYSTEM ROLE DIRECTORY SUBSCRIBERS`. The publisher publishes what the parent asks
 * for; the process of the subscribers says how many events each of them has got, and how long the last one took.
 */
const [system = '', role = '', directory = '', subscribers = '1'] = process.argv.slice(2)
const parts = PARTS[system as EventSystem]

/** The machine's monotonic clock, the same in all processes, in the first bytes of each event. */
const nowUs = (): number => Number(process.hrtime.bigint() / 1_000n)

async function publisher(): Promise<void> {
  const publish = await parts.publisher(directory)
  const data = Buffer.alloc(SIZE_BYTES, 7)
  const payload = (): Uint8Array => {
    data.writeDoubleBE(nowUs())
    return data
  }
  process.on('message', (message: { count: number }) => {
    if (message.count > 0) void publish(message.count, payload)
  })
}

/** Says so each time that every subscriber has got another `step` events. */
async function subscriber(): Promise<void> {
  let step = 1
  const got = Array.from({ length: Number(subscribers) }, () => 0)
  /** How many have come so far. */
  const arrived = new Map<number, number>()
  process.on('message', (message: { step?: number }) => {
    if (message.step === undefined) return
    step = message.step
    got.fill(0)
    arrived.clear()
  })
  for (const i of got.keys()) {
    await parts.subscriber(directory, (data) => {
      const has = (got[i]! += 1)
      if (has % step !== 0) return
      const count = (arrived.get(has) ?? 0) + 1
      arrived.set(has, count)
      if (count < got.length) return
      arrived.delete(has)
      const view = new DataView(data.buffer, data.byteOffset)
      process.send!({ has, lastedUs: nowUs() - view.getFloat64(0) })
    })
  }
}

process.on('disconnect', () => process.exit())
process.on('message', (message: unknown) => {
  if (message !== 'cpu') return
  const { user, system: kernel } = process.cpuUsage()
  process.send!({ cpuUs: user + kernel })
})
if (role === 'broker') await parts.broker?.(directory)
if (role === 'publisher') await publisher()
if (role === 'subscriber') await subscriber()
process.send!('ready')
