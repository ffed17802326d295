const INVOCATION_COUNT_MAX = 256

/** Callbacks that the agent asked for, and their answers: one sent again does not run again. A core, bounded. */
export class InvocationLog<A> {
  readonly #answers = new Map<number, A | undefined>()

  isKnown(invocation: number): boolean {
    return this.#answers.has(invocation)
  }

  /** Undefined while it still runs, and for one that is not known. */
  answer(invocation: number): A | undefined {
    return this.#answers.get(invocation)
  }

  start(invocation: number): void {
    this.#answers.set(invocation, undefined)
    if (this.#answers.size <= INVOCATION_COUNT_MAX) return
    for (const [known, answer] of this.#answers) {
      if (answer === undefined) continue
      this.#answers.delete(known)
      return
    }
  }

  finish(invocation: number, answer: A): void {
    this.#answers.set(invocation, answer)
  }
}
