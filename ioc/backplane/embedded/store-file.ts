import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { ProcessIdentity } from '../backplane.ts'
import { isAlive } from '../process-identity.ts'
import { FORMAT_VERSION } from './leader-record.ts'
import { lmdbFileProblem } from '../../lmdb-file.ts'
import { SdkError } from '../../../idl/index.ts'

/**
 * LMDB maps its file into memory: a torn or foreign file does not throw, it ends the process by
 * SIGSEGV or SIGBUS. So the file is looked at before it is opened: the two meta pages and the
 * length each time (microseconds), and all of it by a child process when the last opening did not
 * come to its end.
 */

const HALF_MADE_BYTES_MAX = 8192
const FORMAT_FILE = 'format'
const CHECK_TIMEOUT_MS = 10_000

/** True once the store was made completely: the format file is written last. */
export function storeExists(directory: string): boolean {
  return existsSync(join(directory, FORMAT_FILE))
}

/**
 * Says that the store is complete. The word is brought to the disk, since all later checks rest on
 * it.
 */
export function markStoreComplete(directory: string): void {
  if (storeExists(directory)) return
  const temporary = join(directory, `.${FORMAT_FILE}`)
  const descriptor = openSync(temporary, 'w', 0o600)
  writeSync(descriptor, `holdfast control store, format ${FORMAT_VERSION}\n`)
  fsyncSync(descriptor)
  closeSync(descriptor)
  renameSync(temporary, join(directory, FORMAT_FILE))
}

/**
 * Only for the holder of the writer's lock when {@link storeExists} is false: removes what a
 * process left that died while it made the store. A file with more than the two first pages holds
 * data and is left alone.
 */
export function removeHalfMade(directory: string): void {
  const file = join(directory, 'data.mdb')
  if (!existsSync(file) || lmdbFileProblem(file) === undefined) return
  if (statSync(file).size > HALF_MADE_BYTES_MAX) return
  rmSync(file, { force: true })
  rmSync(join(directory, 'lock.mdb'), { force: true })
}

/**
 * @throws SdkError FAILED_OPERATION naming the file and the remedy when the store in `directory` is
 * damaged.
 */
export function checkStoreFile(directory: string): void {
  const file = join(directory, 'data.mdb')
  if (!existsSync(file) || statSync(file).size === 0) {
    if (storeExists(directory)) throw damaged(directory, 'it is missing or empty')
    return
  }
  const problem = lmdbFileProblem(file)
  if (problem !== undefined) throw damaged(directory, problem)
}

/**
 * Runs `open`, which opens and reads the whole store, between setting and removing a marker. A
 * marker left by a process that died in between makes the next one check the store in a child
 * process first.
 */
export function withOpeningMarker<T>(
  { directory, node, own }: { directory: string; node: string; own: ProcessIdentity },
  open: () => T,
): T {
  const marker = join(directory, `opening.${node}`)
  if (wasLeftBehind(marker)) checkInChild(directory)
  writeFileSync(marker, JSON.stringify(own), { mode: 0o600 })
  try {
    return open()
  } finally {
    rmSync(marker, { force: true })
  }
}

/** The error for a store that cannot be used, with the remedy. */
export function damaged(directory: string, problem: string, cause?: unknown): SdkError {
  const file = join(directory, 'data.mdb')
  return new SdkError(
    'FAILED_OPERATION',
    `the control store ${file} is damaged: ${problem}; remedy: stop every node of the cluster, then move the ` +
      `directory ${directory} away (the cluster starts with an empty store) or put a copy back`,
    { context: { file }, cause },
  )
}

function wasLeftBehind(marker: string): boolean {
  let text: string
  try {
    text = readFileSync(marker, 'utf8')
  } catch {
    return false
  }
  try {
    return !isAlive(JSON.parse(text) as ProcessIdentity)
  } catch {
    return true
  }
}

function checkInChild(directory: string): void {
  const library = createRequire(import.meta.url).resolve('lmdb')
  const program = `
    const { open } = require(${JSON.stringify(library)})
    const options = { encoding: 'binary', keyEncoding: 'binary', readOnly: true, noSync: true }
    const store = open({ ...options, path: ${JSON.stringify(directory)} })
    for (const { value } of store.getRange({})) value.length
    process.exit(0)`
  const child = spawnSync(process.execPath, ['-e', program], {
    timeout: CHECK_TIMEOUT_MS,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  })
  if (child.status === 0) return
  const end = child.signal ?? `exit code ${child.status}`
  throw damaged(directory, `reading it ends in ${end} ${child.stderr.trim().split('\n')[0] ?? ''}`)
}
