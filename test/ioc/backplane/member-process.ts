import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Told {
  readonly kind: string
  readonly atMs: number
  readonly term?: number
  readonly code?: string
  readonly message?: string
  readonly value?: string | null
  readonly leader?: { readonly node: string; readonly term: number }
  readonly view?: { readonly members: readonly { readonly node: string }[] }
}

const PROGRAM = fileURLToPath(new URL('./member-program.ts', import.meta.url))

/** A backplane member in a process of its own, with everything that it told. */
export class MemberProcess {
  readonly node: string
  readonly told: Told[] = []
  readonly exited: Promise<NodeJS.Signals | number | null>
  readonly #child: ChildProcess
  readonly #waiters = new Set<() => void>()
  #hasEnded = false

  constructor(runDir: string, node: string, { silenceMs = 400, mode = '' } = {}) {
    this.node = node
    const argv = ['--import', 'tsx', PROGRAM, runDir, node, String(silenceMs), mode]
    this.#child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.exited = new Promise((done) => {
      this.#child.once('exit', (code, signal) => done(signal ?? code))
    })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.told.push({ ...(JSON.parse(line) as Told), atMs: performance.now() })
      for (const waiter of this.#waiters) waiter()
    })
    this.#child.once('close', () => {
      this.#hasEnded = true
      for (const waiter of this.#waiters) waiter()
    })
    this.#child.stdin!.on('error', () => undefined)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isLeader(): boolean {
    return (
      this.told.findLast(({ kind }) => kind === 'elected' || kind === 'following')?.kind ===
      'elected'
    )
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  ask(command: string): void {
    this.#child.stdin!.write(`${command}\n`)
  }

  /** The first line told at or after `from` that matches. The test's own time-out is the deadline. */
  until(matches: (told: Told) => boolean, from = 0): Promise<Told> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.told.slice(from).find(matches)
        if (found === undefined && !this.#hasEnded) return
        this.#waiters.delete(look)
        if (found !== undefined) resolve(found)
        else reject(new Error(`${this.node} ended: ${JSON.stringify(this.told)}`))
      }
      this.#waiters.add(look)
      look()
    })
  }

  kind(kind: string, from = 0): Promise<Told> {
    return this.until((told) => told.kind === kind, from)
  }

  viewOf(nodes: readonly string[], from = 0): Promise<Told> {
    const wanted = nodes.toSorted().join()
    return this.until(
      ({ view }) =>
        view?.members
          .map(({ node }) => node)
          .toSorted()
          .join() === wanted,
      from,
    )
  }

  /** Answer to a question, by its kind. */
  async answer(command: string, kind: string): Promise<Told> {
    const from = this.told.length
    this.ask(command)
    return this.kind(kind, from)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }
}
