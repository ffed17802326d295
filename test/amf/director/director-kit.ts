import { pino } from 'pino'
import { Dispatcher } from '../../../runtime/services/dispatcher.ts'
import type { ProtectionGroup } from '../../../runtime/internal.ts'
import { Director, type DirectorOptions } from '../../../amf/director/director.ts'
import type { Engine } from '../../../amf/director/engine-port.ts'
import {
  type AgentCommand,
  AgentCommands,
  DirectorNode,
  Management,
} from '../../../amf/director/interface.ts'
import type { EngineCommand, EngineEvent } from '../../../amf/engine/contract.ts'
import { parseModel } from '../../../amf/model/parse.ts'
import type { Model } from '../../../amf/model/model.ts'
import { SdkError } from '../../../idl/index.ts'
import {
  createRmd,
  memoryTransport,
  type NameEntry,
  openPort,
  type Rmd,
  type Transport,
} from '../../../ioc/index.ts'
import type { ProcessIdentity, Store, StoreEntry } from '../../../ioc/internal.ts'

const SURROUNDINGS = {
  path: '/test/cluster.yaml',
  cliPath: '/cli.js',
  nodePath: '/node',
  fileExists: () => true,
}

export const model: Model = parseModel(
  `
cluster: test
nodes: { node1: {}, node2: {} }
timing: { nodeSilenceMs: 400 }
componentTypes:
  sequence: { command: [/bin/true] }
serviceGroups:
  sg:
    redundancy: 2N
    serviceUnits:
      su1: { node: node1, components: { c1: sequence } }
      su2: { node: node2, components: { c2: sequence } }
    serviceInstances:
      si: { csis: { csi: { name: work } } }
`,
  SURROUNDINGS,
)

export const identity = (pid: number): ProcessIdentity => ({ pid, startTime: pid, bootId: 'b' })

/** A store in memory; `term` is the present one. */
export class MemoryStore implements Store {
  readonly entries = new Map<string, StoreEntry>()
  term = 1
  commitCount = 0
  #revision = 0

  get(key: string): StoreEntry | undefined {
    return this.entries.get(key)
  }

  list(prefix: string): readonly StoreEntry[] {
    return [...this.entries.values()].filter((entry) => entry.key.startsWith(prefix))
  }

  putIf(): boolean {
    throw new Error('not used')
  }

  deleteIf(): boolean {
    throw new Error('not used')
  }

  commit(
    term: number,
    changes: readonly { readonly key: string; readonly value: Uint8Array | null }[],
  ): void {
    if (term !== this.term) throw new SdkError('STALE_TERM', 'over')
    this.commitCount += 1
    for (const { key, value } of changes) {
      this.#revision += 1
      if (value === null) this.entries.delete(key)
      else this.entries.set(key, { key, value, revision: this.#revision })
    }
  }
}

/** An engine that the test writes: it notes events and answers with commands. */
export interface Script {
  events: EngineEvent[]
  react: (event: EngineEvent) => readonly EngineCommand[]
  states: Record<string, string>
  /** Who has each CSI. */
  groups: Record<string, ProtectionGroup['members']>
  changes: string[]
}

function scripted(script: Script): Engine<null> {
  return {
    initialState: () => null,
    step: (_model, _state, event) => {
      script.events.push(event)
      return { state: null, commands: script.react(event) }
    },
    nextDeadlineMs: () => null,
    checkInvariants: () => [],
    checkChange: () => ({ changes: script.changes, refusal: null }),
    status: () => ({
      scopes: [],
      nodes: [],
      serviceGroups: [],
      serviceUnits: [],
      serviceInstances: [
        {
          name: 'si',
          state: 'FULLY_ASSIGNED',
          adminState: 'UNLOCKED',
          inSync: null,
          waitingFor: null,
          assignments: [
            {
              serviceUnit: 'su2',
              node: 'node2',
              haState: 'ACTIVE',
              components: [{ name: 'c2', pid: 2, address: null }],
            },
          ],
        },
      ],
      alarms: [],
    }),
    stateOf: (_model, _state, entity) =>
      entity === 'si' ? { entity, class: 'SI', states: script.states } : undefined,
    stateWords: (_model, entity) =>
      entity === 'si' ? ['UNASSIGNED', 'FULLY_ASSIGNED', 'X'] : undefined,
    why: () => [],
    protectionGroup: (_model, _state, csi) => script.groups[csi] ?? null,
  }
}

/** An agent as the director sees it. */
export class FakeAgent {
  readonly rmd: Rmd
  readonly node: string
  readonly commands: AgentCommand[] = []
  readonly names: NameEntry[] = []
  readonly groups: ProtectionGroup[] = []
  onCommand: (command: AgentCommand) => void = () => undefined
  commandError: SdkError | null = null

  constructor(rmd: Rmd, node: string) {
    this.rmd = rmd
    this.node = node
    const dispatcher = new Dispatcher(pino({ enabled: false }))
    dispatcher.install(AgentCommands, {
      commands: ({ commands }) => {
        if (this.commandError !== null) throw this.commandError
        this.commands.push(...commands)
        for (const command of commands) this.onCommand(command)
        return {}
      },
      names: ({ names }) => {
        this.names.push(...names)
        return {}
      },
      protectionGroups: ({ groups }) => {
        this.groups.push(...groups)
        return {}
      },
    })
    rmd.serve((call) => dispatcher.serve(call))
  }

  get director() {
    return this.rmd.client(DirectorNode, { to: { node: 1, port: 22 }, timeoutMs: 3_000 })
  }

  join(term: number, pid: number, facts: { component: string; incarnation: number }[] = []) {
    const nodeId = this.node === 'node1' ? 1 : 2
    return this.director.join({
      node: this.node,
      nodeId,
      term,
      pid,
      modelVersion: 0,
      session: 1,
      facts: facts.map(({ component, incarnation }) => ({
        component,
        incarnation,
        presence: 'INSTANTIATED',
        pid,
        address: { node: nodeId, port: 300 },
        mediator: null,
        assignments: [],
        haReadiness: [],
        busy: false,
        monitored: false,
      })),
    })
  }
}

/** A director on a memory transport, with its store and what it did to processes. */
export class DirectorKit {
  readonly store = new MemoryStore()
  readonly transport: Transport = memoryTransport()
  readonly script: Script = {
    events: [],
    react: () => [],
    states: {},
    groups: {},
    changes: [],
  }
  /** What was done to make sure that processes are gone, in order. */
  readonly fences: string[] = []
  readonly alive = new Set<number>([101, 102, 103])
  readonly staleTerms: number[] = []
  readonly #open: { close(): Promise<unknown> }[] = []

  async rmd(node: number, port: number | null): Promise<Rmd> {
    const opened = await openPort({ transport: this.transport, node, port, name: `n${node}` })
    const rmd = createRmd({ port: opened })
    this.#open.push(rmd)
    return rmd
  }

  async agent(node: string): Promise<FakeAgent> {
    return new FakeAgent(await this.rmd(node === 'node1' ? 1 : 2, 1), node)
  }

  async start(term: number, changes: Partial<DirectorOptions<null>> = {}): Promise<Director<null>> {
    const director = new Director<null>({
      engine: scripted(this.script),
      model,
      source: null,
      parseModel: ({ text, path }) => parseModel(text, { ...SURROUNDINGS, path }),
      onModel: () => undefined,
      node: 'node1',
      term,
      backplane: {
        store: this.store,
        proveGone: (process) => {
          this.fences.push(`prove ${process.pid}`)
          return Promise.resolve()
        },
      },
      openRmd: () => this.rmd(1, 22),
      nowMs: () => performance.now(),
      self: identity(101),
      identityOf: (pid) => (this.alive.has(pid) ? identity(pid) : undefined),
      isAlive: ({ pid }) => this.alive.has(pid),
      sweep: (node) => {
        this.fences.push(`sweep ${node}`)
        return Promise.resolve()
      },
      check: false,
      log: pino({ enabled: false }),
      onStale: () => void this.staleTerms.push(term),
      ...changes,
    })
    this.#open.push({ close: () => director.stop() })
    await director.start()
    return director
  }

  async management() {
    const rmd = await this.rmd(0, null)
    return rmd.client(Management, { to: { node: 1, port: 22 }, timeoutMs: 3_000 })
  }

  eventKinds(): string[] {
    return this.script.events.map((event) =>
      'node' in event ? `${event.kind} ${event.node}` : event.kind,
    )
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((one) => one.close()))
  }
}

/** Waits until something holds; fails after two seconds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 2_000
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
