import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openPort, unixTransport } from '../../ioc/index.ts'
import { socketDirectory, socketPath } from '../../ioc/internal.ts'
import { rejection } from './rmd-kit.ts'

let top = ''
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'hf-'))
})
afterEach(() => rmSync(top, { recursive: true, force: true }))

describe('directory of the sockets', () => {
  it('is RUN_DIR/ioc, made with mode 0700', () => {
    const directory = socketDirectory(join(top, 'new', 'run'))
    expect(directory).toBe(join(top, 'new', 'run', 'ioc'))
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(statSync(join(top, 'new', 'run')).mode & 0o777).toBe(0o700)
  })

  it('lies elsewhere for a long path, the same for every process and another for each run directory', () => {
    const long = join(top, 'x'.repeat(100), 'run')
    const other = join(top, 'x'.repeat(100), 'run2')
    const directory = socketDirectory(long)
    const directories = [directory, socketDirectory(other)]
    try {
      expect(directory).toMatch(/^\/tmp\/holdfast-\d+\/[0-9a-f]{24}$/)
      expect(socketDirectory(long)).toBe(directory)
      expect(directories[1]).not.toBe(directory)
      const longest = socketPath(directory, { node: 1023, port: 1023 })
      expect(Buffer.byteLength(longest)).toBeLessThanOrEqual(107)
    } finally {
      for (const one of directories) rmSync(one, { recursive: true })
    }
  })

  it('refuses a run directory that others can enter', () => {
    chmodSync(top, 0o755)
    expect(() => socketDirectory(top)).toThrow(/mode 755.*chmod 700/)
  })

  it.each([undefined, null, 5, ''])('refuses %j as a run directory', (runDir) => {
    expect(() => socketDirectory(runDir as string)).toThrow(/runDir is .*: give the path/)
  })

  it('says so where it may not be made', () => {
    expect(() => socketDirectory('/sys/holdfast')).toThrow(/may not make .*run directory where you/)
  })

  it('refuses links and files in the place of a directory', async () => {
    mkdirSync(join(top, 'real'), { mode: 0o700 })
    symlinkSync(join(top, 'real'), join(top, 'link'))
    expect(() => socketDirectory(join(top, 'link'))).toThrow(/symbolic link/)
    symlinkSync(join(top, 'real'), join(top, 'real', 'ioc'))
    expect(() => socketDirectory(join(top, 'real'))).toThrow(/symbolic link/)
    writeFileSync(join(top, 'file'), '')
    for (const path of [join(top, 'file'), join(top, 'file', 'below')]) {
      const refusal = await rejection(Promise.resolve().then(() => socketDirectory(path)))
      expect(refusal).toMatchObject({ code: 'OP_NOT_PERMITTED', context: { path } })
      expect((refusal as Error).message).toContain('is not a directory: give another run directory')
    }
  })
})

describe('sockets of the unix transport', () => {
  const program = (port: number): ReturnType<typeof openPort> =>
    openPort({ transport: unixTransport({ runDir: top }), node: 1, port, name: 'p' })

  it('replaces what a killed process left, and refuses while one lives', async () => {
    const code = `
      const net = require('node:net')
      const server = net.createServer()
      server.listen(process.argv[1], () => console.log('up'))`
    const path = socketPath(socketDirectory(top), { node: 1, port: 64 })
    const child = spawn(process.execPath, ['-e', code, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    expect(await rejection(program(64))).toMatchObject({ code: 'ALREADY_EXIST' })
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(existsSync(path)).toBe(true)
    const port = await program(64)
    await port.close()
    expect(readdirSync(join(top, 'ioc'))).toEqual([])
  })

  it('gives a stale socket to exactly one of many that want it', async () => {
    const directory = socketDirectory(top)
    writeFileSync(socketPath(directory, { node: 1, port: 64 }), '') // answers ECONNREFUSED like a dead socket
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => program(64)))
    const ports = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(ports.length).toBe(1)
    await ports[0]!.close()
    expect(readdirSync(directory)).toEqual([])
  })

  it('draws ephemeral ports that are free', async () => {
    const ports = await Promise.all(Array.from({ length: 10 }, () => program(0)))
    const numbers = ports.map((port) => port.address.port)
    expect(new Set(numbers).size).toBe(10)
    for (const number of numbers) expect(number).toBeGreaterThanOrEqual(128)
    await Promise.all(ports.map((port) => port.close()))
  })
})
