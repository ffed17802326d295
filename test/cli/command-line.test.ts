import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { SdkError } from '../../idl/index.ts'
import { CommandFailure, exitCodeOf, UsageError } from '../../amf/cli/exit-code.ts'
import { buildProgram, runCommandLine } from '../../amf/cli/program.ts'
import type { CliIo } from '../../amf/cli/context.ts'

const home = mkdtempSync(join(tmpdir(), 'hf-cli-'))
afterAll(() => rmSync(home, { recursive: true, force: true }))

function capture(env: Record<string, string> = {}) {
  const written = { stdout: '', stderr: '' }
  const io: CliIo = {
    env: { HOME: home, ...env },
    stdout: (text) => void (written.stdout += text),
    stderr: (text) => void (written.stderr += text),
    isTerminal: false,
    signal: new AbortController().signal,
  }
  return { io, written }
}

async function run(words: readonly string[], env?: Record<string, string>) {
  const { io, written } = capture(env)
  const code = await runCommandLine(words, io)
  return { code, ...written }
}

const COMMANDS = [
  'adjust',
  'apply',
  'up',
  'down',
  'node',
  'component',
  'status',
  'state',
  'why',
  'wait',
  'call',
  'debug',
  'log',
  'check',
  'idl',
  'import',
  'simulate',
  'events',
  'lock',
  'unlock',
  'shutdown',
  'restart',
  'swap',
  'repair',
  'lock-instantiation',
  'unlock-instantiation',
  'eam-start',
  'eam-stop',
]

describe('help', () => {
  it('names every command', async () => {
    const { code, stdout } = await run(['--help'])
    expect(code).toBe(0)
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
    expect(stdout).toContain('Exit codes:')
  })

  it.each(COMMANDS)('%s has an example and the global options', async (command) => {
    const { code, stdout } = await run([command, '--help'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/Examples?:\n {2}holdfast /)
    expect(stdout).toContain('--run-dir')
    expect(stdout).toContain('--json')
  })

  it('has no command beyond the documented ones', async () => {
    const { commands } = await buildProgram(capture().io)
    expect(commands.map((command) => command.name()).toSorted()).toEqual(COMMANDS.toSorted())
  })

  it.each(COMMANDS)('%s is loaded without the others', async (name) => {
    const { commands } = await buildProgram(capture().io, ['--run-dir', 'x', name])
    expect(commands.map((command) => command.name())).toContain(name)
    expect(commands.length).toBeLessThan(COMMANDS.length)
  })
})

describe('usage errors end with 2', () => {
  it.each([
    [[]],
    [['nonsense']],
    [['status', 'extra']],
    [['state']],
    [['wait', 'sequenceSI']],
    [['status', '--timeout', 'soon']],
    [['status', '--timeout', '0']],
    [['status', '--no-such-option']],
    [['node', 'node1']],
    [['call', 'sequence', 'next']],
    [['call', '@sequence', 'next', '{broken']],
  ])('%j', async (words) => {
    const { code, stdout, stderr } = await run(words)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^holdfast: USAGE: /)
  })

  it('prints one JSON document with --json', async () => {
    const { code, stdout } = await run(['state', '--json'])
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toEqual({ error: { code: 'USAGE', message: expect.any(String) } })
  })

  it('suggests what may have been meant', async () => {
    expect((await run(['statsu'])).stderr).toContain('status')
    // Beside the name of another command, of which only that one is loaded at first.
    expect((await run(['statsu', 'idl'])).stderr).toContain('status')
  })
})

describe('choice of the cluster', () => {
  it('ends with 3 when there is none, and says how to start one', async () => {
    const { code, stderr } = await run(['status'])
    expect(code).toBe(3)
    expect(stderr).toMatch(/^holdfast: NOT_EXIST: no cluster under .*holdfast up MODEL/)
  })

  it('ends with 3 for a directory that is not there', async () => {
    const { code, stdout } = await run(['status', '--json', '--run-dir', join(home, 'absent')])
    expect(code).toBe(3)
    expect(JSON.parse(stdout).error.code).toBe('NOT_EXIST')
  })

  it('ends with 3 and a list when there are several', async () => {
    const parent = join(home, '.local', 'state', 'holdfast')
    for (const name of ['billing', 'sequence']) mkdirSync(join(parent, name), { recursive: true })
    const { code, stderr } = await run(['status'])
    expect(code).toBe(3)
    expect(stderr).toContain('billing, sequence')
    rmSync(parent, { recursive: true })
  })

  it('ends with 3 for a cluster that does not run', async () => {
    const runDir = join(home, 'stopped')
    mkdirSync(runDir, { mode: 0o700 })
    for (const command of ['status', 'down'])
      expect((await run([command, '--run-dir', runDir])).code).toBe(3)
    expect((await run(['status'], { HOLDFAST_RUN_DIR: runDir })).code).toBe(3)
  })
})

describe('check', () => {
  const good = 'samples/sequence/cluster.yaml'

  it('sums up a good model', async () => {
    const { code, stdout } = await run(['check', good, '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      cluster: 'sequence',
      nodes: ['node1', 'node2'],
      serviceInstances: ['sequenceSI'],
    })
    expect((await run(['check', good])).stdout).toContain('good: cluster sequence, 2 nodes')
  })

  it('ends with 1 and the path of each mistake', async () => {
    const file = join(home, 'bad.yaml')
    writeFileSync(file, 'cluster: x\nnodes: { n: {} }\nserviceGroups: { g: { redundancy: 3N } }\n')
    const { code, stderr, stdout } = await run(['check', file, '--json'])
    expect(code).toBe(1)
    expect(stderr).toContain('serviceGroups.g.redundancy')
    expect(JSON.parse(stdout).error.code).toBe('INVALID_PARAMETER')
  })

  it('ends with 3 for a file that is not there', async () => {
    expect((await run(['check', join(home, 'none.yaml')])).code).toBe(3)
  })

  it('is what up and node say about a broken model, before anything starts', async () => {
    const file = join(home, 'bad.yaml')
    for (const words of [
      ['up', file],
      ['up', file, '--detach'],
      ['node', 'n', '--model', file],
    ]) {
      const { code, stderr } = await run([...words, '--run-dir', join(home, 'never')])
      expect(code).toBe(1)
      expect(stderr).toContain('serviceGroups.g.redundancy')
    }
  })
})

it('node refuses a node that the model does not have', async () => {
  const { code, stderr } = await run(['node', 'node9', '--model', 'samples/sequence/cluster.yaml'])
  expect(code).toBe(3)
  expect(stderr).toContain('node1, node2')
})

it.each<[unknown, number]>([
  [new SdkError('NOT_EXIST', ''), 3],
  [new SdkError('NAME_NOT_FOUND', ''), 3],
  [new SdkError('BAD_OPERATION', ''), 4],
  [new SdkError('NO_OP', ''), 4],
  [new SdkError('ALREADY_EXIST', ''), 4],
  [new SdkError('TIMEOUT', ''), 5],
  [new SdkError('TRY_AGAIN', ''), 5],
  [new SdkError('HANDLER_FAILED', ''), 1],
  [new SdkError('COMP_UNREACHABLE', ''), 1],
  [new UsageError('x'), 2],
  [new CommandFailure('X', 'y', 5), 5],
  [new TypeError('a bug'), 1],
])('%s ends with %i', (error, code) => {
  expect(exitCodeOf(error)).toBe(code)
})
