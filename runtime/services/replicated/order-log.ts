import type { OrderEntry, OrderMember, OrderSnapshot, Position } from './interface.ts'

/** Entries kept behind the last delivered one, for nodes that come back. */
export const KEPT_ENTRY_COUNT = 4_096
const KEPT_BYTES = 8 * 1_024 * 1_024
const TRIM_STEP = 512

export const ORIGIN: Position = { term: 0, sequence: 0 }

/**
 * What one node holds of the order, pure: delivered entries (a tail of them), held ones behind those, and what follows
 * from them. I1 Entries are numbered without a gap. I2 What was delivered is never taken back. I3 A submission stands
 * in the order once, however often it was submitted.
 */
export class OrderLog {
  /** The entry before the first kept one. */
  #base: Position = ORIGIN
  #entries: OrderEntry[] = []
  #keptBytes = 0
  #delivered: Position = ORIGIN
  #members: readonly OrderMember[] = []
  /** By node: its newest life, and the last number of it that stands in the held order. */
  #ordered = new Map<number, { readonly from: OrderMember; readonly number: number }>()

  get delivered(): Position {
    return this.#delivered
  }

  get held(): Position {
    return this.#entries.at(-1)?.at ?? this.#base
  }

  /** Members of the last delivered view. */
  get members(): readonly OrderMember[] {
    return this.#members
  }

  lastNumberOf({ node, life }: OrderMember): number {
    const known = this.#ordered.get(node)
    return known?.from.life === life ? known.number : 0
  }

  /** True when the entry at this place is the same here. */
  has(position: Position): boolean {
    if (position.sequence === this.#base.sequence) return position.term === this.#base.term
    return this.#at(position.sequence)?.at.term === position.term
  }

  /** The whole place of a number; null when it is not kept any more, or not held yet. */
  placeOf(sequence: number): Position | null {
    if (sequence === this.#base.sequence) return this.#base
    return this.#at(sequence)?.at ?? null
  }

  /** Held entries after one that `has`. */
  after(position: Position): readonly OrderEntry[] {
    return this.#entries.slice(position.sequence - this.#base.sequence)
  }

  /** Holds what comes after the last held entry. */
  append(entry: OrderEntry): void {
    if (entry.at.sequence !== this.held.sequence + 1) {
      throw new Error(`entry ${entry.at.sequence} after ${this.held.sequence}`)
    }
    this.#entries.push(entry)
    this.#keptBytes += sizeOf(entry)
    if (entry.kind === 'message') this.#count(entry.from, entry.submission.number)
  }

  /** Drops what was held and not delivered: another leader may have ordered otherwise. */
  truncate(): void {
    this.truncateAfter(this.#delivered.sequence)
  }

  /** Drops held entries behind this number, which is not below the last delivered one. */
  truncateAfter(sequence: number): void {
    const kept = sequence - this.#base.sequence
    if (kept >= this.#entries.length) return
    for (const entry of this.#entries.slice(kept).toReversed()) {
      this.#keptBytes -= sizeOf(entry)
      if (entry.kind === 'message') this.#count(entry.from, entry.submission.number - 1)
    }
    this.#entries.length = kept
  }

  /** The next held entry up to `stable`, which counts as delivered from now on. */
  deliver(stable: number): OrderEntry | undefined {
    if (this.#delivered.sequence >= stable) return undefined
    const entry = this.#at(this.#delivered.sequence + 1)
    if (entry === undefined) return undefined
    this.#delivered = entry.at
    if (entry.kind === 'view') this.#members = entry.members
    this.#trim()
    return entry
  }

  /** Everything up to the delivered entry, without the topics. Only while nothing more is held. */
  summary(): Omit<OrderSnapshot, 'topics'> {
    const ordered = new Map(this.#ordered)
    for (const entry of this.after(this.#delivered).toReversed()) {
      if (entry.kind !== 'message') continue
      const { from, submission } = entry
      ordered.set(from.node, { from, number: submission.number - 1 })
    }
    return { at: this.#delivered, members: [...this.#members], ordered: [...ordered.values()] }
  }

  restore(snapshot: Omit<OrderSnapshot, 'topics'>): void {
    this.#base = snapshot.at
    this.#delivered = snapshot.at
    this.#entries = []
    this.#keptBytes = 0
    this.#members = snapshot.members
    this.#ordered = new Map(snapshot.ordered.map((each) => [each.from.node, each]))
  }

  #at(sequence: number): OrderEntry | undefined {
    return this.#entries[sequence - this.#base.sequence - 1]
  }

  #count(from: OrderMember, number: number): void {
    this.#ordered.set(from.node, { from, number })
  }

  /** In larger steps: taking one off the front each time would copy the rest each time. */
  #trim(): void {
    const delivered = this.#delivered.sequence - this.#base.sequence
    if (delivered <= KEPT_ENTRY_COUNT + TRIM_STEP && this.#keptBytes <= KEPT_BYTES) return
    let over = 0
    for (const entry of this.#entries) {
      const isFew = delivered - over <= KEPT_ENTRY_COUNT && this.#keptBytes <= KEPT_BYTES / 2
      if (over === delivered || isFew) break
      this.#keptBytes -= sizeOf(entry)
      this.#base = entry.at
      over++
    }
    this.#entries.splice(0, over)
  }
}

export function lifeOf({ node, life }: OrderMember): string {
  return `${node}/${life}`
}

/** Which of two places is further in the order. */
export function comparePositions(a: Position, b: Position): number {
  return a.term - b.term || a.sequence - b.sequence
}

function sizeOf(entry: OrderEntry): number {
  return entry.kind === 'message' ? 64 + entry.submission.payload.byteLength : 64
}
