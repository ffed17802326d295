import { pino } from 'pino'
import { Dispatcher } from '../../../runtime/services/dispatcher.ts'
import {
  type AgentCommand,
  AgentCommands,
  type AgentEvent,
  DirectorNode,
} from '../../../amf/director/interface.ts'
import type { ComponentFacts } from '../../../amf/engine/contract.ts'
import type { Model } from '../../../amf/model/model.ts'
import { parseModel } from '../../../amf/model/parse.ts'
import { Agent } from '../../../amf/node/agent.ts'
import type { ProcessView } from '../../../amf/node/passive-monitor.ts'
import { SdkError } from '../../../idl/index.ts'
import {
  createRmd,
  memoryTransport,
  type NameEntry,
  openPort,
  type Rmd,
} from '../../../ioc/index.ts'
import { Cpm, CpmCallbacks, type ProtectionGroup } from '../../../runtime/internal.ts'
import { FakeProcess } from './agent-runner-kit.ts'

const log = pino({ enabled: false })

export const MODEL_TEXT = `
cluster: test
nodes: { node1: {}, node2: {} }
componentTypes:
  sequence: { command: [/bin/true], healthCheck: { periodMs: 20, timeoutMs: 400 },
    healthChecks: { deep: { periodMs: 30, maxDurationMs: 150 }, own: { periodMs: 150, maxDurationMs: 20 } } }
serviceGroups:
  sg:
    redundancy: 2N
    serviceUnits:
      su1: { node: node1, components: { c1: sequence } }
      su2: { node: node2, components: { c2: sequence } }
    serviceInstances:
      si: { csis: { csi: { name: work } } }
`

const parse = (text: string): Model =>
  parseModel(text, {
    path: '/test/cluster.yaml',
    cliPath: '/cli.js',
    nodePath: '/node',
    fileExists: () => true,
  })
const model = parse(MODEL_TEXT)

/** A director as agents see it. */
export class FakeDirector {
  readonly rmd: Rmd
  readonly term: number
  readonly joins: ComponentFacts[][] = []
  readonly events: AgentEvent[] = []
  readonly reports: object[] = []
  caller = ''
  session = 0
  /** What the agent tracks, and what it hears. */
  tracked: readonly string[] = []
  readonly groups = new Map<string, ProtectionGroup>()
  failEvents = 0
  refuseJoins = 0

  constructor(rmd: Rmd, term: number) {
    this.rmd = rmd
    this.term = term
    const dispatcher = new Dispatcher(log)
    dispatcher.install(DirectorNode, {
      join: ({ facts, session }, call) => {
        if (this.refuseJoins-- > 0) throw new SdkError('TRY_AGAIN', 'not yet')
        this.joins.push(facts)
        this.session = session
        this.caller = call.caller
        return { names: [this.name(1)] }
      },
      events: ({ events }) => {
        if (this.failEvents-- > 0) throw new SdkError('INVALID_STATE', 'join first')
        this.events.push(...events)
        return {}
      },
      protectionGroups: ({ track, read }) => {
        this.tracked = track
        const csis = [...new Set([...track, ...read])]
        return { groups: csis.flatMap((csi) => this.groups.get(csi) ?? []) }
      },
      errorReport: (report) => {
        this.reports.push(report)
        return {}
      },
      errorClear: ({ component }) => {
        this.reports.push({ component })
        return {}
      },
      inSyncChange: ({ epoch }) => {
        if (epoch < 5) throw new SdkError('STALE_EPOCH', 'old')
        return {}
      },
    })
    rmd.serve((call) => dispatcher.serve(call))
  }

  name(epoch: number): NameEntry {
    return { name: 'work', csi: 'csi', address: null, epoch }
  }

  client() {
    return this.rmd.client(AgentCommands, { to: { caller: this.caller }, timeoutMs: 1_000 })
  }

  command(...commands: AgentCommand[]): Promise<unknown> {
    return this.client().commands({ term: this.term, session: this.session, commands })
  }
}

/** A component as its agent sees it. */
export class FakeComponent {
  readonly rmd: Rmd
  readonly calls: string[] = []
  readonly names: NameEntry[] = []
  readonly groups: ProtectionGroup[] = []
  onCall: (name: string, invocation: number) => void = () => undefined

  constructor(rmd: Rmd) {
    this.rmd = rmd
    const dispatcher = new Dispatcher(log)
    const note = (name: string, invocation: number): Record<string, never> => {
      if (name !== 'healthCheck') this.calls.push(`${name} ${invocation}`)
      this.onCall(name, invocation)
      return {}
    }
    dispatcher.install(CpmCallbacks, {
      csiSet: ({ haState, invocation }) => note(`csiSet ${haState}`, invocation),
      csiRemove: ({ invocation }) => note('csiRemove', invocation),
      terminate: ({ invocation }) => note('terminate', invocation),
      healthCheck: ({ invocation }) => note('healthCheck', invocation),
      proxiedComponentInstantiate: ({ invocation }) => note('proxiedInstantiate', invocation),
      proxiedComponentCleanup: ({ invocation }) => note('proxiedCleanup', invocation),
      containedComponentInstantiate: ({ invocation }) => note('containedInstantiate', invocation),
      containedComponentCleanup: ({ invocation }) => note('containedCleanup', invocation),
      namesChanged: ({ names }) => {
        this.names.push(...names)
        return {}
      },
      protectionGroupChanged: ({ group }) => {
        this.groups.push(group)
        return {}
      },
    })
    rmd.serve((call) => dispatcher.serve(call))
  }

  get agent() {
    return this.rmd.client(Cpm, { to: { node: 1, port: 1 }, timeoutMs: 1_000 })
  }

  async register(pid: number): Promise<void> {
    await this.agent.initialize({ component: 'c1', pid, version: 'B.1.1' })
    await this.agent.register({ component: 'c1', proxy: null, address: this.rmd.address })
  }
}

/** An agent of node1 with its system and checkpoint faked, on a memory transport. */
export class AgentKit {
  readonly transport = memoryTransport()
  readonly processes: FakeProcess[] = []
  readonly checkpoint: string[] = []
  readonly ends: string[] = []
  /** Processes of the machine, for passive monitoring. */
  readonly table = new Map<number, ProcessView>()
  nowMs = 0
  modelVersion = 0
  #agent: Agent | null = null
  readonly #open: { close(): Promise<unknown> }[] = []

  get agent(): Agent {
    if (this.#agent === null) throw new Error('not started')
    return this.#agent
  }

  async rmd(node: number, port: number | null): Promise<Rmd> {
    const opened = await openPort({ transport: this.transport, node, port, name: `${node}` })
    const rmd = createRmd({ port: opened })
    this.#open.push(rmd)
    return rmd
  }

  async start(): Promise<void> {
    const node = model.nodes.get('node1')
    if (node === undefined) throw new Error('no node1')
    this.#agent = new Agent({
      model,
      modelVersion: () => this.modelVersion,
      takeModel: ({ text, version }) => {
        this.modelVersion = version
        return parse(text)
      },
      node,
      pid: 1,
      rmd: await this.rmd(1, 1),
      checkpoint: {
        dispatch: () => false,
        becomePrimary: ({ csi, epoch, replicas, inSync }) => {
          this.checkpoint.push(`${csi}@${epoch} ${replicas.join()} in sync ${String(inSync)}`)
        },
        setReplicas: ({ csi, replicas }) => void this.checkpoint.push(`${csi} ${replicas.join()}`),
        becomeNone: (csi) => void this.checkpoint.push(`none ${csi}`),
        dropConnection: () => undefined,
      },
      system: {
        launch: () => {
          const process = new FakeProcess(50 + this.processes.length)
          this.processes.push(process)
          return process
        },
        runCommand: () =>
          Promise.resolve({ code: 0, signal: null, timedOut: false, stderrTail: '' }),
        isDead: () => false,
        crashText: () => null,
        processState: () => 'S',
        processes: { look: (pid) => this.table.get(pid) ?? null, childrenOf: () => [] },
        nowMs: () => performance.now(),
      },
      firstIncarnation: 100,
      log,
      onEnd: (how) => void this.ends.push(how),
    })
    this.#agent.start()
  }

  async director(term: number, port = 22): Promise<FakeDirector> {
    return new FakeDirector(await this.rmd(2, port), term)
  }

  follow(director: FakeDirector): void {
    this.agent.follow(director.rmd.address, director.term)
  }

  async component(): Promise<FakeComponent> {
    return new FakeComponent(await this.rmd(1, 0))
  }

  async close(): Promise<void> {
    for (const process of this.processes) process.kill()
    await this.#agent?.stop()
    await Promise.all(this.#open.map((one) => one.close()))
  }
}
