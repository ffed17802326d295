import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'
import {
  type Clock,
  createRmd,
  type NameEntry,
  type NameResolver,
  openPort,
  type PortOptions,
  type Rmd,
  type RmdOptions,
  memoryTransport,
  type Transport,
  unixTransport,
} from '../../ioc/index.ts'

/** The interface that the tests call. */
export const Echo = defineInterface({
  name: 'Echo',
  clientId: 20,
  version: 'B.1.1',
  methods: {
    echo: { serviceId: 0, input: z.string(), output: z.string() },
    bytes: { serviceId: 1, input: z.instanceof(Uint8Array), output: z.instanceof(Uint8Array) },
  },
})

/** Programs of one test, all closed by `close`. */
export class Kit {
  readonly transport: Transport
  readonly #open: Rmd[] = []
  readonly #directory: string | null

  constructor(kind: 'memory' | 'unix') {
    this.#directory = kind === 'unix' ? mkdtempSync(join(tmpdir(), 'hf-')) : null
    this.transport =
      this.#directory === null ? memoryTransport() : unixTransport({ runDir: this.#directory })
  }

  async rmd(
    port: number | null,
    options: Partial<RmdOptions> = {},
    portOptions: Partial<PortOptions> = {},
  ): Promise<Rmd> {
    const name = `program ${port}`
    const opened = await openPort({
      transport: this.transport,
      node: 1,
      port,
      name,
      ...portOptions,
    })
    const rmd = createRmd({ port: opened, ...options })
    this.#open.push(rmd)
    return rmd
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((rmd) => rmd.close()))
    if (this.#directory !== null) rmSync(this.#directory, { recursive: true })
  }
}

/** A table of names that a test sets by hand. */
export class Names implements NameResolver {
  readonly ready: Promise<void>
  becomeReady: () => void = () => {}
  readonly #entries = new Map<string, NameEntry>()
  readonly #listeners = new Set<(entry: NameEntry) => void>()

  constructor(isReady = true) {
    this.ready = new Promise((resolve) => {
      this.becomeReady = resolve
    })
    if (isReady) this.becomeReady()
  }

  lookup(name: string): NameEntry | undefined {
    return this.#entries.get(name)
  }

  onChange(listener: (entry: NameEntry) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  set(name: string, port: number | null, epoch: number): void {
    const address = port === null ? null : { node: 1, port }
    const entry = { name, csi: `${name}CSI`, address, epoch }
    this.#entries.set(name, entry)
    for (const listener of this.#listeners) listener(entry)
  }
}

/** Time that passes when a test says so. */
export class ManualClock implements Clock {
  #nowMs = 1_000
  #timers: { atMs: number; run: () => void }[] = []

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** Runs what is due, in its order; what it causes elsewhere has happened when the promise resolves. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > endMs) break
      this.#timers = this.#timers.filter((one) => one !== next)
      this.#nowMs = next.atMs
      next.run()
      await settled()
    }
    this.#nowMs = endMs
    await settled()
  }
}

/** The memory transport delivers within a few turns. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** What a promise was rejected with, for assertions on its fields. */
export const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`resolved with ${String(value)}`)
    },
    (error: unknown) => error,
  )
