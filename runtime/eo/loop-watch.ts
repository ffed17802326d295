import { monitorEventLoopDelay, performance } from 'node:perf_hooks'

/** How late the calling thread's event loop is, and how busy. */
export interface LoopWatch {
  /** Delays in ms since the start; utilization, 0 to 1, since it was last asked for. */
  statistics(): Readonly<Record<string, number>>
  stop(): void
}

const RESOLUTION_MS = 20

/** Begins to watch the event loop of the calling thread. Both readings together: one alone gives false alarms. */
export function watchLoop(): LoopWatch {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  let last = performance.eventLoopUtilization()
  // The histogram counts the interval itself.
  const ms = (nanoseconds: number): number =>
    Math.max(0, Math.round(nanoseconds / 1e5) / 10 - RESOLUTION_MS)
  return {
    statistics: () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      return {
        loopDelayP99Ms: ms(delay.percentile(99)),
        loopDelayMaxMs: ms(delay.max),
        loopUtilization: Math.round(utilization * 1e3) / 1e3,
      }
    },
    stop: () => {
      delay.disable()
    },
  }
}
