import { decodeValue, encodeValue } from '../../idl/index.ts'
import type { ProcessIdentity, Store } from '../../ioc/internal.ts'
import type { AdminResult, PersistedRecord } from '../engine/contract.ts'
import type { ModelSource } from '../model/source.ts'

/** Keys of the control store that belong to the director. Versioned: a later format takes another prefix. */
const PREFIX = {
  engine: 'amf1/engine/',
  member: 'amf1/member/',
  answer: 'amf1/answer/',
} as const
const MODEL_KEY = 'amf1/model'

/** Answers of finished operations kept, for tools that ask again after a change of director. */
const ANSWERS_KEPT = 64

interface KeptAnswer {
  readonly order: number
  readonly result: AdminResult
}

type Change = { readonly key: string; readonly value: Uint8Array | null }

/**
 * The director's durable memory. Changes are gathered and written in one transaction by {@link flush}, which fails
 * with STALE_TERM, nothing changed, when another director has taken office.
 */
export class RecordStore {
  readonly #store: Store
  readonly #term: number
  readonly #pending = new Map<string, Uint8Array | null>()
  readonly #answers = new Map<string, KeptAnswer>()
  #answerOrder = 0

  constructor(store: Store, term: number) {
    this.#store = store
    this.#term = term
    for (const entry of store.list(PREFIX.answer)) {
      const kept = decodeValue(entry.value) as KeptAnswer
      this.#answers.set(entry.key.slice(PREFIX.answer.length), kept)
      this.#answerOrder = Math.max(this.#answerOrder, kept.order)
    }
  }

  /** What earlier directors persisted of the engine. */
  engineRecords(): PersistedRecord[] {
    return this.#store.list(PREFIX.engine).map((entry) => ({
      key: entry.key.slice(PREFIX.engine.length),
      value: decodeValue(entry.value),
    }))
  }

  /** Processes of nodes that may have components running: written before the first command reaches a node. */
  members(): Map<string, ProcessIdentity> {
    const members = new Map<string, ProcessIdentity>()
    for (const entry of this.#store.list(PREFIX.member)) {
      const identity = decodeValue(entry.value) as ProcessIdentity
      members.set(entry.key.slice(PREFIX.member.length), identity)
    }
    return members
  }

  putModel(source: ModelSource): void {
    this.#put(MODEL_KEY, source)
  }

  /** Answer of an operation that was finished, perhaps by an earlier director. */
  answerOf(id: string): AdminResult | undefined {
    return this.#answers.get(id)?.result
  }

  putEngine(record: PersistedRecord): void {
    this.#put(PREFIX.engine + record.key, record.value)
  }

  putMember(node: string, identity: ProcessIdentity | null): void {
    this.#put(PREFIX.member + node, identity)
  }

  putAnswer(id: string, result: AdminResult): void {
    this.#answerOrder += 1
    const kept: KeptAnswer = { order: this.#answerOrder, result }
    this.#answers.set(id, kept)
    this.#put(PREFIX.answer + id, kept)
    if (this.#answers.size <= ANSWERS_KEPT) return
    const oldest = [...this.#answers].reduce((a, b) => (a[1].order < b[1].order ? a : b))[0]
    this.#answers.delete(oldest)
    this.#put(PREFIX.answer + oldest, null)
  }

  /** Makes everything gathered durable, in one transaction. @throws SdkError STALE_TERM. */
  flush(): void {
    if (this.#pending.size === 0) return
    const changes: Change[] = [...this.#pending].map(([key, value]) => ({ key, value }))
    this.#store.commit(this.#term, changes)
    this.#pending.clear()
  }

  #put(key: string, value: unknown): void {
    this.#pending.set(key, value === null || value === undefined ? null : encodeValue(value))
  }
}

/** The model that an operator applied last; null while it is the one that the cluster was brought up with. */
export function storedModel(store: Pick<Store, 'get'>): ModelSource | null {
  const entry = store.get(MODEL_KEY)
  return entry === undefined ? null : (decodeValue(entry.value) as ModelSource)
}
