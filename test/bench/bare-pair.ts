import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * The floor that failover is measured against: a bare supervisor with an active and a hot standby process, length-
 * prefixed frames on unix sockets, no state. On the exit of the active the standby is told to be active and whatever
 * was in flight is sent to it again.
 */
const CHILD = `
const net = require('node:net')
let active = process.argv[2] === 'active'
const parked = []
const answer = (socket, id) => { const b = Buffer.alloc(8); b.writeUInt32BE(4); b.writeUInt32BE(id, 4); socket.write(b) }
process.on('message', () => { active = true; for (const [s, id] of parked.splice(0)) answer(s, id); process.send('active') })
net.createServer((socket) => {
  let rest = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    for (; rest.length - at >= 8; at += 8) {
      const id = rest.readUInt32BE(at + 4)
      if (active) answer(socket, id)
      else parked.push([socket, id])
    }
    rest = rest.subarray(at)
  })
}).listen(process.argv[1], () => process.send('ready'))
`

interface Side {
  readonly child: ChildProcess
  readonly socket: Socket
}

/** Kills the active of a bare pair `rounds` times with `inFlight` calls under way. @returns ms from SIGKILL to reply */
export async function measureBarePair(
  rounds: number,
  inFlight: number,
): Promise<readonly number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'hf-bare-'))
  try {
    const times: number[] = []
    for (let round = 0; round < rounds; round += 1)
      times.push(await oneRound(join(folder, `${round}`), inFlight))
    return times
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function oneRound(path: string, inFlight: number): Promise<number> {
  const active = await side(`${path}a.sock`, 'active')
  const standby = await side(`${path}s.sock`, 'standby')
  const pending = new Set<number>()
  let nextId = 1
  const send = (to: Side, id: number): void => {
    const frame = Buffer.alloc(8)
    frame.writeUInt32BE(4)
    frame.writeUInt32BE(id, 4)
    to.socket.write(frame)
  }
  const startOne = (to: Side): void => {
    pending.add(nextId)
    send(to, nextId)
    nextId += 1
  }
  onReplies(active, (id) => {
    pending.delete(id)
    if (active.socket.writable) startOne(active)
  })
  for (let index = 0; index < inFlight; index += 1) startOne(active)
  await warm(() => nextId > 2_000)
  const ms = await new Promise<number>((resolve) => {
    const killedMs = performance.now()
    onReplies(standby, () => resolve(performance.now() - killedMs))
    active.child.once('exit', () => {
      standby.child.send('promote')
      for (const id of pending) send(standby, id)
    })
    active.child.kill('SIGKILL')
  })
  standby.child.kill('SIGKILL')
  active.socket.destroy()
  standby.socket.destroy()
  return ms
}

async function side(path: string, role: 'active' | 'standby'): Promise<Side> {
  const child = spawn(process.execPath, ['-e', CHILD, path, role], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  await new Promise((resolve) => child.once('message', resolve))
  const socket = connect(path)
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.on('error', () => undefined)
  return { child, socket }
}

function onReplies(from: Side, onReply: (id: number) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  from.socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    for (; rest.length - at >= 8; at += 8) onReply(rest.readUInt32BE(at + 4))
    rest = rest.subarray(at)
  })
}

async function warm(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}
