import { statSync, utimesSync, writeFileSync } from 'node:fs'

/**
 * A sign of life in the run directory, which every node sees even when no message passes: the leader sets the file's
 * time to another value at each beat. A follower that hears nothing can so tell a leader that stands still, which is to
 * be fenced, from one that works and cannot be reached, which is going to fence the follower. Without it two nodes
 * that are cut from each other would kill each other.
 */
export class LeaderPulse {
  readonly #path: string
  #count = 0

  constructor(path: string) {
    this.#path = path
  }

  /** Leader only. */
  beat(): void {
    this.#count += 1
    try {
      utimesSync(this.#path, this.#count, this.#count)
    } catch {
      writeFileSync(this.#path, '', { mode: 0o600 })
    }
  }

  /** Changes with each beat of whoever leads. */
  read(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0
  }
}
