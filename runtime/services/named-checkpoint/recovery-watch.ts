import type { Logger } from 'pino'
import type { Directory } from './directory.ts'
import type { DirectoryOperation } from './operations.ts'

/** A name that nobody here knows is free when those who may know it are not back after so long. */
const UNKNOWN_NAME_WAIT_MS = 5_000

export interface RecoveryWatchOptions {
  readonly directory: Directory
  /** Whether this node is the one that says what all see. */
  readonly isMine: () => boolean
  /** Nodes of the model. */
  readonly nodes: () => readonly number[]
  readonly nowMs: () => number
  readonly submit: (operation: DirectoryOperation) => Promise<unknown>
  readonly log: Pick<Logger, 'info' | 'warn'>
}

/**
 * Looks after checkpoints that wait for nodes: says for whom, and ends the wait for nodes that the model has no more.
 * For names that nobody knows nobody is waited for longer than {@link UNKNOWN_NAME_WAIT_MS}.
 */
export class RecoveryWatch {
  readonly #options: RecoveryWatchOptions
  /** What was said of each, so that it is said once. */
  readonly #said = new Map<string, string>()
  #awaitedSinceMs: number | null = null
  #isSubmitting = false

  constructor(options: RecoveryWatchOptions) {
    this.#options = options
  }

  /** Called now and then. */
  look(): void {
    const { directory, nodes, nowMs } = this.#options
    const waiting = directory.waiting()
    this.#say(waiting)
    const awaited = directory.recovery.awaited
    const present = new Set(nodes())
    const needed = new Set([...awaited, ...waiting.flatMap((one) => one.nodes)])
    const gone = [...needed].find((node) => !present.has(node))
    if (gone !== undefined) this.#submit({ kind: 'departed', node: gone })
    if (directory.recovery.unexcused.length === 0) {
      this.#awaitedSinceMs = null
      return
    }
    this.#awaitedSinceMs ??= nowMs()
    if (nowMs() - this.#awaitedSinceMs < UNKNOWN_NAME_WAIT_MS) return
    this.#submit({ kind: 'excused', nodes: [...awaited] })
  }

  #say(waiting: ReturnType<Directory['waiting']>): void {
    const { log } = this.#options
    for (const { id, name, why } of waiting) {
      if (this.#said.get(id) === why) continue
      this.#said.set(id, why)
      log.warn({ checkpoint: name ?? id }, `checkpoint ${name ?? id}: ${why}`)
    }
    if (this.#said.size === waiting.length) return
    const still = new Set(waiting.map(({ id }) => id))
    for (const id of this.#said.keys()) {
      if (still.has(id)) continue
      this.#said.delete(id)
      log.info({ checkpoint: id }, `checkpoint ${id} waits no more`)
    }
  }

  #submit(operation: DirectoryOperation): void {
    if (this.#isSubmitting || !this.#options.isMine()) return
    this.#isSubmitting = true
    this.#options
      .submit(operation)
      .catch(() => undefined)
      .finally(() => {
        this.#isSubmitting = false
      })
  }
}
