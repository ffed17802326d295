/** The receiving side of numbered records from one sender: each once, and how many never came. */
export class LogIntake {
  #next = 0
  #missing = 0

  /**
   * @param lost - how many directly before `first` the sender had no room for.
   * @returns those that are new; `lost` is 0 when it was told before.
   */
  take<T>(
    first: number,
    lost: number,
    records: readonly T[],
  ): { readonly fresh: readonly T[]; readonly lost: number } {
    const known = Math.max(0, this.#next - first)
    // A sender whose message arrived without its knowing counts what was in it as lost, too.
    const missing = this.#next === 0 ? lost : Math.min(lost, Math.max(0, first - this.#next))
    this.#next = Math.max(this.#next, first + records.length)
    return { fresh: records.slice(known), lost: missing }
  }

  /** How many more the sender counts as lost on their way to it; `missingTold`: told to whoever received before. */
  takeMissing(counts: { readonly missing: number; readonly missingTold: number }): number {
    const more = counts.missing - Math.max(this.#missing, counts.missingTold)
    this.#missing = Math.max(this.#missing, counts.missing)
    return Math.max(0, more)
  }
}

/** The sending side's account: what was lost between two messages that arrived. */
export class SentAccount {
  #arrived = 0

  /** How many records between the last one that arrived and this one were dropped. */
  lostBefore(first: number): number {
    return first - 1 - this.#arrived
  }

  arrived(first: number, count: number): void {
    this.#arrived = Math.max(this.#arrived, first + count - 1)
  }
}
