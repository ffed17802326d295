/** A write that is not committed; `record` is null for a delete. */
export interface PendingWrite {
  readonly key: Uint8Array
  readonly record: Uint8Array | null
}

/** Writes of a transaction under way, ascending by key: bytes compare as unsigned, a prefix is smaller. */
export class PendingWrites {
  readonly #writes: PendingWrite[] = []
  #bytes = 0

  get all(): readonly PendingWrite[] {
    return this.#writes
  }

  /** Bytes of keys and records. */
  get bytes(): number {
    return this.#bytes
  }

  get(key: Uint8Array): PendingWrite | undefined {
    const at = this.#writes[this.#placeOf(key)]
    return at !== undefined && compareBytes(at.key, key) === 0 ? at : undefined
  }

  set(write: PendingWrite): void {
    const place = this.#placeOf(write.key)
    const former = this.get(write.key)
    this.#writes.splice(place, former === undefined ? 0 : 1, write)
    this.#bytes += sizeOf(write) - (former === undefined ? 0 : sizeOf(former))
  }

  /** The first write with a key above this one; the very first for undefined. */
  after(key: Uint8Array | undefined): PendingWrite | undefined {
    if (key === undefined) return this.#writes[0]
    const place = this.#placeOf(key)
    return this.get(key) === undefined ? this.#writes[place] : this.#writes[place + 1]
  }

  /** Place of the first write whose key is not below. */
  #placeOf(key: Uint8Array): number {
    let low = 0
    let high = this.#writes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareBytes(this.#writes[middle]!.key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const common = Math.min(left.byteLength, right.byteLength)
  for (let i = 0; i < common; i += 1) {
    const order = left[i]! - right[i]!
    if (order !== 0) return order
  }
  return left.byteLength - right.byteLength
}

function sizeOf({ key, record }: PendingWrite): number {
  return key.byteLength + (record?.byteLength ?? 0)
}
