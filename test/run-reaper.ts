import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { listProcesses } from '../amf/node/process-table.ts'

/**
 * Outlives `npm test`, which holds the other end of its standard input: when that ends, however it ends, every process
 * that has the run's directory in its environment is killed and the directory removed. Tells on standard output what
 * it found, as a {@link Remains}.
 */

/** What a run left behind. */
export interface Remains {
  readonly processes: readonly string[]
  readonly entries: readonly string[]
}

const KILL_MS_MAX = 10_000
const [directory = ''] = process.argv.slice(2)
if (directory === '') throw new Error('usage: run-reaper.ts DIRECTORY')
process.stdin.resume()
process.stdin.once('close', () => void reap())

async function reap(): Promise<void> {
  const found = new Map<number, string>()
  for (const endMs = performance.now() + KILL_MS_MAX; performance.now() < endMs;) {
    const left = ownedProcesses()
    if (left.length === 0) break
    for (const pid of left) {
      if (!found.has(pid)) found.set(pid, textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' '))
      kill(pid)
    }
    await delay(20)
  }
  const remains: Remains = { processes: [...found.values()], entries: readdirSync(directory) }
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  process.stdout.write(JSON.stringify(remains))
}

function ownedProcesses(): number[] {
  return listProcesses()
    .map(({ pid }) => pid)
    .filter((pid) => textOf(`/proc/${pid}/environ`).includes(directory))
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone meanwhile.
  }
}
