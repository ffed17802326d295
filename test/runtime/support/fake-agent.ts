import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { HandlersOf, Interface, MethodSpecs } from '../../../idl/index.ts'
import { isSdkError, SdkError } from '../../../idl/index.ts'
import {
  createRmd,
  openPort,
  unixTransport,
  type Heartbeat,
  type IncomingCall,
  type NameEntry,
  type Rmd,
} from '../../../ioc/index.ts'
import {
  COMPONENT_ENV,
  Cpm,
  CpmCallbacks,
  type CsiDescriptor,
  type HaState,
  type ProtectionGroup,
} from '../../../runtime/internal.ts'

const DIST = fileURLToPath(new URL('../../../dist/', import.meta.url))

/** A run directory with a short path, removed by the test. */
export function makeRunDir(): string {
  return mkdtempSync(join(tmpdir(), 'hf-'))
}

/** Serves interfaces on an Rmd: each function decodes, runs and answers. */
export function serve(
  rmd: Rmd,
  tables: readonly [Interface, HandlersOf<MethodSpecs, IncomingCall>][],
): void {
  rmd.serve((call) => {
    for (const [face, handlers] of tables) {
      for (const method of Object.values(face.methods)) {
        if (method.functionNumber !== call.functionNumber) continue
        const run = async (): Promise<void> => {
          const output = await handlers[method.name]!(method.input.decode(call.payload), call)
          call.reply(method.output.encode(output))
        }
        run().catch((error: unknown) => {
          call.fail(isSdkError(error) ? error : new SdkError('HANDLER_FAILED', String(error)))
        })
        return
      }
    }
    call.fail(new SdkError('FUNC_NOT_REGISTERED', `${call.functionNumber}`))
  })
}

export interface Answer {
  readonly by: 'response' | 'quiescingComplete'
  readonly invocation: number
  readonly rc: number
  readonly message?: string
}

/** The agent of node 1 as far as a component sees it: a real Rmd server on port 1 of a run directory. */
export class FakeAgent {
  readonly runDir: string
  readonly rmd: Rmd
  readonly beats: { readonly heartbeat: Heartbeat; readonly name: string; readonly atMs: number }[]
  readonly registered: { readonly component: string; readonly port: number }[] = []
  readonly answers: Answer[] = []
  readonly errors: string[] = []
  names: NameEntry[] = []
  /** Calls that are only noted. */
  readonly asked: [name: string, input: unknown][] = []
  members: ProtectionGroup['members'] = []
  complete = true
  /** Whether beats are sent back: what renews the lease of a component that is ACTIVE. */
  echoes = true
  #caller: string | undefined
  #waiting: (() => void)[] = []
  #invocation = 0
  readonly #children = new Set<ChildProcess>()

  static async start(runDir = makeRunDir(), node = 1): Promise<FakeAgent> {
    const beats: FakeAgent['beats'] = []
    const started: { agent?: FakeAgent } = {}
    const port = await openPort({
      transport: unixTransport({ runDir }),
      node,
      port: 1,
      name: 'agent',
      onHeartbeat: (heartbeat, name) => {
        beats.push({ heartbeat, name, atMs: performance.now() })
        started.agent?.wake()
        return started.agent?.echoes ?? true
      },
    })
    started.agent = new FakeAgent(runDir, createRmd({ port }), beats)
    return started.agent
  }

  private constructor(runDir: string, rmd: Rmd, beats: FakeAgent['beats']) {
    this.runDir = runDir
    this.rmd = rmd
    this.beats = beats
    const handlers: HandlersOf<(typeof Cpm)['spec'], IncomingCall> = {
      initialize: (_, call) => {
        this.#caller = call.caller
        return { node: 'node1', nodeId: 1, cluster: 'test' }
      },
      register: ({ component, address }) => {
        this.registered.push({ component, port: address.port })
        this.wake()
        return {}
      },
      unregister: () => ({}),
      response: (input) => this.#answered({ by: 'response', ...input }),
      quiescingComplete: (input) => this.#answered({ by: 'quiescingComplete', ...input }),
      errorReport: ({ message }) => {
        this.errors.push(message)
        this.wake()
        return {}
      },
      errorClear: () => ({}),
      haStateGet: () => ({ haState: null }),
      namesWatch: (_, call) => {
        this.#watchers.add(call.caller)
        this.wake()
        return { names: this.names, complete: this.complete, whole: false }
      },
      finalize: () => ({}),
      protectionGroupTrack: (input) => {
        this.#asked('protectionGroupTrack', input)
        const { csi } = input
        return { group: { csi, term: 1, revision: 1, members: this.members } }
      },
      protectionGroupStop: (input) => this.#asked('protectionGroupStop', input),
      haReadinessSet: (input) => this.#asked('haReadinessSet', input),
      healthCheckStart: (input) => this.#asked('healthCheckStart', input),
      healthCheckConfirm: (input) => this.#asked('healthCheckConfirm', input),
      healthCheckStop: (input) => this.#asked('healthCheckStop', input),
      pmStart: (input) => this.#asked('pmStart', input),
      pmStop: (input) => this.#asked('pmStop', input),
      stuckFunctions: (input) => this.#asked('stuckFunctions', input),
    }
    serve(rmd, [[Cpm as unknown as Interface, handlers as HandlersOf<MethodSpecs, IncomingCall>]])
  }

  readonly #watchers = new Set<string>()

  get watcherCount(): number {
    return this.#watchers.size
  }

  #asked(name: string, input: unknown): Record<string, never> {
    this.asked.push([name, input])
    this.wake()
    return {}
  }

  #answered(answer: Answer): Record<string, never> {
    this.answers.push(answer)
    this.wake()
    return {}
  }

  wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  /** Resolves when the condition holds; looked at whenever the agent hears something. */
  async until(what: string, condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    const end = performance.now() + timeoutMs
    while (!condition()) {
      const leftMs = end - performance.now()
      if (leftMs <= 0) throw new Error(`not within ${timeoutMs} ms: ${what}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 50))
        this.#waiting.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  /** Starts a component module of `dist` the way an agent does. */
  launch(file: string, env: Readonly<Record<string, string>> = {}): LaunchedComponent {
    return this.#spawn([`${DIST}test/fixtures/runtime/run-component.js`, DIST + file], env)
  }

  /** Starts a program of `dist` that calls `runComponent` by itself. */
  launchProgram(file: string): LaunchedComponent {
    return this.#spawn([DIST + file], {})
  }

  #spawn(argv: readonly string[], env: Readonly<Record<string, string>>): LaunchedComponent {
    const child = spawn(process.execPath, argv, {
      env: {
        ...process.env,
        [COMPONENT_ENV.runDir]: this.runDir,
        [COMPONENT_ENV.component]: 'probe1',
        [COMPONENT_ENV.node]: 'node1',
        [COMPONENT_ENV.nodeId]: '1',
        [COMPONENT_ENV.parentPid]: String(process.pid),
        [COMPONENT_ENV.hungMs]: '1000',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#children.add(child)
    return new LaunchedComponent(child)
  }

  /** A callback of the component and its last answer. */
  async callback(
    name: 'csiSet' | 'csiRemove' | 'terminate' | 'healthCheck',
    input: Readonly<Record<string, unknown>>,
    by: Answer['by'] = 'response',
  ): Promise<Answer> {
    const invocation = ++this.#invocation
    await this.send(name, { invocation, component: 'probe1', ...input })
    const answer = (): Answer | undefined =>
      this.answers.find((a) => a.invocation === invocation && (a.by === by || a.rc !== 0))
    await this.until(`answer to ${name}`, () => answer() !== undefined)
    return answer()!
  }

  send(name: string, input: Readonly<Record<string, unknown>>): Promise<unknown> {
    const client = this.rmd.client(CpmCallbacks, { to: { caller: this.#caller! } })
    return (client as unknown as Record<string, (i: unknown) => Promise<unknown>>)[name]!(input)
  }

  csiSet(haState: HaState, csi = 'csi1', epoch = 1): Promise<Answer> {
    const descriptor: CsiDescriptor = {
      csi,
      flags: 'TARGET_ONE',
      haState,
      epoch,
      transition: null,
      activeComponent: null,
      standbyRank: 0,
      attributes: {},
    }
    const by = haState === 'QUIESCING' ? 'quiescingComplete' : 'response'
    return this.callback('csiSet', { haState, descriptor }, by)
  }

  async publish(entry: NameEntry): Promise<void> {
    this.names = [...this.names.filter((known) => known.name !== entry.name), entry]
    for (const caller of this.#watchers) {
      const client = this.rmd.client(CpmCallbacks, { to: { caller } })
      await client.namesChanged({ names: [entry], complete: true, whole: false })
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    await this.rmd.close()
    rmSync(this.runDir, { recursive: true, force: true })
  }
}

/** A component process and what it said. */
export class LaunchedComponent {
  readonly child: ChildProcess
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>
  stdout = ''
  stderr = ''

  constructor(child: ChildProcess) {
    this.child = child
    child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()))
    this.exited = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as string | null,
    }))
  }

  get pid(): number {
    return this.child.pid!
  }
}
