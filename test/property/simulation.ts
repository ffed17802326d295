/** Chance from a seed: the same seed gives the same run. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** 0 inclusive to 1 exclusive. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }
}

interface Due {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** Virtual time: jumps to what is due next; ties run in the order they were planned. */
export class Clockwork {
  nowMs = 0
  #order = 0
  #due: Due[] = []

  at(atMs: number, run: () => void): void {
    const due = { atMs: Math.max(atMs, this.nowMs), order: ++this.#order, run }
    let low = 0
    let high = this.#due.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.#due[middle]
      if (other !== undefined && other.atMs > due.atMs) low = middle + 1
      else high = middle
    }
    this.#due.splice(low, 0, due)
  }

  /** @returns what cancels it. */
  after(delayMs: number, run: () => void): () => void {
    let isCancelled = false
    this.at(this.nowMs + delayMs, () => {
      if (!isCancelled) run()
    })
    return () => {
      isCancelled = true
    }
  }

  every(periodMs: number, run: () => void): () => void {
    let isStopped = false
    const again = (): void => {
      if (isStopped) return
      run()
      this.after(periodMs, again)
    }
    this.after(periodMs, again)
    return () => {
      isStopped = true
    }
  }

  /** Runs what is due until `untilMs` or until `isDone`; promises settle between two steps. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    for (let next = this.#due.at(-1); next !== undefined; next = this.#due.at(-1)) {
      if (next.atMs > untilMs || isDone()) break
      this.#due.pop()
      this.nowMs = next.atMs
      next.run()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.nowMs = Math.max(this.nowMs, Math.min(untilMs, this.nowMs))
  }
}

/** One direction of one connection: in order, with a delay that varies, until it is cut. */
export class Wire {
  readonly #clock: Clockwork
  readonly #random: Random
  #lastMs = 0
  #life = 0

  constructor(clock: Clockwork, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  send(arrive: () => void, lost: () => void): void {
    const life = this.#life
    const delayMs = this.#random.chance(0.02) ? this.#random.below(60) : this.#random.below(3)
    this.#lastMs = Math.max(this.#lastMs, this.#clock.nowMs + delayMs)
    const isStraggler = this.#random.chance(0.5)
    this.#clock.at(this.#lastMs, () => {
      // The connection broke meanwhile: the sender knows; half of what was sent arrives all the same.
      if (life === this.#life) arrive()
      else {
        lost()
        if (isStraggler) this.#clock.after(this.#random.below(80), arrive)
      }
    })
  }

  cut(): void {
    this.#life++
    this.#lastMs = 0
  }
}
