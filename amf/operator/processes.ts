import { readdirSync, readFileSync } from 'node:fs'

/** What a process of a cluster is, told from its command line. */
export type ProcessKind = 'up' | 'node' | 'component' | 'tool' | 'other'

export interface ClusterProcess {
  readonly pid: number
  readonly parentPid: number
  /** One letter of `/proc/PID/stat`: `Z` is a zombie, `T` is stopped. */
  readonly state: string
  readonly kind: ProcessKind
  /** Node or component name where it can be told, else ''. */
  readonly name: string
  readonly command: string
}

interface ProcessRow {
  readonly pid: number
  readonly parentPid: number
  readonly state: string
  readonly argv: readonly string[]
  readonly environ: ReadonlyMap<string, string>
}

const TOOLS = new Set(['status', 'state', 'why', 'wait', 'call', 'events', 'down', 'check'])

/**
 * Lists every process of this machine that belongs to a run directory, by `/proc`: its command line has
 * `--run-dir DIR`, its environment is that which agents give (`HOLDFAST_RUN_DIR=DIR` and `HOLDFAST_NODE`), or it is
 * an unreaped child of one of them. The calling process itself is left out. Processes of other users whose files
 * cannot be read are not seen.
 */
export function processesOf(runDir: string): readonly ClusterProcess[] {
  const rows = readTable()
  const own = rows.filter((row) => row.pid !== process.pid && belongs(row, runDir))
  const pids = new Set(own.map((row) => row.pid))
  const zombies = rows.filter((row) => row.state === 'Z' && pids.has(row.parentPid))
  return [...own, ...zombies.filter((row) => !pids.has(row.pid))].map(describe)
}

function belongs(row: ProcessRow, runDir: string): boolean {
  const at = row.argv.indexOf('--run-dir')
  if (at >= 0 && row.argv[at + 1] === runDir) return true
  if (row.argv.includes(`--run-dir=${runDir}`)) return true
  // The variable alone proves nothing: an operator may have exported it in a shell.
  return row.environ.get('HOLDFAST_RUN_DIR') === runDir && row.environ.has('HOLDFAST_NODE')
}

function describe(row: ProcessRow): ClusterProcess {
  const { pid, parentPid, state, argv, environ } = row
  const command = argv.join(' ')
  const verb = argv.find((word, index) => index > 0 && isVerb(argv[index - 1] ?? '', word))
  const base = { pid, parentPid, state, command }
  if (verb === 'up') return { ...base, kind: 'up', name: '' }
  if (verb === 'node')
    return { ...base, kind: 'node', name: argv[argv.indexOf('node', 1) + 1] ?? '' }
  if (verb === 'component')
    return { ...base, kind: 'component', name: environ.get('HOLDFAST_COMPONENT') ?? '' }
  if (verb !== undefined && TOOLS.has(verb)) return { ...base, kind: 'tool', name: '' }
  return { ...base, kind: 'other', name: environ.get('HOLDFAST_COMPONENT') ?? '' }
}

/** The word after the command line tool's own file is its command. */
function isVerb(before: string, word: string): boolean {
  return /(?:cli\/main\.(?:js|ts)|\/holdfast)$/.test(before) && !word.startsWith('-')
}

function readTable(): readonly ProcessRow[] {
  const rows: ProcessRow[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const row = tryReadRow(Number(entry))
    if (row !== null) rows.push(row)
  }
  return rows
}

function tryReadRow(pid: number): ProcessRow | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
    return {
      pid,
      parentPid: Number(fields[1]),
      state: fields[0] ?? '?',
      argv,
      environ: readEnviron(pid),
    }
  } catch {
    return null // Gone meanwhile.
  }
}

function readEnviron(pid: number): ReadonlyMap<string, string> {
  try {
    const text = readFileSync(`/proc/${pid}/environ`, 'utf8')
    return new Map(
      text
        .split('\0')
        .filter((line) => line.startsWith('HOLDFAST_'))
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
  } catch {
    return new Map()
  }
}
