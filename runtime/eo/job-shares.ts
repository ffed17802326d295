/** What one worker holds: given to it and not answered. */
export interface WorkerLoad {
  readonly heldCount: number
  /** Milliseconds that it should take for what it holds, by {@link JobTimes}. */
  readonly expectedMs: number
  /** It holds jobs and has answered none for so long that nobody knows when it will. */
  readonly isStalled: boolean
}

/** Jobs that one worker may hold. */
export const HELD_COUNT_MAX = 128
/** A worker gets jobs as long as it should be done with what it holds within this time. */
const HELD_MS = 2
/** What a job costs beside its function: on its way, and back. */
const WAY_MS = 0.005
/** The part of an average that the latest run makes up. */
const LATEST = 1 / 8

/** How long functions take, by moving averages. A core. */
export class JobTimes {
  readonly #averages = new Map<string, Map<string, number>>()

  /** One that never came back is taken for long: a worker gets one of these, and the rest is for the others. */
  expectedMs({ module, name }: { module: string; name: string }): number {
    return this.#averages.get(module)?.get(name) ?? HELD_MS
  }

  ran({ module, name }: { module: string; name: string }, elapsedMs: number): void {
    let names = this.#averages.get(module)
    if (names === undefined) this.#averages.set(module, (names = new Map()))
    const tookMs = Math.max(elapsedMs, WAY_MS)
    const before = names.get(name) ?? tookMs
    names.set(name, before + (tookMs - before) * LATEST)
  }
}

/**
 * The worker that the next job goes to: the one that should be done first. Short jobs ride many at a time, and a long
 * one has nothing behind it that another worker could begin. Undefined: all hold enough, and the job waits.
 */
export function nextWorker<W extends WorkerLoad>(workers: readonly W[]): W | undefined {
  let best: W | undefined
  for (const worker of workers) {
    if (worker.isStalled || worker.expectedMs >= HELD_MS) continue
    if (worker.heldCount >= HELD_COUNT_MAX) continue
    if (best === undefined || worker.expectedMs < best.expectedMs) best = worker
  }
  return best
}
