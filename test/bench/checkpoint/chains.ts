import { quantile } from '../bench.ts'

/** One round of a bench. */
export interface Measured {
  readonly calls: number
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  /** Of this process, for a call. */
  readonly cpuUs: number
}

export interface Order {
  readonly inFlight: number
  readonly ms: number
}

/** So many calls under way at any time, each followed by the next. */
export async function chains({ inFlight, ms }: Order, one: () => unknown): Promise<Measured> {
  const timesMs: number[] = []
  const before = process.cpuUsage()
  const startMs = performance.now()
  const endMs = startMs + ms
  const chain = async (): Promise<void> => {
    for (;;) {
      const sentMs = performance.now()
      if (sentMs >= endMs) return
      await one()
      timesMs.push(performance.now() - sentMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, chain))
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
