import type { Replica } from './replica.ts'

/**
 * A number that is equal for replicas with equal content (sections and replies), whatever the order in which it came
 * to be. For tests and for comparing replicas by hand; FNV-1a, 52 bits in two halves.
 */
export function contentHash(replica: Pick<Replica, 'sections' | 'replies' | 'sequence'>): string {
  const hash = new Fnv()
  hash.text(String(replica.sequence))
  for (const name of [...replica.sections.keys()].sort()) {
    hash.text(name)
    hash.bytes(replica.sections.get(name) ?? new Uint8Array())
  }
  for (const reply of replica.replies.replies()) {
    hash.text(`${reply.caller} ${reply.messageId} ${reply.functionNumber} ${reply.rc}`)
    hash.bytes(reply.payload)
  }
  return hash.digest()
}

class Fnv {
  #low = 0x811c9dc5
  #high = 0x01000193

  bytes(bytes: Uint8Array): void {
    for (const byte of bytes) this.#byte(byte)
    this.#byte(0xff)
  }

  text(text: string): void {
    for (let i = 0; i < text.length; i++) {
      this.#byte(text.charCodeAt(i) & 0xff)
      this.#byte(text.charCodeAt(i) >>> 8)
    }
    this.#byte(0xfe)
  }

  digest(): string {
    return [this.#high, this.#low].map((n) => (n >>> 0).toString(16).padStart(8, '0')).join('')
  }

  #byte(byte: number): void {
    this.#low = Math.imul(this.#low ^ byte, 0x01000193)
    this.#high = Math.imul(this.#high ^ byte ^ (this.#low >>> 7), 0x85ebca6b)
  }
}
