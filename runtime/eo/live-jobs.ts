/** A job that a {@link LiveJobs} may hold. Only the list touches its links; null outside of any. */
export interface LinkedJob<T> {
  earlier: T | null
  later: T | null
}

/**
 * Jobs under way, in the order in which they came. A core.
 *
 * The links are in the jobs. A `Set` is rebuilt every few calls, with few jobs in it even every third, and the
 * collector keeps what its old tables point to: measured as a fifth of the server's part of a call.
 */
export class LiveJobs<T extends LinkedJob<T>> {
  #first: T | null = null
  #last: T | null = null
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Takes in a job that is not in it. */
  add(job: T): void {
    const last = this.#last
    job.earlier = last
    if (last === null) this.#first = job
    else last.later = job
    this.#last = job
    this.#size += 1
  }

  /** Takes a job out; one that is not in it is left alone. */
  delete(job: T): void {
    const { earlier, later } = job
    if (earlier === null && this.#first !== job) return
    if (earlier === null) this.#first = later
    else earlier.later = later
    if (later === null) this.#last = earlier
    else later.earlier = earlier
    // A job that lives on, in a caller's hands or in old memory, must not hold its neighbours.
    job.earlier = null
    job.later = null
    this.#size -= 1
  }

  /** The earliest one that fits. `fits` must not change the list. */
  find(fits: (job: T) => boolean): T | undefined {
    let job = this.#first
    while (job !== null && !fits(job)) job = job.later
    return job ?? undefined
  }

  /** Those that are in it now: it may change while they are looked at. */
  all(): T[] {
    const jobs: T[] = []
    for (let job = this.#first; job !== null; job = job.later) jobs.push(job)
    return jobs
  }
}
