import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { type FlowEvent, openPort, type Port, unixTransport } from '../../ioc/index.ts'
import { encodeHello, socketDirectory, socketPath } from '../../ioc/internal.ts'

const AT = { node: 1, port: 64 }
const ME = { node: 1, port: 65 }
const LIMIT = 4 * 1024 * 1024

/** Says hello, then counts what it reads and says the count whenever it changes. */
const READER = `
  const [path, hello] = process.argv.slice(1)
  const socket = require('node:net').connect(path)
  socket.write(Buffer.from(hello, 'hex'))
  let bytes = 0
  socket.on('data', (chunk) => console.log((bytes += chunk.length)))
`

let runDir = ''
let port: Port
let reader: ChildProcess
beforeEach(async () => {
  runDir = mkdtempSync(join(tmpdir(), 'hf-'))
  const limits = { sendQueueBytesMax: LIMIT }
  port = await openPort({ transport: unixTransport({ runDir }), ...AT, name: 'sender', limits })
})
afterEach(async () => {
  reader.kill('SIGKILL')
  await port.close()
  rmSync(runDir, { recursive: true })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

it('keeps its memory when a reader is stopped, and goes on when it continues', async () => {
  const hello = encodeHello({ address: ME, caller: '00000000000000aa', name: 'reader' })
  const path = socketPath(socketDirectory(runDir), AT)
  const args = ['-e', READER, path, Buffer.from(hello).toString('hex')]
  reader = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let read = 0
  reader.stdout!.setEncoding('utf8')
  reader.stdout!.on('data', (text: string) => {
    read = Number(text.trim().split('\n').at(-1))
  })
  await until(() => port.peers().length === 1 && read > 0)
  reader.kill('SIGSTOP')

  const events: FlowEvent[] = []
  port.onFlow((event) => void events.push(event))
  const piece = new Uint8Array(64 * 1024)
  const residentBefore = process.memoryUsage.rss()
  let refusedCount = 0
  // A hundred times as much as may wait.
  for (let i = 0; i < 100 * (LIMIT / piece.length); i += 1) {
    try {
      port.send('1:65', piece, { protocol: 0x80 })
    } catch (error) {
      expect(isSdkError(error, 'TRY_AGAIN')).toBe(true)
      refusedCount += 1
    }
    if (i % 50 === 0) await new Promise(setImmediate)
  }
  const statistics = port.statistics()
  expect(refusedCount).toBeGreaterThan(90 * (LIMIT / piece.length))
  expect(statistics.refusedCount).toBe(refusedCount)
  expect(statistics.queuedBytesHigh).toBeLessThanOrEqual(LIMIT)
  expect(events.map(({ kind }) => kind)).toEqual(['blocked'])
  expect(process.memoryUsage.rss() - residentBefore).toBeLessThan(16 * LIMIT)

  reader.kill('SIGCONT')
  await until(() => events.length === 2)
  expect(events[1]).toMatchObject({ kind: 'resumed', lane: 'normal', address: ME })
  port.send('1:65', piece, { protocol: 0x80 })
  await until(() => read === port.statistics().bytesOut && port.statistics().queuedBytes === 0)
  reader.kill('SIGKILL')
  await once(reader, 'exit')
  await until(() => port.peers().length === 0)
})
