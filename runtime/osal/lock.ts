import { threadId } from 'node:worker_threads'
import { SdkError } from '../../idl/index.ts'

/** Milliseconds that a wait lasts where nothing else is said. */
export const WAIT_MS_DEFAULT = 30_000

const OWNER = 0
const DEPTH = 1
const FREE = 0
const SEMAPHORE_MAX = 2 ** 30

/** What a thread may do with a lock that it holds already: nothing, or lock it again and unlock it as often. */
export type MutexKind = 'plain' | 'recursive'

/** A lock as it is handed to another thread, in `workerData` or a message. */
export interface SharedMutex {
  readonly kind: MutexKind
  readonly cells: SharedArrayBuffer
}

/**
 * Mutual exclusion between the threads of a process. Waiting blocks the thread, its event loop too: hold it for
 * moments. A
 * thread that ends with it leaves it locked; waits end by their time-out. SAFplus, section 21.
 */
export class Mutex {
  /** What another thread makes its own `Mutex` of. */
  readonly shared: SharedMutex
  readonly #cells: Int32Array

  constructor(from: SharedMutex | MutexKind = 'plain') {
    this.shared =
      typeof from === 'string'
        ? { kind: from, cells: new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT) }
        : from
    this.#cells = new Int32Array(this.shared.cells)
  }

  /**
   * @throws SdkError TIMEOUT, naming the thread that has it; MUTEX_ERROR when this thread has locked it and it is not
   * recursive: nobody could ever unlock it; INVALID_PARAMETER for no time-out.
   */
  lock(timeoutMs = WAIT_MS_DEFAULT): void {
    if (this.#tryLock()) return
    if (this.#isMine()) throw new SdkError('MUTEX_ERROR', 'this thread has locked it already')
    const endMs = performance.now() + checkedTimeout(timeoutMs)
    for (;;) {
      const owner = Atomics.load(this.#cells, OWNER)
      if (owner === FREE) {
        if (this.#tryLock()) return
        continue
      }
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) {
        const holder = `thread ${owner - 1} holds it, or ended with it`
        throw new SdkError('TIMEOUT', `the mutex was not free in ${timeoutMs} ms: ${holder}`)
      }
      Atomics.wait(this.#cells, OWNER, owner, leftMs)
    }
  }

  /** False when another thread has it. @throws SdkError MUTEX_ERROR as `lock`. */
  tryLock(): boolean {
    if (this.#tryLock()) return true
    if (this.#isMine()) throw new SdkError('MUTEX_ERROR', 'this thread has locked it already')
    return false
  }

  /** @throws SdkError MUTEX_ERROR when this thread has not locked it. */
  unlock(): void {
    if (!this.#isMine()) throw new SdkError('MUTEX_ERROR', 'this thread has not locked it')
    if (Atomics.sub(this.#cells, DEPTH, 1) > 1) return
    Atomics.store(this.#cells, OWNER, FREE)
    Atomics.notify(this.#cells, OWNER, 1)
  }

  #isMine(): boolean {
    return Atomics.load(this.#cells, OWNER) === me()
  }

  #tryLock(): boolean {
    const isFree = Atomics.compareExchange(this.#cells, OWNER, FREE, me()) === FREE
    if (!isFree && !(this.shared.kind === 'recursive' && this.#isMine())) return false
    Atomics.add(this.#cells, DEPTH, 1)
    return true
  }
}

/** A counting semaphore between the threads of a process. What a thread that ends has taken is not given back. */
export class Semaphore {
  /** What another thread makes its own `Semaphore` of. */
  readonly shared: SharedArrayBuffer
  readonly #cells: Int32Array

  /** @param from - the count to begin with, 0 to 2^30, or another thread's. @throws SdkError INVALID_PARAMETER. */
  constructor(from: number | SharedArrayBuffer) {
    const isCount = Number.isInteger(from) && Number(from) >= 0 && Number(from) <= SEMAPHORE_MAX
    if (typeof from === 'number' && !isCount) {
      throw new SdkError('INVALID_PARAMETER', `a semaphore begins with 0 to 2^30, not ${from}`)
    }
    this.shared =
      typeof from === 'number' ? new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) : from
    this.#cells = new Int32Array(this.shared)
    if (typeof from === 'number') this.#cells[0] = from
  }

  get value(): number {
    return Atomics.load(this.#cells, 0)
  }

  /** Takes one, waiting for it; blocks the thread. @throws SdkError TIMEOUT. */
  wait(timeoutMs = WAIT_MS_DEFAULT): void {
    const endMs = performance.now() + checkedTimeout(timeoutMs)
    while (!this.tryWait()) {
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) throw new SdkError('TIMEOUT', `the semaphore stayed 0 for ${timeoutMs} ms`)
      Atomics.wait(this.#cells, 0, 0, leftMs)
    }
  }

  /** Takes one when there is one. */
  tryWait(): boolean {
    for (let value = this.value; value > 0; value = this.value) {
      if (Atomics.compareExchange(this.#cells, 0, value, value - 1) === value) return true
    }
    return false
  }

  /** Gives one back, or a new one. @throws SdkError NO_SPACE at 2^30. */
  post(): void {
    for (let value = this.value; ; value = this.value) {
      if (value >= SEMAPHORE_MAX) throw new SdkError('NO_SPACE', `it is ${value} already`)
      if (Atomics.compareExchange(this.#cells, 0, value, value + 1) === value) break
    }
    Atomics.notify(this.#cells, 0, 1)
  }
}

/** A condition that threads wait for, with a mutex held. */
export class Condition {
  /** What another thread makes its own `Condition` of. */
  readonly shared: SharedArrayBuffer
  readonly #cells: Int32Array

  constructor(from?: SharedArrayBuffer) {
    this.shared = from ?? new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
    this.#cells = new Int32Array(this.shared)
  }

  /**
   * Unlocks the mutex, waits for a signal and locks it again, whatever the outcome. May return without a signal:
   * check what is
   * waited for in a loop. The mutex is locked once only.
   * @throws SdkError TIMEOUT; MUTEX_ERROR when this thread has not locked the mutex.
   */
  wait(mutex: Mutex, timeoutMs = WAIT_MS_DEFAULT): void {
    checkedTimeout(timeoutMs)
    const signals = Atomics.load(this.#cells, 0)
    mutex.unlock()
    const outcome = Atomics.wait(this.#cells, 0, signals, timeoutMs)
    mutex.lock()
    if (outcome === 'timed-out') throw new SdkError('TIMEOUT', `no signal in ${timeoutMs} ms`)
  }

  /** Wakes one thread that waits. */
  signal(): void {
    this.#wake(1)
  }

  /** Wakes all threads that wait. */
  broadcast(): void {
    this.#wake(Number.POSITIVE_INFINITY)
  }

  #wake(count: number): void {
    Atomics.add(this.#cells, 0, 1)
    Atomics.notify(this.#cells, 0, count)
  }
}

/** What is no number would be waited for without end. */
export function checkedTimeout(ms: number): number {
  if (ms >= 0) return ms
  throw new SdkError('INVALID_PARAMETER', `a wait of ${ms} ms: 0 or more is needed`)
}

/** The calling thread in a cell; 0 is nobody. */
function me(): number {
  return threadId + 1
}
