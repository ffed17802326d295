/** Bounds of a {@link Quarantine}. */
export interface QuarantineLimits {
  /** Workers that the same job may end before it is refused. */
  readonly deathCountMax: number
  /** Deaths longer ago than this are forgotten. */
  readonly windowMs: number
  /** Jobs remembered; the oldest go first. */
  readonly jobCountMax: number
}

/**
 * Jobs that ended worker threads. A core. A job is told by its function number and its bytes: a caller that asks for
 * the same thing again is the same job.
 */
export class Quarantine {
  readonly #limits: QuarantineLimits
  readonly #deaths = new Map<string, { count: number; lastMs: number }>()

  constructor(limits: QuarantineLimits) {
    this.#limits = limits
  }

  /** False almost always, and cheap then: nothing has to be looked up while no worker ever died. */
  get isEmpty(): boolean {
    return this.#deaths.size === 0
  }

  recordDeath(functionNumber: number, payload: Uint8Array, nowMs: number): void {
    const key = fingerprint(functionNumber, payload)
    const before = this.#deaths.get(key)
    const count =
      before !== undefined && this.#isRecent(before.lastMs, nowMs) ? before.count + 1 : 1
    this.#deaths.delete(key)
    this.#deaths.set(key, { count, lastMs: nowMs })
    if (this.#deaths.size <= this.#limits.jobCountMax) return
    const oldest = this.#deaths.keys().next()
    if (oldest.done !== true) this.#deaths.delete(oldest.value)
  }

  refuses(functionNumber: number, payload: Uint8Array, nowMs: number): boolean {
    if (this.isEmpty) return false
    const key = fingerprint(functionNumber, payload)
    const record = this.#deaths.get(key)
    if (record === undefined) return false
    if (this.#isRecent(record.lastMs, nowMs)) return record.count >= this.#limits.deathCountMax
    this.#deaths.delete(key)
    return false
  }

  #isRecent(lastMs: number, nowMs: number): boolean {
    return nowMs - lastMs < this.#limits.windowMs
  }
}

/** Two independent 32-bit FNV-1a sums and the length: enough to tell jobs apart, short enough to keep. */
function fingerprint(functionNumber: number, payload: Uint8Array): string {
  let a = 0x811c9dc5
  let b = 0x1b873593
  for (const byte of payload) {
    a = Math.imul(a ^ byte, 0x01000193)
    b = Math.imul(b ^ (byte + 0x9d), 0x01000193)
  }
  return `${functionNumber}:${payload.length}:${a >>> 0}:${b >>> 0}`
}
