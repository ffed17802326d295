import { Worker, isMainThread, threadId, workerData } from 'node:worker_threads'
import { SdkError } from '../../idl/index.ts'
import { checkedTimeout } from './lock.ts'

/** A task's name, 1 to 32 characters. SAFplus, section 21. */
const NAME_LENGTH_MAX = 32

export interface TaskOptions {
  readonly name: string
  /** The module that runs; it finds `data` by {@link taskData}. A function cannot cross threads. */
  readonly module: URL
  /** Plain data, and `shared` of mutexes, semaphores and conditions. */
  readonly data?: unknown
  /** Stack in MiB. @defaultValue 4 */
  readonly stackMiB?: number
}

interface TaskStart {
  readonly holdfastTask: string
  readonly data: unknown
}

/** A thread that runs one module. */
export class Task {
  readonly name: string
  readonly #worker: Worker
  readonly #ended: Promise<number>

  /**
   * Starts it.
   * @throws SdkError NAME_TOO_LONG above 32 characters; INVALID_PARAMETER without a name.
   */
  constructor({ name, module, data, stackMiB = 4 }: TaskOptions) {
    if (name === '') throw new SdkError('INVALID_PARAMETER', 'a task has a name')
    if (name.length > NAME_LENGTH_MAX) {
      throw new SdkError('NAME_TOO_LONG', `a task's name has ${NAME_LENGTH_MAX} characters at most`)
    }
    this.name = name
    const start: TaskStart = { holdfastTask: name, data }
    const resourceLimits = { stackSizeMb: stackMiB }
    this.#worker = new Worker(module, { workerData: start, name, resourceLimits })
    this.#ended = new Promise((resolve, reject) => {
      this.#worker.once('error', (cause) => {
        reject(new SdkError('FAILED_OPERATION', `task ${name} ended by an error`, { cause }))
      })
      this.#worker.once('exit', resolve)
    })
    // Whoever does not join does not want to know.
    this.#ended.catch(() => {})
  }

  /** The thread's number in this process. */
  get id(): number {
    return this.#worker.threadId
  }

  /**
   * Resolves with the exit code when it has ended. @throws SdkError FAILED_OPERATION when an error escaped from it.
   */
  join(): Promise<number> {
    return this.#ended
  }

  /** The process need not wait for it any more. */
  detach(): void {
    this.#worker.unref()
  }

  /** Ends it wherever it is, with exit code 1, or 0 when it had not begun. Locks that it holds stay locked. */
  async kill(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** What the task that calls was started with; undefined on other threads. */
export function taskData(): unknown {
  return isTaskStart(workerData) ? workerData.data : undefined
}

/** Name of the calling task; `main` or `thread N` on others. */
export function taskName(): string {
  if (isTaskStart(workerData)) return workerData.holdfastTask
  return isMainThread ? 'main' : `thread ${threadId}`
}

/** Number of the calling thread in this process, 0 for the main thread. */
export function taskId(): number {
  return threadId
}

/** Blocks the calling thread, its event loop too. @throws SdkError INVALID_PARAMETER for no number from 0. */
export function delay(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, checkedTimeout(ms))
}

function isTaskStart(value: unknown): value is TaskStart {
  return typeof value === 'object' && value !== null && 'holdfastTask' in value
}
