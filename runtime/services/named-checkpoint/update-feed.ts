import { systemClock, type Rmd } from '../../../ioc/index.ts'
import type { CheckpointBatch } from '../checkpoint/interface.ts'
import { PushQueue } from '../push-queue.ts'
import { NamedCheckpointPush, type SectionUpdate } from './interface.ts'
import { headerOf, inlineOf, isInPieces, parseKey } from './section-value.ts'

const UPDATE_COUNT_MAX = 512
const PUSH_TIMEOUT_MS = 10_000

interface Watcher {
  readonly queue: PushQueue<SectionUpdate>
  readonly ids: Set<string>
}

/**
 * Tells components of this node what the own replicas take, in the order in which they take it. At most
 * {@link UPDATE_COUNT_MAX} updates wait for a slow component, then the oldest go and it learns that.
 */
export class UpdateFeed {
  readonly #rmd: Pick<Rmd, 'client'>
  readonly #watchers = new Map<string, Watcher>()

  constructor(rmd: Pick<Rmd, 'client'>) {
    this.#rmd = rmd
  }

  watch(caller: string, id: string): void {
    let watcher = this.#watchers.get(caller)
    if (watcher === undefined) {
      const push = this.#rmd.client(NamedCheckpointPush, {
        to: { caller },
        timeoutMs: PUSH_TIMEOUT_MS,
      })
      const queue = new PushQueue<SectionUpdate>({
        countMax: UPDATE_COUNT_MAX,
        send: (first, updates) => push.updated({ first, updates: [...updates] }),
        clock: systemClock,
      })
      watcher = { queue, ids: new Set() }
      this.#watchers.set(caller, watcher)
    }
    watcher.ids.add(id)
  }

  /** Numbers go on with the connection, so that the queue stays. */
  unwatch(caller: string, id: string): void {
    this.#watchers.get(caller)?.ids.delete(id)
  }

  callerGone(caller: string): void {
    this.#watchers.get(caller)?.queue.close()
    this.#watchers.delete(caller)
  }

  /** A replica took a batch. Whoever made a change is not told of it. */
  applied(id: string, batch: CheckpointBatch): void {
    const watchers = this.#of(id)
    if (watchers.length === 0) return
    for (const { writes, reply } of batch.records) {
      const update = { checkpoint: id, isWhole: false, elements: elementsOf(writes) }
      if (update.elements.length === 0) continue
      for (const [caller, { queue }] of watchers) if (caller !== reply?.caller) queue.push(update)
    }
  }

  /** A replica took another content. */
  replaced(id: string): void {
    const update = { checkpoint: id, isWhole: true, elements: [] }
    for (const [, { queue }] of this.#of(id)) queue.push(update)
  }

  close(): void {
    for (const { queue } of this.#watchers.values()) queue.close()
    this.#watchers.clear()
  }

  #of(id: string): [string, Watcher][] {
    return [...this.#watchers].filter(([, { ids }]) => ids.has(id))
  }
}

/** Each change of a section changes its header. */
function elementsOf(
  writes: readonly (readonly [string, Uint8Array | null])[],
): SectionUpdate['elements'] {
  return writes.flatMap(([key, value]): SectionUpdate['elements'] => {
    const parsed = parseKey(key)
    if (parsed === null || parsed.piece !== null) return []
    const { id } = parsed
    if (value === null) return [{ id, kind: 'DELETED', size: 0, data: null }]
    const { size } = headerOf(value)
    const data = isInPieces(size) ? null : inlineOf(value)
    return [{ id, kind: 'WRITTEN', size, data }]
  })
}
