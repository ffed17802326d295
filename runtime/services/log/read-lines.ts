import { open } from 'node:fs/promises'

const CHUNK_BYTES = 64 * 1024

/** A line without its end, and where the next one begins. */
export interface LineAt {
  readonly line: string
  readonly endOffset: number
}

/** The whole lines between two byte offsets of a file, the first of which is the beginning of a line. */
export async function* readLines(
  path: string,
  { from, to }: { readonly from: number; readonly to: number },
): AsyncGenerator<LineAt> {
  const file = await open(path, 'r')
  try {
    let offset = from
    let rest: Buffer = Buffer.alloc(0)
    while (offset < to) {
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, to - offset))
      const { bytesRead } = await file.read(chunk, 0, chunk.length, offset)
      if (bytesRead === 0) return
      let start = offset - rest.length
      let buffer = Buffer.concat([rest, chunk.subarray(0, bytesRead)])
      offset += bytesRead
      for (let end = buffer.indexOf(10); end >= 0; end = buffer.indexOf(10)) {
        start += end + 1
        yield { line: buffer.toString('utf8', 0, end), endOffset: start }
        buffer = buffer.subarray(end + 1)
      }
      rest = buffer
    }
  } finally {
    await file.close()
  }
}
