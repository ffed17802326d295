import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { SdkError } from '../../idl/index.ts'
import { processesOf } from './processes.ts'

export interface RunDirChoice {
  /** Value of `--run-dir`. */
  readonly option: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Parent of the default run directories: `~/.local/state/holdfast`. */
export function defaultRunDirParent(env: Readonly<Record<string, string | undefined>>): string {
  return join(env['HOME'] ?? homedir(), '.local', 'state', 'holdfast')
}

/** The run directory of a cluster that is about to start: the given one, else the default for the cluster's name. */
export function runDirOfCluster(choice: RunDirChoice, cluster: string): string {
  return canonical(given(choice) ?? join(defaultRunDirParent(choice.env), cluster))
}

/**
 * The run directory of a cluster that should exist: the given one; else the only one under the default parent; else the
 * only one there that has processes.
 *
 * @throws SdkError NOT_EXIST naming what is there and how to choose.
 */
export function findRunDir(choice: RunDirChoice): string {
  const named = given(choice)
  if (named !== undefined) return existing(named)
  const parent = defaultRunDirParent(choice.env)
  const names = existsSync(parent)
    ? readdirSync(parent, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
        .toSorted()
    : []
  if (names.length === 1) return canonical(join(parent, names[0] ?? ''))
  const running = names.filter((name) => isRunning(canonical(join(parent, name))))
  if (running.length === 1) return canonical(join(parent, running[0] ?? ''))
  if (names.length === 0) {
    throw new SdkError(
      'NOT_EXIST',
      `no cluster under ${parent}; start one with "holdfast up MODEL", or name one with --run-dir DIR`,
    )
  }
  const list = names.map((name) => (running.includes(name) ? `${name} (running)` : name)).join(', ')
  throw new SdkError(
    'NOT_EXIST',
    `several clusters under ${parent}: ${list}; choose with --run-dir ${join(parent, 'NAME')}`,
  )
}

/** True when a node process or a supervisor of the run directory is there. */
export function isRunning(runDir: string): boolean {
  return processesOf(runDir).some(
    (one) => (one.kind === 'up' || one.kind === 'node') && one.state !== 'Z',
  )
}

/** Pid that a node process wrote to its `node.json`; null when there is none. */
export function nodePid(runDir: string, node: string): number | null {
  return pidIn(join(runDir, 'nodes', node, 'node.json'))
}

function pidIn(file: string): number | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return findPid(value)
  } catch {
    return null
  }
}

function findPid(value: unknown): number | null {
  if (typeof value !== 'object' || value === null) return null
  if ('pid' in value && typeof value.pid === 'number') return value.pid
  if ('process' in value) return findPid(value.process)
  return null
}

function given(choice: RunDirChoice): string | undefined {
  const named = choice.option ?? choice.env['HOLDFAST_RUN_DIR']
  return named === undefined || named === '' ? undefined : resolve(named)
}

function existing(runDir: string): string {
  if (!existsSync(runDir))
    throw new SdkError('NOT_EXIST', `no cluster at ${runDir}: the directory does not exist`)
  return canonical(runDir)
}

/** The same directory always has the same text: processes are recognised by it. */
function canonical(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}
