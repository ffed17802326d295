import { vi } from 'vitest'
import type { Clock } from '../../ioc/index.ts'

/** Real turns of the loop: promises and ticks settle between two virtual timers. */
const turn = globalThis.setImmediate

const FAKED = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'performance',
  'Date',
] as const

/** For ports and RMD: the virtual clock. */
export const clock: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}

export function useVirtualTime(): void {
  vi.useFakeTimers({ toFake: [...FAKED], now: 0 })
}

/** Lets `ms` pass, one timer after the other. */
export async function pass(ms: number): Promise<void> {
  let isOver = false
  setTimeout(() => {
    isOver = true
  }, ms)
  while (!isOver) {
    vi.advanceTimersToNextTimer()
    await new Promise<void>((resolve) => void turn(resolve))
  }
}
