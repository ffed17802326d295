import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'

/** A Redis of our own without any file, on a unix socket; null where none is installed. */
export async function startRedis(
  directory: string,
): Promise<{ readonly store: (value: Buffer) => Promise<void>; stop(): void } | null> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return null
  const path = join(directory, 'redis.sock')
  const options = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no']
  const child = spawn('redis-server', options, { stdio: 'ignore' })
  const socket = await connected(path, child)
  const waiting: (() => void)[] = []
  socket.on('data', (chunk: Buffer) => {
    // Each answer is "+OK" with a line end; nothing else ends with a line feed here.
    for (const byte of chunk) if (byte === 0x0a) waiting.shift()?.()
  })
  let key = 0
  return {
    store: (value) =>
      new Promise((resolve) => {
        waiting.push(resolve)
        const name = `s${key++ % 100}`
        socket.cork()
        socket.write(`*3\r\n$3\r\nSET\r\n$${name.length}\r\n${name}\r\n$${value.length}\r\n`)
        socket.write(value)
        socket.write('\r\n')
        process.nextTick(() => socket.uncork())
      }),
    stop: () => {
      socket.destroy()
      child.kill('SIGKILL')
    },
  }
}

async function connected(path: string, child: ChildProcess): Promise<Socket> {
  for (let tries = 0; tries < 200; tries++) {
    const socket = connect(path)
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    if (isOpen) return socket
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  child.kill('SIGKILL')
  throw new Error('redis-server does not answer')
}
