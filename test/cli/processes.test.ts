import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { processesOf } from '../../amf/operator/processes.ts'

const dir = realpathSync(mkdtempSync(join(tmpdir(), 'hf-ps-')))
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

/** A process that does nothing, with the words and variables given, ready when this resolves. */
async function idle(words: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const script = 'console.log("ready"); setInterval(() => {}, 1000)'
  const child = spawn(process.execPath, ['-e', script, '--', ...words], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  children.push(child)
  await new Promise((resolve) => child.stdout?.once('data', resolve))
  return child.pid ?? 0
}

it('finds the processes of a run directory by their words and the environment of agents', async () => {
  const tool = '/x/amf/cli/main.js'
  const up = await idle([tool, 'up', 'm.yaml', '--run-dir', dir])
  const node = await idle([tool, 'node', 'node1', '--model', 'm.yaml', '--run-dir', dir])
  const env = { HOLDFAST_RUN_DIR: dir, HOLDFAST_NODE: 'node1', HOLDFAST_COMPONENT: 'c1' }
  const component = await idle([tool, 'component', 'f.js', '--run-dir', dir], env)
  const grandchild = await idle(['helper'], env)
  await idle([tool, 'node', 'node1', '--run-dir', `${dir}x`])
  await idle(['a shell'], { HOLDFAST_RUN_DIR: dir })
  const found = processesOf(dir).map(({ pid, kind, name }) => ({ pid, kind, name }))
  expect(found.toSorted((a, b) => a.pid - b.pid)).toEqual(
    [
      { pid: up, kind: 'up', name: '' },
      { pid: node, kind: 'node', name: 'node1' },
      { pid: component, kind: 'component', name: 'c1' },
      { pid: grandchild, kind: 'other', name: 'c1' },
    ].toSorted((a, b) => a.pid - b.pid),
  )
})
