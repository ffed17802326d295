import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRmd, openPort, type Rmd, unixTransport } from '../../ioc/index.ts'
import { FAULT_FILE_ENV, type FaultTable } from '../../ioc/internal.ts'
import { Echo, rejection } from './rmd-kit.ts'

/** Resolves when `holds` does; the test's own time-out is the deadline. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe('faults between nodes', () => {
  let runDir: string
  let version = 0
  const open: Rmd[] = []

  beforeEach(async () => {
    runDir = mkdtempSync(join(tmpdir(), 'hf-'))
    mkdirSync(join(runDir, 'faults'))
    process.env[FAULT_FILE_ENV] = join(runDir, 'faults', 'table')
    await set([])
  })
  afterEach(async () => {
    await set([])
    await Promise.all(open.splice(0).map((rmd) => rmd.close()))
    delete process.env[FAULT_FILE_ENV]
    rmSync(runDir, { recursive: true })
  })

  /** Changes the table and waits until every user of sockets goes by it. */
  async function set(faults: FaultTable['faults']): Promise<void> {
    version += 1
    const path = join(runDir, 'faults', 'table')
    writeFileSync(`${path}.new`, JSON.stringify({ version, nodes: {}, faults }))
    renameSync(`${path}.new`, path)
    await until(() =>
      readdirSync(join(runDir, 'faults'))
        .filter((file) => file.startsWith(`${process.pid}.`))
        .every((file) => readFileSync(join(runDir, 'faults', file), 'utf8') === String(version)),
    )
  }

  const cut = (a: number, b: number): FaultTable['faults'] => [
    { between: [a, b], cut: true, delayMs: 0 },
  ]

  async function program(node: number, port: number | null): Promise<Rmd> {
    const transport = unixTransport({ runDir })
    const limits = { sendQueueBytesMax: 1024 * 1024 }
    const rmd = createRmd({
      port: await openPort({ transport, node, port, name: `${node}:${port}`, limits }),
    })
    rmd.serve((call) => call.reply(call.payload))
    open.push(rmd)
    return rmd
  }

  it.each([
    ['a node', 2, 64],
    ['a client', 0, null],
  ] as const)('a cut from %s holds up calls and ends with the heal', async (_, node, port) => {
    await program(1, 64)
    const caller = await program(node, port)
    const client = caller.client(Echo, { to: '1:64' })
    expect(await client.echo('before')).toBe('before')
    await set(cut(1, node))
    const order: string[] = []
    const calls = ['first', 'second'].map((text) => client.echo(text).then((t) => order.push(t)))
    expect(await rejection(client.echo('late', { timeoutMs: 100 }))).toMatchObject({
      code: 'TIMEOUT',
      mayHaveRun: true,
    })
    expect(order).toEqual([])
    await set([])
    await Promise.all(calls)
    expect(order).toEqual(['first', 'second'])
  })

  it('a cut lets other pairs pass, new connections too', async () => {
    await program(1, 64)
    await program(2, 64)
    await set(cut(1, 2))
    const third = await program(3, 64)
    for (const to of ['1:64', '2:64']) {
      expect(await third.client(Echo, { to }).echo('x')).toBe('x')
    }
  })

  it('a connection that is made during a cut is made at the heal', async () => {
    await program(1, 64)
    const caller = await program(2, 64)
    await set(cut(1, 2))
    const answer = caller.client(Echo, { to: '1:64' }).echo('x')
    const hurried = caller.client(Echo, { to: '1:64', timeoutMs: 50 }).echo('y')
    expect(await rejection(hurried)).toMatchObject({ code: 'TIMEOUT' })
    await set([])
    expect(await answer).toBe('x')
  })

  it('hides the end of the other side until the heal', async () => {
    const server = await program(1, 64)
    const caller = await program(2, 64)
    const client = caller.client(Echo, { to: '1:64' })
    await client.echo('x')
    const deaths: number[] = []
    caller.onPresence(({ kind, address }) => void (kind === 'death' && deaths.push(address.node)))
    await set(cut(1, 2))
    await server.close()
    expect(await rejection(client.echo('x', { timeoutMs: 50 }))).toMatchObject({ code: 'TIMEOUT' })
    expect(deaths).toEqual([])
    await set([])
    await until(() => deaths.length === 1)
    expect(deaths).toEqual([1])
  })

  it('holds back a bounded amount: the sender is told TRY_AGAIN', async () => {
    await program(1, 64)
    const caller = await program(2, 64)
    const client = caller.client(Echo, { to: '1:64', oneWay: true })
    await client.echo('x')
    await set(cut(1, 2))
    const content = new Uint8Array(64 * 1024)
    let sent = 0
    let code = ''
    while (code === '' && sent < 1_000) {
      await client.bytes(content).then(
        () => (sent += 1),
        (error: { code: string }) => (code = error.code),
      )
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(code).toBe('TRY_AGAIN')
  })

  it('a delay counts each way, once, and keeps the order', async () => {
    await program(1, 64)
    const caller = await program(2, 64)
    const client = caller.client(Echo, { to: '1:64' })
    await client.echo('x')
    await set([{ between: [2, 1], cut: false, delayMs: 40 }])
    const startMs = performance.now()
    const order: number[] = []
    const numbers = Array.from({ length: 50 }, (_, i) => i)
    await Promise.all(numbers.map((i) => client.echo(`${i}`).then(() => order.push(i))))
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(79)
    expect(order).toEqual(numbers)
  })
})
