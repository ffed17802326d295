import { pino } from 'pino'
import type { AgentEvent } from '../../../amf/director/interface.ts'
import type { ComponentModel } from '../../../amf/model/model.ts'
import type {
  CallbackClient,
  CommandOutcome,
  ComponentProcess,
  CsiSetCommand,
  MediatorProcess,
  ProcessExit,
  RunnerPorts,
} from '../../../amf/node/component-ports.ts'
import { ComponentRunner } from '../../../amf/node/component-runner.ts'

/** A process that ends when the test says so, or by `kill`. */
export class FakeProcess implements ComponentProcess {
  readonly pid: number
  readonly exited: Promise<ProcessExit>
  readonly drained: Promise<void>
  killed = false
  /** False: an uninterruptible process, which survives SIGKILL. */
  mortal = true
  #exit: (exit: ProcessExit) => void = () => undefined

  constructor(pid: number) {
    this.pid = pid
    this.exited = new Promise((resolve) => {
      this.#exit = resolve
    })
    this.drained = this.exited.then(() => undefined)
  }

  kill(): void {
    this.killed = true
    if (this.mortal) this.exit({ code: null, signal: 'SIGKILL' })
  }

  exit(exit: ProcessExit): void {
    this.#exit(exit)
  }

  /** Null: the process is the component. */
  started: Promise<ProcessExit> | null = null
  askedToEnd = false
  #commandEnded: (exit: ProcessExit) => void = () => undefined

  /** It is a command that leaves the component behind. */
  leave(): void {
    this.started = new Promise((resolve) => {
      this.#commandEnded = resolve
    })
  }

  /** The command returns; a failed one left nothing. */
  commandReturns(code: number): void {
    this.#commandEnded({ code, signal: null })
    if (code !== 0) this.exit({ code, signal: null })
  }

  terminate(): void {
    this.askedToEnd = true
    this.exit({ code: 0, signal: null })
  }

  stderrTail(): string {
    return ''
  }
}

export const componentModel: ComponentModel = {
  name: 'sequence1',
  type: 'sequence',
  serviceUnit: 'sequenceSU1',
  serviceGroup: 'sequenceSG',
  node: 'node1',
  category: 'saAware',
  mediation: null,
  preInstantiable: true,
  foreground: true,
  pidFile: null,
  amStart: null,
  amStop: null,
  amStartAttemptsMax: 2,
  amStopAttemptsMax: 2,
  instantiate: { argv: ['/bin/true'], timeoutMs: 1_000 },
  terminate: null,
  cleanup: null,
  workingDir: '/',
  env: {},
  instantiationLevel: 0,
  instantiateAttemptsMax: 3,
  instantiateWithoutDelayMax: 1,
  instantiateDelayMs: 10,
  terminateTimeoutMs: 500,
  csiSetTimeoutMs: 300,
  csiRemoveTimeoutMs: 300,
  quiescingTimeoutMs: 600,
  healthCheck: null,
  healthChecks: new Map(),
  hungMs: 2_000,
  busyMs: 200,
  busyHoldMs: 1_000,
  recovery: 'componentFailover',
  disableRestart: false,
  csTypes: [],
}

/** One runner with everything around it faked, and what came out of it. */
export class RunnerKit {
  readonly events: AgentEvent[] = []
  readonly processes: FakeProcess[] = []
  readonly callbacks: string[] = []
  readonly primaries: string[] = []
  directed = true
  primaryError: Error | null = null
  launchError: Error | null = null
  cleanupCode = 0
  /** Life-cycle commands that were run, as `program CSI`. */
  readonly commands: string[] = []
  /** How the next commands end; after the last, by `cleanupCode`. */
  readonly outcomes: (Partial<CommandOutcome> | Promise<Partial<CommandOutcome>>)[] = []
  /** Launched processes leave the component behind when they end well. */
  leaves = false
  /** The process that acts for others, when it is here. */
  mediator: MediatorProcess | null = null
  /** Set: a callback cannot be delivered. */
  deliveryError: Error | null = null
  readonly runner: ComponentRunner
  #incarnation = 100
  #invocation = 0

  constructor(changes: Partial<ComponentModel> = {}) {
    const model = { ...componentModel, ...changes }
    this.runner = new ComponentRunner(model, this.#ports(), pino({ enabled: false }))
  }

  get process(): FakeProcess {
    const process = this.processes.at(-1)
    if (process === undefined) throw new Error('nothing was launched')
    return process
  }

  get life(): NonNullable<ComponentRunner['life']> {
    const { life } = this.runner
    if (life === null) throw new Error('no life')
    return life
  }

  get kinds(): string[] {
    return this.events.map((event) => event.kind)
  }

  /** Lets promises that are ready run. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }

  instantiate(why: string): void {
    this.runner.instantiate({ mediation: null, descriptor: null, why })
  }

  /** Launches and registers. */
  start(): void {
    this.instantiate('test')
    this.register()
  }

  register(): void {
    this.runner.initialized(`caller${this.processes.length}`, this.process.pid)
    this.runner.registered(this.life, { node: 1, port: 200 + this.processes.length })
  }

  set(haState: CsiSetCommand['haState'], invocation: number, epoch = 7): void {
    this.runner.csiSet({
      kind: 'csiSet',
      component: this.runner.model.name,
      incarnation: this.life.incarnation,
      invocation,
      haState,
      descriptor: {
        csi: 'csi',
        flags: 'ADD_ONE',
        haState,
        epoch,
        transition: null,
        activeComponent: null,
        standbyRank: 0,
        attributes: {},
      },
      replicas: ['node1'],
      inSync: null,
      why: 'test',
    })
  }

  remove(invocation: number): void {
    const { incarnation } = this.life
    const component = this.runner.model.name
    this.runner.csiRemove({
      kind: 'csiRemove',
      component,
      incarnation,
      invocation,
      csi: 'csi',
      why: 'test',
    })
  }

  answer(invocation: number, rc = 0): string | null {
    return this.runner.answered(this.life, invocation, rc, rc === 0 ? '' : 'refused')
  }

  #ports(): RunnerPorts {
    const note = (text: string): Promise<Record<string, never>> => {
      this.callbacks.push(text)
      return this.deliveryError === null ? Promise.resolve({}) : Promise.reject(this.deliveryError)
    }
    const client: CallbackClient = {
      csiSet: ({ haState, invocation }) => note(`csiSet ${haState} ${invocation}`),
      csiRemove: ({ invocation }) => note(`csiRemove ${invocation}`),
      terminate: ({ invocation }) => note(`terminate ${invocation}`),
      healthCheck: ({ invocation }) => note(`healthCheck ${invocation}`),
      namesChanged: () => note('namesChanged'),
      proxiedComponentInstantiate: ({ component }) => note(`proxied instantiate ${component}`),
      proxiedComponentCleanup: ({ component }) => note(`proxied cleanup ${component}`),
      containedComponentInstantiate: ({ component }) => note(`contained instantiate ${component}`),
      containedComponentCleanup: ({ component }) => note(`contained cleanup ${component}`),
      protectionGroupChanged: () => note('protectionGroupChanged'),
    }
    return {
      nodeId: 1,
      launch: () => {
        if (this.launchError !== null) throw this.launchError
        const process = new FakeProcess(1_000 + this.processes.length)
        if (this.leaves) process.leave()
        this.processes.push(process)
        return process
      },
      runCommand: async (_, { argv }, { assigned }) => {
        this.commands.push([argv.join(' '), assigned?.csi].filter(Boolean).join(' for '))
        const outcome = await this.outcomes.shift()
        const ok = { code: this.cleanupCode, signal: null, timedOut: false, stderrTail: '' }
        return { ...ok, ...outcome }
      },
      callbacks: () => client,
      becomePrimary: ({ descriptor }) => {
        this.primaries.push(`${descriptor.csi}@${descriptor.epoch}`)
        if (this.primaryError !== null) throw this.primaryError
      },
      releasePrimary: (csi) => void this.primaries.push(`release ${csi}`),
      isDead: () => false,
      crashText: () => null,
      mediator: () => this.mediator,
      roleEnded: () => undefined,
      running: () => undefined,
      nextIncarnation: () => (this.#incarnation += 1),
      nextInvocation: () => (this.#invocation -= 1),
      isDirected: () => this.directed,
      emit: (event) => void this.events.push(event),
      ended: () => undefined,
    }
  }
}
