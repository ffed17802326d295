import type { CallKey } from './commit-gate.ts'

/** Callers remembered between two records; others are heard again with their next call. */
const ACKNOWLEDGED_COUNT_MAX = 4_096

/** Calls of one checkpoint between `begin` and the moment their reply leaves, by (caller, messageId). Pure. */
export class PendingCalls {
  readonly #byCaller = new Map<string, Set<number>>()
  /** What callers said they hold and no record has said yet. */
  readonly #acknowledged = new Map<string, number>()
  #count = 0

  get count(): number {
    return this.#count
  }

  has(key: Pick<CallKey, 'caller' | 'messageId'>): boolean {
    return this.#byCaller.get(key.caller)?.has(key.messageId) ?? false
  }

  add(key: Pick<CallKey, 'caller' | 'messageId'>): void {
    let ids = this.#byCaller.get(key.caller)
    if (ids === undefined) {
      ids = new Set()
      this.#byCaller.set(key.caller, ids)
    }
    if (ids.has(key.messageId)) return
    ids.add(key.messageId)
    this.#count++
  }

  remove(key: Pick<CallKey, 'caller' | 'messageId'>): void {
    const ids = this.#byCaller.get(key.caller)
    if (ids === undefined || !ids.delete(key.messageId)) return
    this.#count--
    if (ids.size === 0) this.#byCaller.delete(key.caller)
  }

  /** A caller holds every reply below an id: the next record will say so. */
  acknowledge(caller: string, below: number): void {
    const known = this.#acknowledged.get(caller)
    if (known === undefined && this.#acknowledged.size >= ACKNOWLEDGED_COUNT_MAX) return
    if (below > (known ?? 0)) this.#acknowledged.set(caller, below)
  }

  get hasAcknowledged(): boolean {
    return this.#acknowledged.size > 0
  }

  /** For the `acknowledged` of the next record; it is not said again. */
  takeAcknowledged(): [string, number][] {
    if (this.#acknowledged.size === 0) return []
    const all = [...this.#acknowledged]
    this.#acknowledged.clear()
    return all
  }

  clear(): void {
    this.#byCaller.clear()
    this.#acknowledged.clear()
    this.#count = 0
  }
}
