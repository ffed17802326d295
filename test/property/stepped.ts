import { AsyncLocalStorage } from 'node:async_hooks'
import { performance } from 'node:perf_hooks'
import { vi } from 'vitest'
import { type IocAddress, memoryTransport, type Transport } from '../../ioc/index.ts'
import type { Link, LinkEvents, Listener } from '../../ioc/transport/transport.ts'

/** Whose code runs: what it leaves to timers ends with it. */
const running = new AsyncLocalStorage<Process>()

/** Deliveries wait to be stepped through; virtual time passes only when nothing is left to deliver. */
export class Steps {
  #queue: (() => void)[] = []
  /** Deliveries of slow processes: when nothing else is left. */
  readonly #late: (() => void)[] = []
  readonly transport: Transport = memoryTransport({ schedule: (run) => this.#queue.push(run) })
  readonly #restore: () => void
  count = 0

  /** Timers, clocks and dates become virtual. */
  constructor() {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'hrtime'],
    })
    for (const kind of ['setTimeout', 'setInterval'] as const) vi.stubGlobal(kind, owned(kind))
    for (const kind of ['clearTimeout', 'clearInterval'] as const) {
      const clear = globalThis[kind]
      vi.stubGlobal(kind, (timer: NodeJS.Timeout | undefined) => {
        running.getStore()?.disown(timer)
        clear(timer)
      })
    }
    const beganMs = Date.now()
    // The object that `node:perf_hooks` gives, which faking the global one leaves alone.
    // No spy, which would keep every call.
    const { now } = performance
    performance.now = () => Date.now() - beganMs
    this.#restore = () => {
      performance.now = now
    }
  }

  /** Everything becomes real again. */
  close(): void {
    this.#restore()
    vi.unstubAllGlobals()
    vi.useRealTimers()
  }

  later(run: () => void): void {
    this.#late.push(run)
  }

  /** Delivers all that is under way. */
  async drain(): Promise<void> {
    while (await this.step());
  }

  /** One delivery, and what follows from it inside the receiver. @returns false when there is none. */
  async step(): Promise<boolean> {
    // Something may just have been begun.
    if (this.#queue.length === 0) await settle()
    const next = this.#queue.shift() ?? this.#late.shift()
    if (next === undefined) return false
    this.count++
    next()
    await settle()
    return true
  }

  /** One delivery; time passes to the next timer when there is none. */
  async next(): Promise<void> {
    if (await this.step()) return
    if (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer()
    await settle()
  }

  /** Steps; time passes when there is nothing to deliver, until it is done or so much has passed. */
  async run(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = performance.now() + limitMs
    for (;;) {
      if (isDone()) return true
      if (await this.step()) continue
      if (isDone()) return true
      if (performance.now() >= endMs) return false
      if (vi.getTimerCount() > 0) vi.advanceTimersToNextTimer()
      else vi.advanceTimersByTime(limitMs)
      await settle()
    }
  }

  /** Time passes, and what is to be delivered is. */
  pass(ms: number): Promise<boolean> {
    return this.run(() => false, ms)
  }

  /** Waits in virtual time. @throws what it rejects with; an error when it takes longer than so much. */
  async wait<T>(promise: Promise<T>, limitMs = 20_000): Promise<T> {
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    promise.then(over, over)
    if (!(await this.run(() => isOver, limitMs))) throw new Error(`no end within ${limitMs} ms`)
    return promise
  }
}

/** Timers of a process that is killed are gone. */
function owned(
  kind: 'setTimeout' | 'setInterval',
): (...given: Parameters<typeof setTimeout>) => unknown {
  const make = globalThis[kind]
  return (run, ...given) => {
    const owner = running.getStore()
    if (owner === undefined) return make(run, ...given)
    const timer: NodeJS.Timeout = make(
      (...args: []) => {
        if (kind === 'setTimeout') owner.disown(timer)
        owner.run(() => run(...args))
      },
      ...given,
    )
    owner.own(timer)
    return timer
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

/** Code of nobody who is killed. */
export function outside<T>(code: () => T): T {
  return running.exit(code)
}

/** A process, with the network as it has it: when it is killed, it does nothing any more. */
export class Process {
  readonly #steps: Steps
  readonly #inner: Transport
  readonly #links = new Set<Link>()
  readonly #listeners = new Set<Listener>()
  readonly #timers = new Set<NodeJS.Timeout>()
  isAlive = true
  /** What comes for it is delivered last. Changed only while nothing is under way. */
  isSlow = false

  constructor(steps: Steps) {
    this.#steps = steps
    this.#inner = steps.transport
  }

  own(timer: NodeJS.Timeout): void {
    if (this.isAlive) this.#timers.add(timer)
    else clearTimeout(timer)
  }

  disown(timer: NodeJS.Timeout | undefined): void {
    if (timer !== undefined) this.#timers.delete(timer)
  }

  /** Code of this process, begun from outside. */
  run<T>(code: () => T): T {
    return running.run(this, code)
  }

  readonly transport: Transport = {
    kind: 'stepped',
    listen: async (address: IocAddress, accept) => {
      const listener = await this.#inner.listen(address, (link) => {
        if (this.isAlive) this.run(() => accept(this.#own(link)))
        else link.destroy()
      })
      this.#listeners.add(listener)
      return listener
    },
    connect: (address) => this.#own(this.#inner.connect(address)),
    known: (wanted) => this.#inner.known(wanted),
  }

  /** What it sent before arrives; then its connections break. */
  kill(): void {
    this.isAlive = false
    for (const listener of this.#listeners) void listener.close()
    for (const link of this.#links) link.destroy()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  #own(link: Link): Link {
    this.#links.add(link)
    const isAlive = (): boolean => this.isAlive
    const tell = (run: () => void): void => {
      const deliver = (): void => {
        if (isAlive()) this.run(run)
      }
      if (this.isSlow) this.#steps.later(deliver)
      else deliver()
    }
    return {
      start: (events: LinkEvents) =>
        link.start({
          onOpen: () => tell(() => events.onOpen()),
          onData: (chunk) => tell(() => events.onData(chunk)),
          onWritten: () => tell(() => events.onWritten()),
          onClose: (cause) => {
            this.#links.delete(link)
            tell(() => events.onClose(cause))
          },
        }),
      write: (bytes) => !isAlive() || link.write(bytes),
      end: () => isAlive() && link.end(),
      destroy: () => link.destroy(),
    }
  }
}
