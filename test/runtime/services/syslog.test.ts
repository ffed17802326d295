import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../../ioc/index.ts'
import type { LogRecord } from '../../../runtime/services/log/interface.ts'
import { SyslogOutput } from '../../../runtime/services/log/syslog.ts'
import { parseSyslogTarget } from '../../../runtime/services/log/syslog-target.ts'

/** Machines may be busy. */
const SOON = { timeout: 15_000 }

let directory: string
const cleanUp: (() => unknown)[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-syslog-'))
})
afterEach(async () => {
  for (const one of cleanUp.splice(0).reverse()) await one()
  rmSync(directory, { recursive: true, force: true })
})

const record = (text: string, more: Partial<LogRecord> = {}): LogRecord => ({
  timeMs: 0,
  severity: 3,
  serviceId: 0,
  messageId: 1,
  sequence: 1,
  node: 'node1',
  component: 'a',
  pid: 7,
  area: '',
  context: '',
  text,
  fields: '',
  data: null,
  isCut: false,
  ...more,
})
const HEADER = '1970-01-01T00:00:00.000Z node1 a 7 1'
const BODY = '[holdfast@32473 stream="s" sequence="1" serviceId="0"]'

/** Pauses take a twentieth of their time. */
const quick: Clock = {
  nowMs: () => systemClock.nowMs(),
  after: (ms, run) => systemClock.after(ms / 20, run),
}

/** An output, and what it tells the log. */
function outputTo(target: string) {
  const told: { readonly text: string; readonly dropped: number }[] = []
  const say = (fields: unknown, text?: string): void => {
    const { dropped = 0 } = typeof fields === 'object' ? (fields as { dropped?: number }) : {}
    told.push({ text: text ?? String(fields), dropped })
  }
  const log = { info: say, warn: say }
  const output = new SyslogOutput({ target: parseSyslogTarget(target), log, clock: quick })
  cleanUp.push(() => output.close())
  const dropped = (): number => told.reduce((sum, one) => sum + one.dropped, 0)
  return { output, told, dropped, say: (text: string) => output.write('s', record(text)) }
}

/** A daemon with a datagram socket, as syslog daemons are: Perl's, which every Debian has. */
function daemon(path: string): {
  readonly got: () => string[]
  readonly stop: () => Promise<void>
} {
  let received = ''
  const program = `
    use IO::Socket::UNIX; $| = 1;
    my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die $!;
    print "ready\\n"; my $m; while (defined $s->recv($m, 65536)) { print "$m\\n"; }`
  const child = spawn('perl', ['-e', program, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  child.stdout.on('data', (chunk: Buffer) => (received += chunk.toString()))
  const stop = async (): Promise<void> => {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await gone
    rmSync(path, { force: true })
  }
  cleanUp.push(stop)
  return { got: () => received.split('\n').filter((line) => line !== ''), stop }
}

const childrenOf = (name: string, parent: number | undefined = process.pid): string[] => {
  const { stdout } = spawnSync('ps', ['--ppid', String(parent), '-o', 'pid=,comm='])
  return String(stdout)
    .split('\n')
    .flatMap((line) => (line.trim().endsWith(name) ? (line.trim().split(' ')[0] ?? []) : []))
}

describe('syslog over UDP', () => {
  it('is one datagram of RFC 5424 a record, cut at what receivers take', async () => {
    const got: string[] = []
    const server = createSocket('udp4', (message) => void got.push(message.toString()))
    cleanUp.push(() => server.close())
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
    const { output, say, told } = outputTo(`udp://127.0.0.1:${server.address().port}`)
    say('one')
    output.write('s', record('two\nlines', { severity: 16, fields: '{"q":"]"}' }))
    say('é'.repeat(2_000))
    await expect.poll(() => got.length, SOON).toBe(3)
    const fields = BODY.replace(']', ' fields="{\\"q\\":\\"\\]\\"}"]')
    expect(got.slice(0, 2)).toEqual([
      `<10>1 ${HEADER} ${BODY} one`,
      `<15>1 ${HEADER} ${fields} two lines`,
    ])
    expect(Buffer.byteLength(got[2] ?? '')).toBeGreaterThan(2_000)
    expect(Buffer.byteLength(got[2] ?? '')).toBeLessThanOrEqual(2_048)
    expect(got[2]).toMatch(/é$/)
    expect(told).toEqual([])
  })

  it('counts what is refused, and says so', async () => {
    const server = createSocket('udp4')
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
    const { port } = server.address()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    const { output, say, told } = outputTo(`udp://127.0.0.1:${port}`)
    say('one')
    // The refusal of the first is told by the second.
    await expect
      .poll(() => (say('more'), told.map(({ text }) => text)), SOON)
      .toEqual([`syslog: udp://127.0.0.1:${port} does not take records`])
    await output.close()
    expect(told.at(-1)?.text).toBe(`syslog: udp://127.0.0.1:${port} lost records`)
  })
})

describe('syslog behind a unix socket', () => {
  it('is a stream of lines where it takes one', async () => {
    let received = ''
    const path = join(directory, 'log')
    const server: Server = createServer((socket) => {
      socket.on('data', (chunk) => (received += String(chunk)))
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    cleanUp.push(() => server.close())
    const { output, say } = outputTo(path)
    say('one')
    say('two\r\nlines')
    const lines = `<10>1 ${HEADER} ${BODY} one\n<10>1 ${HEADER} ${BODY} two lines\n`
    await expect.poll(() => received, SOON).toBe(lines)
    say('last')
    await output.close()
    await expect.poll(() => received, SOON).toBe(`${lines}<10>1 ${HEADER} ${BODY} last\n`)
  })

  it('is reached through logger where it takes datagrams, again after the daemon was away', async () => {
    const path = join(directory, 'log')
    const first = daemon(path)
    await expect.poll(first.got, SOON).toEqual(['ready'])
    const { output, say, told } = outputTo(path)
    say('one')
    output.write('s', record('two\nlines', { severity: 16 }))
    output.write('s', record(`${'é'.repeat(9_000)}`))
    await expect.poll(() => first.got().length, SOON).toBe(4)
    const [, one = '', two, long = ''] = first.got()
    expect(one).toMatch(/^<10>\w{3} [ \d]\d [\d:]{8} /)
    expect(one.endsWith(` holdfast: a[7] node1: ${BODY} one`)).toBe(true)
    expect(two).toMatch(/^<15>.* two lines$/)
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(8_192)
    expect(Buffer.byteLength(long)).toBeGreaterThan(7_900)
    expect(childrenOf('logger')).toHaveLength(1)

    await first.stop()
    await expect.poll(() => (say('away'), told.length), SOON).toBeGreaterThan(0)
    expect(told[0]?.text).toBe(`syslog: ${path} does not take records`)
    expect(childrenOf('logger')).toEqual([])
    const second = daemon(path)
    await expect.poll(second.got, SOON).toContain('ready')
    say('back')
    await expect.poll(() => second.got().at(-1), SOON).toMatch(/ back$/)
    expect(told.map(({ text }) => text)).toContain(`syslog: ${path} is back`)

    // It ends with its output, in order.
    say('last')
    await output.close()
    expect(childrenOf('logger')).toEqual([])
    await expect.poll(() => second.got().at(-1), SOON).toMatch(/ last$/)
  }, 60_000)

  it('does not outlive the process that writes, however that ends', async () => {
    const path = join(directory, 'log')
    const { got } = daemon(path)
    await expect.poll(got, SOON).toEqual(['ready'])
    const file = new URL('../../../runtime/services/log/syslog-local.ts', import.meta.url)
    const program = `
      const { openLocalSyslog } = await import(${JSON.stringify(file.href)})
      const way = await openLocalSyslog(process.argv[1], { onDrain() {}, onDown() {} })
      way.send({ priority: 10, header: '', tag: 't', body: 'by a child' }, () => undefined)
      setInterval(() => undefined, 1_000)`
    const child: ChildProcess = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program, path],
      { stdio: 'inherit' },
    )
    await expect.poll(() => got().at(-1), SOON).toMatch(/ by a child$/)
    const [pid = 'none'] = childrenOf('logger', child.pid)
    expect(pid).toMatch(/^\d+$/)
    child.kill('SIGKILL')
    await expect.poll(() => spawnSync('ps', ['-p', pid]).status, SOON).toBe(1)
  }, 60_000)

  it('never waits: it keeps a bounded number while nobody takes them, and counts the rest', async () => {
    const path = join(directory, 'log')
    const { output, dropped, told } = outputTo(path)
    const text = 'x'.repeat(1_000)
    const count = 2_000
    for (let n = 0; n < count; n += 1) output.write('s', record(text, { sequence: n }))
    await expect.poll(() => told.length, SOON).toBeGreaterThan(0)
    let received = ''
    const server = createServer((socket) =>
      socket.on('data', (chunk) => (received += String(chunk))),
    )
    await new Promise<void>((resolve) => server.listen(path, resolve))
    cleanUp.push(() => server.close())
    // Opened again by itself, after a pause.
    await expect.poll(() => told.some((one) => one.text.endsWith('is back')), SOON).toBe(true)
    output.write('s', record('last'))
    await expect.poll(() => received, SOON).toContain('last')
    await output.close()
    const kept = received.split('\n').length - 2
    expect(kept).toBeGreaterThan(500)
    expect(kept).toBeLessThan(1_000)
    expect(kept + dropped()).toBe(count)
  }, 60_000)
})
