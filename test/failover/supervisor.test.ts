import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { environOf, listProcesses } from '../../amf/node/process-table.ts'

let runDir: string
let children: ChildProcess[]

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'hf-sup-'))
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await expect.poll(tree, { timeout: 10_000 }).toEqual([])
  rmSync(runDir, { recursive: true, force: true })
})

/** Everything that runs with this run directory in its environment. */
const tree = (): number[] =>
  listProcesses()
    .map(({ pid }) => pid)
    .filter((pid) => environOf(pid)?.get('HOLDFAST_RUN_DIR') === runDir)

/** Name of the program, '' when it has ended. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Launchers: they have not asked yet to die with their parent, and frozen they could not. */
const LAUNCHERS = ['setpriv', 'sh']
/** Translates TypeScript beside a program whose cache is cold. */
const HELPERS = ['esbuild']
const isLaunched = (pid: number): boolean =>
  !['', ...LAUNCHERS, ...HELPERS].includes(commandOf(pid))

describe('a node process', () => {
  const MAIN = fileURLToPath(new URL('../../dist/amf/cli/main.js', import.meta.url))
  const MODEL = fileURLToPath(new URL('../../samples/sequence/cluster.yaml', import.meta.url))

  /** Sends itself SIGTERM so long after the listener of this number for it was added. */
  function startAndStop(listener: number, afterMs: number): Promise<unknown[]> {
    const code = `let count = 0
      process.on('newListener', (event) => {
        if (event !== 'SIGTERM' || ++count !== ${listener}) return
        setTimeout(() => process.kill(process.pid, 'SIGTERM'), ${afterMs})
      })`
    const words = [
      'node',
      'node1',
      '--model',
      MODEL,
      '--run-dir',
      join(runDir, `${children.length}`),
    ]
    const hook = `data:text/javascript,${encodeURIComponent(code)}`
    const child = spawn(process.execPath, ['--import', hook, MAIN, ...words], { stdio: 'ignore' })
    children.push(child)
    return once(child, 'exit')
  }

  it('stops in order at whatever moment of its start it is told to', async () => {
    // The first listener is the program's, while it loads the node's modules; the second the node's own.
    const moments = [startAndStop(1, 0), ...[0, 20, 100, 400].map((ms) => startAndStop(2, ms))]
    expect(await Promise.all(moments)).toEqual(moments.map(() => [0, null]))
  }, 30_000)
})

describe('a supervisor that is killed', () => {
  const PROGRAM = fileURLToPath(new URL('../amf/node/supervisor-program.ts', import.meta.url))

  /** Resolves with the first line that it tells. */
  async function launch(): Promise<{
    child: ChildProcess
    first: { kind: string; code?: string }
  }> {
    const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, runDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    const lines = createInterface({ input: child.stdout! })
    const silent = once(lines, 'close').then(() => {
      throw new Error(`the supervisor ended without a word: ${child.exitCode ?? child.signalCode}`)
    })
    const [line] = (await Promise.race([once(lines, 'line'), silent])) as [string]
    silent.catch(() => undefined)
    return { child, first: JSON.parse(line) as { kind: string; code?: string } }
  }

  it('takes the whole tree with it; a new one takes over its run directory', async () => {
    const { child } = await launch()
    // Two nodes, one component each.
    await expect.poll(() => tree().filter(isLaunched).length, { timeout: 10_000 }).toBe(4)
    expect((await launch()).first).toEqual({ kind: 'refused', code: 'ALREADY_EXIST' })
    const killedMs = performance.now()
    child.kill('SIGKILL')
    await expect.poll(tree, { timeout: 5_000, interval: 2 }).toEqual([])
    console.log(`up killed -> nothing left: ${(performance.now() - killedMs).toFixed(1)} ms`)
    expect((await launch()).first.kind).toBe('nodeStarted')
  })

  it('leaves nothing at any moment of its start', async () => {
    for (let turn = 0; turn < 5; turn++) {
      const { child } = await launch()
      await new Promise((done) => setTimeout(done, 60 * turn))
      child.kill('SIGKILL')
      await expect.poll(tree, { timeout: 5_000 }).toEqual([])
    }
  })

  it('comes with a node that was frozen', async () => {
    const { child } = await launch()
    await expect.poll(() => tree().filter(isLaunched).length, { timeout: 10_000 }).toBe(4)
    for (const pid of tree()) process.kill(pid, 'SIGSTOP')
    child.kill('SIGKILL')
    await expect.poll(tree, { timeout: 5_000 }).toEqual([])
  })
})
