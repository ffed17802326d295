import type { Socket } from 'node:net'

/**
 * Length-prefixed frames with an id, written with care and with nothing that a user would want: u32 length of the
 * rest, u32 id, body. All frames of a tick leave in one write.
 */
export function frames(
  socket: Socket,
  onFrame: (id: number, body: Buffer) => void,
): (id: number, body: Uint8Array) => void {
  let out = Buffer.allocUnsafeSlow(64 * 1024)
  let length = 0
  let scheduled = false
  const flush = (): void => {
    scheduled = false
    socket.write(out.subarray(0, length))
    if (socket.writableLength > 0) out = Buffer.allocUnsafeSlow(out.length)
    length = 0
  }
  let rest: Buffer | null = null
  socket.on('data', (chunk) => {
    const bytes = rest === null ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (bytes.length - at >= 8) {
      const end = at + 4 + bytes.readUInt32BE(at)
      if (end > bytes.length) break
      onFrame(bytes.readUInt32BE(at + 4), bytes.subarray(at + 8, end))
      at = end
    }
    rest = at === bytes.length ? null : bytes.subarray(at)
  })
  socket.on('error', () => {})
  return (id, body) => {
    const size = 8 + body.length
    if (length + size > out.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(out.length * 2, length + size))
      out.copy(larger, 0, 0, length)
      out = larger
    }
    out.writeUInt32BE(4 + body.length, length)
    out.writeUInt32BE(id, length + 4)
    out.set(body, length + 8)
    length += size
    if (scheduled) return
    scheduled = true
    process.nextTick(flush)
  }
}
