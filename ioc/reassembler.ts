import { FRAGMENT_PREFIX_BYTES, type FrameHeader, viewOf } from './frame.ts'
import { LANES } from './lane.ts'

/** What became of one fragment. */
export type FragmentOutcome =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'complete'; readonly payload: Uint8Array }
  | { readonly kind: 'fault'; readonly reason: string }

export interface ReassemblyLimits {
  /** Largest message put together, bytes of payload. */
  readonly messageSizeBytesMax: number
  /** Messages of one connection that may be incomplete at a time. */
  readonly partialCountMax: number
  /** A message is stale when its next fragment does not come for so long. SAFplus IOC, section 4.6. */
  readonly partialAgeMsMax: number
}

interface Partial {
  readonly total: number
  readonly pieces: Uint8Array[]
  length: number
  touchedMs: number
}

/** All incomplete messages of a connection hold at most so many times the largest one: one a lane of its sender. */
const TOTAL_FACTOR = LANES.length
const INCOMPLETE: FragmentOutcome = { kind: 'incomplete' }

/**
 * Puts the fragments of long messages of one connection together. Fragments of one message arrive in order; those of
 * several messages may alternate. Memory grows with the bytes that arrived, not with the size that was announced.
 */
export class Reassembler {
  readonly #limits: ReassemblyLimits
  readonly #partials = new Map<string, Partial>()
  #bytes = 0

  constructor(limits: ReassemblyLimits) {
    this.#limits = limits
  }

  get partialCount(): number {
    return this.#partials.size
  }

  /** Takes the payload of one frame with the fragment flag. */
  add(header: Readonly<FrameHeader>, body: Uint8Array, nowMs: number): FragmentOutcome {
    if (body.length <= FRAGMENT_PREFIX_BYTES) return fault('a fragment without content')
    const view = viewOf(body)
    const total = view.getUint32(0)
    const offset = view.getUint32(4)
    const piece = body.subarray(FRAGMENT_PREFIX_BYTES)
    if (total > this.#limits.messageSizeBytesMax) {
      return fault(`a message of ${total} bytes is above ${this.#limits.messageSizeBytesMax}`)
    }
    if (offset + piece.length > total) return fault('a fragment beyond the end of its message')
    const key = `${header.protocol}/${header.messageId}`
    let partial = this.#partials.get(key)
    if (partial === undefined || offset === 0) {
      if (offset !== 0) return fault('a fragment without a beginning')
      if (partial === undefined && this.#partials.size >= this.#limits.partialCountMax) {
        return fault(`more than ${this.#limits.partialCountMax} incomplete messages`)
      }
      if (partial !== undefined) this.#drop(key, partial)
      partial = { total, pieces: [], length: 0, touchedMs: nowMs }
      this.#partials.set(key, partial)
    }
    if (offset !== partial.length || partial.total !== total) return fault('fragments out of order')
    if (this.#bytes + piece.length > this.#limits.messageSizeBytesMax * TOTAL_FACTOR) {
      return fault('the incomplete messages are too large together')
    }
    partial.pieces.push(new Uint8Array(piece)) // a view would hold the whole chunk it lies in
    partial.length += piece.length
    this.#bytes += piece.length
    partial.touchedMs = nowMs
    if (partial.length < total) return INCOMPLETE
    this.#drop(key, partial)
    return { kind: 'complete', payload: join(partial.pieces, total) }
  }

  /**
   * Whether the rest of a message did not come in time. Nothing is dropped: the peer would not know, and a stream of
   * messages would have a hole.
   * @param pausedMs - time since the last question in which nothing could be received.
   */
  hasStale(nowMs: number, pausedMs: number): boolean {
    let isStale = false
    for (const partial of this.#partials.values()) {
      partial.touchedMs += pausedMs
      if (nowMs - partial.touchedMs >= this.#limits.partialAgeMsMax) isStale = true
    }
    return isStale
  }

  #drop(key: string, partial: Partial): void {
    this.#partials.delete(key)
    this.#bytes -= partial.length
  }
}

function join(pieces: readonly Uint8Array[], total: number): Uint8Array {
  const whole = new Uint8Array(total)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

const fault = (reason: string): FragmentOutcome => ({ kind: 'fault', reason })
