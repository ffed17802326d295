import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { identityOf, isAlive } from '../../../ioc/backplane/internal.ts'
import { sweepOrphans } from '../../../amf/node/orphans.ts'
import {
  guardedArguments,
  launchProcess,
  runCommand,
  type LaunchedProcess,
  type LaunchOptions,
} from '../../../amf/node/process-launcher.ts'
import { environOf, listProcesses } from '../../../amf/node/process-table.ts'

let directory: string
const launched: LaunchedProcess[] = []
const children: ChildProcess[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-launch-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const one of launched.splice(0)) {
    one.kill()
    await one.exited
  }
  for (const pid of marked()) process.kill(pid, 'SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

const env = (): Record<string, string> => ({ PATH: '/usr/bin:/bin', HF_TEST: directory })

/** Processes that this test started, however they came to be. */
const marked = (): number[] =>
  listProcesses()
    .map(({ pid }) => pid)
    .filter((pid) => environOf(pid)?.get('HF_TEST') === directory && pid !== process.pid)

function launch(argv: readonly string[], options: Partial<LaunchOptions> = {}): LaunchedProcess {
  const one = launchProcess({ argv, env: env(), logFile: null, ...options })
  launched.push(one)
  return one
}

const shell = (script: string): string[] => ['sh', '-c', script]

describe('launchProcess', () => {
  it('runs the program itself under its pid, with its arguments, environment and directory', async () => {
    const logFile = join(directory, 'logs', 'component.log')
    const script = 'echo "$$|$HF_TEST|$PWD|$HOLDFAST_PARENT_PID|$1"'
    const one = launch([...shell(script), 'sh', "it's $HOME -- 1"], {
      cwd: directory,
      logFile,
    })
    expect(await one.exited).toEqual({ code: 0, signal: null })
    await one.drained
    const words = readFileSync(logFile, 'utf8').trim().split('|')
    expect(words).toEqual([
      String(one.pid),
      directory,
      directory,
      String(process.pid),
      "it's $HOME -- 1",
    ])
    expect(statSync(logFile).mode & 0o777).toBe(0o600)
  })

  it('tells the exit code, the signal and the last words', async () => {
    const failed = launch(shell('echo out; echo broken >&2; exit 3'))
    expect(await failed.exited).toEqual({ code: 3, signal: null })
    await failed.drained
    expect(failed.stderrTail()).toBe('broken\n')
    const killed = launch(['sleep', '60'])
    killed.kill()
    expect(await killed.exited).toEqual({ code: null, signal: 'SIGKILL' })
    killed.kill()
    killed.signal('SIGTERM')
  })

  it('keeps the last 8 KiB of standard error only', async () => {
    const one = launch(shell('seq 1 20000 >&2; echo end >&2'))
    await one.exited
    await one.drained
    expect(one.stderrTail()).toHaveLength(8 * 1024)
    expect(one.stderrTail().endsWith('20000\nend\n')).toBe(true)
  })

  it('bounds the log: two files of the given size, the newest lines last', async () => {
    const logFile = join(directory, 'c.log')
    const one = launch(shell('for i in $(seq 1 30); do seq $i 2000; sleep 0.002; done; echo end'), {
      logFile,
      logSizeBytesMax: 65_536,
    })
    await one.exited
    await one.drained
    const [now, before] = [statSync(logFile).size, statSync(`${logFile}.1`).size]
    expect(now).toBeLessThanOrEqual(65_536 * 2)
    expect(before).toBeLessThanOrEqual(65_536 * 2)
    expect(readFileSync(logFile, 'utf8').endsWith('end\n')).toBe(true)
  })

  it.each(['', 'kill -STOP $$; '])('kills a process with its children (%s)', async (before) => {
    const one = launch(shell(`sleep 60 & sleep 60 & ${before}wait`))
    await expect.poll(() => marked().length, { timeout: 5_000 }).toBe(3)
    one.kill()
    await one.exited
    await expect.poll(marked, { timeout: 5_000 }).toEqual([])
  })

  it('kills what the process left in its group when it ends by itself', async () => {
    const one = launch(shell('sleep 60 & exit 0'))
    expect((await one.exited).code).toBe(0)
    await expect.poll(marked, { timeout: 5_000 }).toEqual([])
  })

  it.each([
    ['a program that is not there', { argv: ['./none'] }, 'NOT_EXIST', './none'],
    ['a name that PATH does not have', { argv: ['no-such-program'] }, 'NOT_EXIST', 'PATH'],
    ['a file that cannot be executed', { argv: ['/etc/passwd'] }, 'NOT_EXIST', '/etc/passwd'],
    ['a directory', { argv: ['/etc'] }, 'NOT_EXIST', '/etc'],
    ['nothing', { argv: [] }, 'NOT_EXIST', '""'],
    ['a working directory that is not there', { cwd: '/no/where' }, 'NOT_EXIST', '/no/where'],
  ])('refuses %s by name', (_, options, code, word) => {
    const start = (): unknown => launch(['true'], options)
    expect(start).toThrow(expect.objectContaining({ code, message: expect.stringContaining(word) }))
  })

  it('refuses to start children from a worker thread, whose end would kill them', async () => {
    const launcher = new URL('../../../amf/node/process-launcher.ts', import.meta.url).href
    const worker = new Worker(
      `import('tsx/esm/api').then(({ register }) => { register()
        return import(${JSON.stringify(launcher)}) })
        .then((it) => it.launchProcess({ argv: ['true'], env: {}, logFile: null }))
        .catch((error) => require('worker_threads').parentPort.postMessage(error.code))`,
      { eval: true },
    )
    const [code] = (await once(worker, 'message')) as [string]
    await worker.terminate()
    expect(code).toBe('INVALID_STATE')
  })
})

describe('a command that leaves a program running', () => {
  it('bounds the output of that, as long as it writes', async () => {
    const logFile = join(directory, 'daemon.log')
    const size = { logFile, logSizeBytesMax: 10_000 }
    const line = `line $i ${'-'.repeat(40)}`
    const script = `(i=0; while [ $i -lt 1200 ]; do echo "${line}"; i=$((i+1)); done; echo end) &`
    const one = launch(shell(script), { ...size, leavesProcesses: true })
    expect(await one.exited).toEqual({ code: 0, signal: null })
    const text = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '')
    await expect.poll(() => text(logFile), { timeout: 10_000 }).toContain('end')
    expect(statSync(`${logFile}.1`).size).toBeGreaterThan(0)
    for (const file of [logFile, `${logFile}.1`]) {
      expect(statSync(file).size).toBeLessThan(10_000 + 70_000)
    }
  })

  it('tells its last words when it fails, and leaves nothing', async () => {
    const one = launch(shell('sleep 600 & echo no disk >&2; exit 3'), { leavesProcesses: true })
    expect(await one.exited).toEqual({ code: 3, signal: null })
    await one.drained
    expect(one.stderrTail()).toBe('no disk\n')
    expect(marked()).toEqual([])
  })
})

describe('runCommand', () => {
  const run = (argv: string[], timeoutMs: number) =>
    runCommand({ argv, env: env(), logFile: null, timeoutMs })

  it('runs a command to its end', async () => {
    const end = await run(shell('echo no >&2; exit 4'), 10_000)
    expect(end).toEqual({ code: 4, signal: null, timedOut: false, stderrTail: 'no\n' })
  })

  it('kills one that takes too long, with its children', async () => {
    const end = await run(shell('sleep 60 & sleep 60'), 100)
    expect(end).toMatchObject({ code: null, signal: 'SIGKILL', timedOut: true })
    await expect.poll(marked, { timeout: 5_000 }).toEqual([])
  })
})

describe('a launcher that is killed', () => {
  const PROGRAM = fileURLToPath(new URL('./launcher-program.ts', import.meta.url))

  function launcher(mode: string): ChildProcess {
    const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, directory, mode], {
      env: { ...env(), HOLDFAST_PARENT_PID: String(process.pid) },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    return child
  }

  it('takes its children with it', async () => {
    const child = launcher('one')
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
    const identity = identityOf(Number(line))!
    expect(isAlive(identity)).toBe(true)
    child.kill('SIGKILL')
    await expect.poll(() => isAlive(identity), { timeout: 5_000 }).toBe(false)
  })

  it('is missed by a child that became an orphan before the kernel knew', async () => {
    const run = (parentPid: number): ChildProcess =>
      spawn('setpriv', guardedArguments(parentPid, ['/bin/sh', '-c', 'echo ran']))
    const orphan = run(process.pid + 1)
    let output = ''
    orphan.stdout!.on('data', (chunk) => (output += String(chunk)))
    expect(await once(orphan, 'close')).toEqual([125, null])
    expect(output).toBe('')
    expect(await once(run(process.pid), 'close')).toEqual([0, null])
  })

  it('takes its children with it at any moment, also between fork and exec', async () => {
    for (let turn = 0; turn < 4; turn++) {
      const child = launcher('many')
      const exit = once(child, 'exit')
      const lines = createInterface({ input: child.stdout! })
      await once(lines, 'line')
      await new Promise((done) => setTimeout(done, 5 + 7 * turn))
      child.kill('SIGKILL')
      await exit
      await expect.poll(marked, { timeout: 15_000 }).toEqual([])
    }
  }, 60_000)

  it('leaves grandchildren of their own session to the sweep, which spares everybody else', async () => {
    const child = launcher('daemon')
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
    const daemon = identityOf(Number(line))!
    const bystanders = [
      { ...env(), HOLDFAST_RUN_DIR: directory },
      { ...env(), HOLDFAST_RUN_DIR: directory, HOLDFAST_NODE: 'n1' },
      {
        ...env(),
        HOLDFAST_RUN_DIR: directory,
        HOLDFAST_NODE: 'n1',
        HOLDFAST_PARENT_PID: String(process.pid),
      },
      {
        ...env(),
        HOLDFAST_RUN_DIR: `${directory}-other`,
        HOLDFAST_NODE: 'n1',
        HOLDFAST_PARENT_PID: '0',
      },
    ].map((environ) => spawn('sleep', ['60'], { env: environ }))
    children.push(...bystanders)
    // Its launcher lives: it is no orphan.
    expect(await sweepOrphans(directory)).toEqual([])
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isAlive(daemon)).toBe(true)
    expect(await sweepOrphans(directory, 'n2')).toEqual([])
    expect(isAlive(daemon)).toBe(true)
    expect(await sweepOrphans(directory, 'n1')).toContain(daemon.pid)
    expect(isAlive(daemon)).toBe(false)
    for (const { exitCode, signalCode } of bystanders) expect(exitCode ?? signalCode).toBeNull()
  })
})
