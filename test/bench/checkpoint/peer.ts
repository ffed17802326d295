import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'

/**
 * The floor: another process that keeps what comes in its memory, and says so. Frames are a length and a number, then
 * the value; answers are the number. What one tick writes leaves as one.
 */
const PEER = `
const net = require('node:net')
const kept = new Map()
net.createServer((socket) => {
  let rest = Buffer.alloc(0)
  let out = []
  const flush = () => { socket.write(Buffer.concat(out)); out = [] }
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (rest.length - at >= 8) {
      const length = rest.readUInt32BE(at)
      if (rest.length - at < 8 + length) break
      const id = rest.readUInt32BE(at + 4)
      kept.set(id % 100, Buffer.from(rest.subarray(at + 8, at + 8 + length)))
      const answer = Buffer.allocUnsafe(4)
      answer.writeUInt32BE(id)
      if (out.push(answer) === 1) process.nextTick(flush)
      at += 8 + length
    }
    rest = rest.subarray(at)
  })
}).listen(process.argv[1], () => process.send('ready'))
process.on('disconnect', () => process.exit())
`

/** Starts the peer. */
export async function startPeer(
  directory: string,
): Promise<{ readonly store: (value: Buffer) => Promise<void>; stop(): void }> {
  const path = join(directory, 'peer.sock')
  const child = spawn(process.execPath, ['-e', PEER, path], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  await once(child, 'message')
  const socket = connect(path)
  await once(socket, 'connect')
  const waiting = new Map<number, () => void>()
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    for (; rest.length - at >= 4; at += 4) {
      const id = rest.readUInt32BE(at)
      waiting.get(id)?.()
      waiting.delete(id)
    }
    rest = rest.subarray(at)
  })
  let id = 0
  let out: Buffer[] = []
  const flush = (): void => {
    socket.write(Buffer.concat(out))
    out = []
  }
  return {
    store: (value) =>
      new Promise((resolve) => {
        const header = Buffer.allocUnsafe(8)
        header.writeUInt32BE(value.length)
        header.writeUInt32BE(++id, 4)
        waiting.set(id, resolve)
        if (out.push(header, value) === 2) process.nextTick(flush)
      }),
    stop: () => {
      socket.destroy()
      child.kill('SIGKILL')
    },
  }
}
