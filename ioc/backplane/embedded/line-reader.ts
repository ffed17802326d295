/**
 * Cuts a byte stream into lines. Bounded: a line that passes the limit is an outcome, never more
 * memory.
 */
export interface LineReader {
  readonly pending: readonly Uint8Array[]
  readonly pendingBytes: number
}

export const LINE_SIZE_BYTES_MAX = 1024 * 1024
export const EMPTY_LINE_READER: LineReader = { pending: [], pendingBytes: 0 }

const NEWLINE = 0x0a

/** @returns the complete lines without their ends; `tooLong` when a line passes the limit. */
export function readLines(
  reader: LineReader,
  chunk: Uint8Array,
): { readonly reader: LineReader; readonly lines: readonly string[]; readonly tooLong: boolean } {
  const lines: string[] = []
  let pending = [...reader.pending]
  let pendingBytes = reader.pendingBytes
  let start = 0
  for (;;) {
    const end = chunk.indexOf(NEWLINE, start)
    const part = chunk.subarray(start, end < 0 ? chunk.length : end)
    pendingBytes += part.length
    if (pendingBytes > LINE_SIZE_BYTES_MAX) {
      return { reader: EMPTY_LINE_READER, lines, tooLong: true }
    }
    if (part.length > 0) pending.push(part)
    if (end < 0) return { reader: { pending, pendingBytes }, lines, tooLong: false }
    lines.push(textOf(pending, pendingBytes))
    pending = []
    pendingBytes = 0
    start = end + 1
  }
}

function textOf(parts: readonly Uint8Array[], sizeBytes: number): string {
  const whole = new Uint8Array(sizeBytes)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return new TextDecoder().decode(whole)
}
