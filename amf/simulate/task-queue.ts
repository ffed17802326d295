/** Something that is due at a virtual time. */
export interface Due {
  readonly atMs: number
}

/** What is due, by time; equal times in the order of adding. */
export class TaskQueue<T extends Due> {
  #tasks: readonly T[]

  constructor(tasks: readonly T[] = []) {
    this.#tasks = tasks
  }

  add(task: T): void {
    let low = 0
    let high = this.#tasks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#tasks[middle]?.atMs ?? 0) <= task.atMs) low = middle + 1
      else high = middle
    }
    this.#tasks = [...this.#tasks.slice(0, low), task, ...this.#tasks.slice(low)]
  }

  get nextMs(): number | null {
    return this.#tasks[0]?.atMs ?? null
  }

  take(): T | undefined {
    const [first, ...rest] = this.#tasks
    this.#tasks = rest
    return first
  }

  remove(which: (task: T) => boolean): void {
    this.#tasks = this.#tasks.filter((task) => !which(task))
  }

  /** Tasks are never changed, so that a copy costs nothing. */
  copy(): TaskQueue<T> {
    return new TaskQueue(this.#tasks)
  }
}
