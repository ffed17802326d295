const TEXT_LENGTH_MAX = 255
const LOOP_COPY_BYTES_MAX = 24

/**
 * Writes msgpack of the forms that {@link MsgpackReader} reads, each in its shortest form. First the sizes are asked
 * for, which say with `isUsual` whether all of it can be written here; then the same is written.
 */
export class MsgpackWriter {
  isUsual = true
  #bytes: Uint8Array = EMPTY
  #at = 0

  start(sizeBytes: number): void {
    this.#bytes = new Uint8Array(sizeBytes)
    this.#at = 0
  }

  /** @returns what was written. */
  finish(): Uint8Array {
    const bytes = this.#bytes
    this.#bytes = EMPTY
    return bytes
  }

  sizeOfArray(count: number): number {
    return count < 16 ? 1 : count < 0x1_0000 ? 3 : 5
  }

  sizeOfInteger(value: number): number {
    if (value < 0x80) {
      if (!Number.isInteger(value) || value < 0) this.isUsual = false
      return 1
    }
    if (!Number.isSafeInteger(value)) this.isUsual = false
    if (value < 0x100) return 2
    if (value < 0x1_0000) return 3
    return value <= 0xffff_ffff ? 5 : 9
  }

  sizeOfBytes(value: Uint8Array): number {
    if (!(value instanceof Uint8Array)) this.isUsual = false
    const length = value.byteLength
    return length + (length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5)
  }

  sizeOfText(value: string): number {
    const { length } = value
    if (length > TEXT_LENGTH_MAX) this.isUsual = false
    for (let i = 0; i < length; i++) if (value.charCodeAt(i) >= 0x80) this.isUsual = false
    return length + (length < 32 ? 1 : 2)
  }

  array(count: number): void {
    if (count < 16) this.#bytes[this.#at++] = 0x90 + count
    else if (count < 0x1_0000) this.#number(0xdc, count, 2)
    else this.#number(0xdd, count, 4)
  }

  nil(): void {
    this.#bytes[this.#at++] = 0xc0
  }

  integer(value: number): void {
    if (value < 0x80) this.#bytes[this.#at++] = value
    else if (value < 0x100) this.#number(0xcc, value, 1)
    else if (value < 0x1_0000) this.#number(0xcd, value, 2)
    else if (value <= 0xffff_ffff) this.#number(0xce, value, 4)
    else {
      this.#bytes[this.#at] = 0xcb
      const { buffer, byteOffset } = this.#bytes
      new DataView(buffer, byteOffset + this.#at + 1, 8).setFloat64(0, value)
      this.#at += 9
    }
  }

  bytes(value: Uint8Array): void {
    const length = value.byteLength
    if (length < 0x100) this.#number(0xc4, length, 1)
    else if (length < 0x1_0000) this.#number(0xc5, length, 2)
    else this.#number(0xc6, length, 4)
    if (length > LOOP_COPY_BYTES_MAX) this.#bytes.set(value, this.#at)
    else for (let i = 0; i < length; i++) this.#bytes[this.#at + i] = value[i]!
    this.#at += length
  }

  text(value: string): void {
    const { length } = value
    if (length < 32) this.#bytes[this.#at++] = 0xa0 + length
    else this.#number(0xd9, length, 1)
    for (let i = 0; i < length; i++) this.#bytes[this.#at + i] = value.charCodeAt(i)
    this.#at += length
  }

  #number(head: number, value: number, width: number): void {
    this.#bytes[this.#at++] = head
    for (let shift = (width - 1) * 8; shift >= 0; shift -= 8) {
      this.#bytes[this.#at++] = (value >>> shift) & 0xff
    }
  }
}

const EMPTY = new Uint8Array(0)
