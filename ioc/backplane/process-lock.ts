import { randomUUID } from 'node:crypto'
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { ProcessIdentity } from './backplane.ts'
import { isAlive, ownIdentity } from './process-identity.ts'

/**
 * An exclusive lock on a file name, held by one living process and free as soon as that process is
 * dead.
 *
 * The lock is a chain of files `NAME.lock.1`, `NAME.lock.2`, ... Each is made complete by `link`,
 * which fails when the name exists, so a number has one owner. The highest number is the present
 * owner, and a file is removed only by the owner of a higher one. So there is never a moment
 * between "the old lock is taken away" and "the new one is there" in which two contenders could
 * both succeed, and no step in which a stopped process blocks others.
 */
export type ProcessLockResult =
  | { readonly held: true; readonly release: () => void }
  | { readonly held: false; readonly holder: ProcessIdentity; readonly generation: number }

/**
 * Tries to take the lock at `path` (the directory is made if need be) for the calling process.
 * Never waits.
 */
export function tryProcessLock(path: string): ProcessLockResult {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const own = ownIdentity()
  for (;;) {
    const present = highest(path)
    if (present > 0) {
      const holder = readHolder(lockFile(path, present))
      // The file vanished: somebody owns a higher number by now.
      if (holder === undefined) continue
      if (holder !== null && isAlive(holder)) {
        return { held: false, holder, generation: present }
      }
    }
    const mine = present + 1
    if (!create(path, mine, JSON.stringify(own))) continue
    // A number may be free again because its owner was succeeded and cleaned away: the highest
    // alone is the owner.
    if (highest(path) !== mine) {
      rmSync(lockFile(path, mine), { force: true })
      continue
    }
    for (const number of numbers(path)) {
      if (number < mine) rmSync(lockFile(path, number), { force: true })
    }
    return { held: true, release: once(() => writeReleased(path, mine)) }
  }
}

/** Who holds the lock at `path` now; undefined when nobody does. */
export function processLockHolder(path: string): ProcessIdentity | undefined {
  const present = highest(path)
  const holder = present === 0 ? null : readHolder(lockFile(path, present))
  return holder != null && isAlive(holder) ? holder : undefined
}

const lockFile = (path: string, number: number): string => `${path}.lock.${number}`

function numbers(path: string): number[] {
  const prefix = `${basename(path)}.lock.`
  let names: string[]
  try {
    names = readdirSync(dirname(path))
  } catch {
    return []
  }
  return names
    .filter((name) => name.startsWith(prefix) && /^[0-9]+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
}

const highest = (path: string): number => Math.max(0, ...numbers(path))

/** null: released, or not written by us. undefined: no such file. */
function readHolder(file: string): ProcessIdentity | null | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null
    if (typeof value?.pid !== 'number' || typeof value.startTime !== 'number') return null
    return { pid: value.pid, startTime: value.startTime, bootId: String(value.bootId) }
  } catch {
    return null
  }
}

function create(path: string, number: number, text: string): boolean {
  const temporary = temporaryFile(path)
  writeFileSync(temporary, text, { mode: 0o600 })
  try {
    linkSync(temporary, lockFile(path, number))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(temporary, { force: true })
  }
}

function writeReleased(path: string, number: number): void {
  const temporary = temporaryFile(path)
  try {
    writeFileSync(temporary, 'null', { mode: 0o600 })
    renameSync(temporary, lockFile(path, number))
  } catch (error) {
    // The directory was removed: then nothing is held either.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function temporaryFile(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomUUID()}`)
}

function once(run: () => void): () => void {
  let done = false
  return () => {
    if (!done) run()
    done = true
  }
}
