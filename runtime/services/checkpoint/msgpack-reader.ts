/** Texts up to this length that were read before are given again: names of sections and callers come all the time. */
const KNOWN_LENGTH_MAX = 64
const KNOWN_COUNT = 1_024
/** Bytes up to this size are copied by a loop, which costs less than a call for them. */
const LOOP_COPY_BYTES_MAX = 24

/**
 * Reads msgpack that has the usual forms: arrays, ASCII text, bytes, nil, and integers that are not negative. At
 * anything else, or the end of the bytes, `isUsual` becomes false, and what is given from then on means nothing.
 */
export class MsgpackReader {
  isUsual = true
  #bytes: Uint8Array = EMPTY
  #at = 0
  #end = 0
  readonly #known = new Array<string>(KNOWN_COUNT).fill('')

  start(bytes: Uint8Array): void {
    const { buffer, byteOffset, byteLength } = bytes
    // What `slice` gives of a Buffer is no copy.
    const isPlain = bytes.constructor === Uint8Array
    this.#bytes = isPlain ? bytes : new Uint8Array(buffer, byteOffset, byteLength)
    this.#at = 0
    this.#end = bytes.byteLength
    this.isUsual = true
  }

  /** Lets the bytes go. @returns whether they were what was asked for, and nothing follows. */
  finish(): boolean {
    this.#bytes = EMPTY
    return this.isUsual && this.#at === this.#end
  }

  /** Count of elements of an array that begins here. */
  array(): number {
    const head = this.#byte()
    if (head >= 0x90 && head <= 0x9f) return head - 0x90
    const count = head === 0xdc ? this.#number(2) : head === 0xdd ? this.#number(4) : -1
    // Each element takes a byte at least: a few bytes cannot ask for much.
    if (count >= 0 && count <= this.#end - this.#at) return count
    return this.#unusual()
  }

  /** Passes the head of an array of `count` elements, 15 at most. */
  arrayOf(count: number): void {
    if (this.#byte() !== 0x90 + count) this.isUsual = false
  }

  /** Passes nil, if it is there. */
  takeNil(): boolean {
    if (this.#at >= this.#end || this.#bytes[this.#at] !== 0xc0) return false
    this.#at += 1
    return true
  }

  integer(): number {
    const head = this.#byte()
    if (head < 0x80) return head
    switch (head) {
      case 0xcc:
        return this.#number(1)
      case 0xcd:
        return this.#number(2)
      case 0xce:
        return this.#number(4)
      case 0xcb:
        return this.#large()
      default:
        return this.#unusual()
    }
  }

  /** A copy of its own. */
  bytes(): Uint8Array {
    const head = this.#byte()
    const width = head === 0xc4 ? 1 : head === 0xc5 ? 2 : head === 0xc6 ? 4 : 0
    const length = width === 0 ? this.#unusual() : this.#number(width)
    const start = this.#take(length)
    if (length > LOOP_COPY_BYTES_MAX) return this.#bytes.slice(start, start + length)
    const copy = new Uint8Array(length)
    for (let i = 0; i < length; i++) copy[i] = this.#bytes[start + i]!
    return copy
  }

  text(): string {
    const head = this.#byte()
    const isShort = head >= 0xa0 && head <= 0xbf
    if (!isShort && head !== 0xd9) {
      this.isUsual = false
      return ''
    }
    const length = isShort ? head - 0xa0 : this.#number(1)
    const start = this.#take(length)
    const bytes = this.#bytes
    if (length === 0 || !this.isUsual) return ''
    const end = start + length
    // The last characters tell most names apart.
    const place =
      (bytes[end - 1]! * 31 + bytes[end - ((length + 1) >> 1)]! * 7 + bytes[start]! + length) &
      (KNOWN_COUNT - 1)
    const known = this.#known[place]!
    if (known.length === length) {
      let i = 0
      while (i < length && known.charCodeAt(i) === bytes[start + i]) i++
      if (i === length) return known
    }
    for (let i = start; i < end; i++) if (bytes[i]! >= 0x80) this.isUsual = false
    const text = String.fromCharCode(...bytes.subarray(start, end))
    if (this.isUsual && length <= KNOWN_LENGTH_MAX) this.#known[place] = text
    return text
  }

  #byte(): number {
    return this.#at < this.#end ? this.#bytes[this.#at++]! : this.#unusual()
  }

  #number(width: number): number {
    let value = 0
    for (let at = this.#take(width), end = at + width; at < end && this.isUsual; at++) {
      value = value * 256 + this.#bytes[at]!
    }
    return value
  }

  /** An integer beyond 32 bits, as a 64-bit float. */
  #large(): number {
    const { buffer, byteOffset } = this.#bytes
    const start = this.#take(8)
    if (!this.isUsual) return 0
    const value = new DataView(buffer, byteOffset + start, 8).getFloat64(0)
    return Number.isSafeInteger(value) && value > 0xffff_ffff ? value : this.#unusual()
  }

  /** Passes so many bytes. @returns where they begin */
  #take(count: number): number {
    const start = this.#at
    if (count > this.#end - start) return this.#unusual()
    this.#at += count
    return start
  }

  #unusual(): 0 {
    this.isUsual = false
    this.#at = this.#end
    return 0
  }
}

const EMPTY = new Uint8Array(0)
