import type { Logger } from 'pino'
import { SdkError, type HandlersOf, type Interface, type MethodSpecs } from '../../idl/index.ts'
import {
  createRmd,
  IOC_PORT,
  openPort,
  unixTransport,
  type IncomingCall,
  type IocAddress,
  type Port,
  type Rmd,
  type Transport,
} from '../../ioc/index.ts'
import { flatStatistics } from '../../ioc/internal.ts'
import { CpmComponent } from '../cpm/client.ts'
import {
  Cpm,
  CpmCallbacks,
  type HaState,
  STUCK_COUNT_MAX,
  STUCK_NAME_MAX,
} from '../cpm/interface.ts'
import { NameWatch } from '../cpm/name-watch.ts'
import type {
  CheckpointService,
  CreateCheckpointClient,
} from '../services/checkpoint/commit-gate.ts'
import { CheckpointPush } from '../services/checkpoint/interface.ts'
import {
  type NamedCheckpointClient,
  namedCheckpointLibrary,
} from '../services/named-checkpoint/client.ts'
import type { ServiceLibrary } from '../services/service.ts'
import {
  type Libraries,
  type LoadedLibraries,
  loadLibraries,
  openLibraries,
  type OpenLibraries,
} from '../services/libraries.ts'
import type { App, CheckpointClient } from './app.ts'
import type { CallContext } from './call-context.ts'
import type { ComponentEnvironment } from './component-env.ts'
import type { EoConfig } from './config.schema.ts'
import { ExecutionObject } from './execution-object.ts'
import { applyPriority, managementHandlers } from './management.ts'
import { EoManagement } from './management-interface.ts'
import { watchLoop, type LoopWatch } from './loop-watch.ts'
import { roleRmd } from './role-rmd.ts'
import type { WatchdogLink } from './watchdog.ts'

/** What a {@link ComponentProcess} is given. */
export interface ComponentProcessOptions {
  readonly env: ComponentEnvironment
  readonly config: EoConfig
  readonly log: Logger
  readonly context: CallContext
  readonly createCheckpoint: CreateCheckpointClient
  /** Ends the process with a crash record: the component cannot or must not go on. */
  readonly crash: (kind: string, error: unknown) => void
  /** The agent asked for an orderly end, and the terminate callback is answered. */
  readonly onTerminated: () => void
  /** See {@link CpmComponent}'s. */
  readonly onRole?: (haState: HaState) => Promise<void>
  readonly watchdog: Pick<WatchdogLink, 'setActive' | 'setRunning' | 'statistics'>
  readonly workerEntry?: URL
  /** @defaultValue unix sockets in the run directory */
  readonly transport?: Transport
}

/** What is there before the parts of a {@link ComponentProcess}. */
interface Opened {
  readonly port: Port
  readonly rmd: Rmd
  readonly names: NameWatch
  readonly libraries: LoadedLibraries
}

const STOP_CALLS_MS = 1_000
const AGENT_TIMEOUT_MS = 10_000

/**
 * Everything that lives in a component process between its watchdog and its author's code: port, RMD, EO, management
 * table, agent's callbacks, checkpoint, names. Started in this order and stopped in reverse.
 */
export class ComponentProcess {
  readonly app: App
  readonly #options: ComponentProcessOptions
  readonly #port: Port
  readonly #rmd: Rmd
  readonly #names: NameWatch
  readonly #eo: ExecutionObject
  readonly #checkpoint: CheckpointService
  readonly #cpm: CpmComponent
  readonly #libraries: OpenLibraries
  readonly #named: ServiceLibrary<NamedCheckpointClient>
  readonly #agent: IocAddress
  readonly #loop: LoopWatch = watchLoop()
  #stopping: Promise<void> | undefined

  /** Opens the port and makes the parts; serves nothing yet. @throws SdkError ALREADY_EXIST when the port is taken. */
  static async open(options: ComponentProcessOptions): Promise<ComponentProcess> {
    const { env, config, log } = options
    const libraries = await loadLibraries(config.clientLibs)
    const names = new NameWatch()
    const port = await openPort({
      transport: options.transport ?? unixTransport({ runDir: env.runDir }),
      node: env.nodeId,
      port: config.iocPort,
      name: env.component,
      log,
      names,
    })
    // Function tables and checkpoints come after RMD, and RMD asks and tells them about replies that are kept.
    const parts: { eo?: ExecutionObject; checkpoint?: CheckpointService } = {}
    const rmd = createRmd({
      port,
      names,
      dedupe: (number, version) => parts.eo?.dedupes(number, version) ?? true,
      onAcknowledged: (caller, below) => parts.checkpoint?.acknowledged(caller, below),
    })
    const process = new ComponentProcess(options, { port, rmd, names, libraries })
    parts.eo = process.#eo
    parts.checkpoint = process.#checkpoint
    return process
  }

  private constructor(options: ComponentProcessOptions, { port, rmd, names, libraries }: Opened) {
    const { env, config, log, context } = options
    this.#options = options
    this.#port = port
    this.#rmd = rmd
    this.#names = names
    this.#agent = { node: env.nodeId, port: IOC_PORT.agent }
    this.#checkpoint = options.createCheckpoint({
      rmd,
      agent: this.#agent,
      log: log.child({ part: 'checkpoint' }),
      onFenced: (csi, error) => {
        options.crash('STALE_EPOCH', new Error(`the role of ${csi} is gone`, { cause: error }))
      },
    })
    this.#eo = new ExecutionObject({
      config,
      context,
      checkpoint: () => this.#checkpoint,
      isElsewhere: (csi) => this.#isElsewhere(csi),
      identity: () => this.app,
      onActive: (active) => {
        options.watchdog.setActive(active)
      },
      onRunning: options.watchdog.setRunning,
      onStuck: (functions) => this.#tellStuck(functions),
      log: (message, fields) => {
        log.warn(fields, message)
      },
      ...(options.workerEntry === undefined ? {} : { workerEntry: options.workerEntry }),
    })
    this.#cpm = new CpmComponent({
      component: env.component,
      agent: this.#agent,
      rmd,
      eo: this.#eo,
      checkpoint: this.#checkpoint,
      log,
      onTerminated: options.onTerminated,
      ...(options.onRole === undefined ? {} : { onRole: options.onRole }),
    })
    const libraryContext = {
      component: env.component,
      node: env.node,
      nodeId: env.nodeId,
      rmd,
      agent: this.#agent,
      log,
    }
    this.#libraries = openLibraries(libraryContext, libraries)
    const epochOf = (csi: string): number => this.#eo.roles.epochOf(csi)
    this.#named = namedCheckpointLibrary({ ...libraryContext, epochOf })
    const app: Omit<App, keyof Libraries> = {
      component: env.component,
      node: env.node,
      address: rmd.address,
      cpm: this.#cpm,
      eo: this.#eo.client,
      rmd: roleRmd(rmd, () => this.#eo.roles.epoch(), context),
      checkpoint: checkpointsOf(this.#checkpoint.client, this.#named.client),
      ioc: port,
    }
    const places = Object.getOwnPropertyDescriptors(this.#libraries.app)
    this.app = Object.freeze(Object.defineProperties(app, places) as App)
  }

  /** Serves management, connects to the agent, and runs the author's `initialize`. */
  async start(): Promise<void> {
    const { env, config, log, crash } = this.#options
    this.#installPlatform()
    try {
      applyPriority(config.threadPriority)
    } catch (error) {
      log.warn({ err: error }, 'thread priority not set')
    }
    this.#rmd.serve(this.#eo.dispatch, this.#eo.cancelled)
    this.#rmd.onPresence((event) => {
      if (event.kind !== 'death' || !isSame(event.address, this.#agent)) return
      if (this.#stopping === undefined) crash('agent lost', new Error('the node process is gone'))
    })
    const agent = this.#rmd.client(Cpm, { to: this.#agent, timeoutMs: AGENT_TIMEOUT_MS })
    const version = Cpm.version
    await agent.initialize({ component: env.component, pid: process.pid, version })
    this.#names.receive(await agent.namesWatch({}))
    this.#eo.setState('active')
    await config.initialize(this.app)
  }

  /** Runs the terminate callback, for an end that the agent did not ask for. */
  terminate(): Promise<void> {
    return this.#cpm.terminate()
  }

  /** Stops in the reverse order of the start. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#loop.stop()
    await this.#eo.stop(STOP_CALLS_MS)
    await Promise.allSettled(this.#libraries.open.map((library) => library.close()))
    await this.#checkpoint.close()
    await this.#cpm.finalize().catch((error: unknown) => {
      this.#options.log.debug({ err: error }, 'not finalized')
    })
    await this.#rmd.close()
  }

  #installPlatform(): void {
    const { env, config, log } = this.#options
    this.#eo.installPlatform(
      EoManagement,
      managementHandlers({
        component: env.component,
        node: env.node,
        config,
        state: () => this.#eo.state,
        setState: (state) => {
          this.#eo.setState(state)
        },
        services: () => this.#eo.services(true),
        rmdStatistics: () => this.#rmd.statistics(),
        eoStatistics: () => ({
          ...this.#eo.statistics(),
          ...this.#loop.statistics(),
          ...this.#options.watchdog.statistics(),
        }),
        iocStatistics: () => flatStatistics(this.#port.statistics()),
        logLevel: {
          get: () => log.level,
          set: (level) => {
            log.level = level
          },
        },
        customAction: () => this.#eo.customAction,
      }),
    )
    this.#installForAgent(CpmCallbacks, {
      ...this.#cpm.handlers(),
      namesChanged: (news) => {
        this.#names.receive(news)
        return {}
      },
    })
    this.#installForAgent(CheckpointPush, this.#checkpoint.pushHandlers)
    const libraries = [this.#named, ...this.#libraries.open]
    for (const { face, handlers } of libraries.flatMap(({ pushes }) => pushes)) {
      this.#installForAgent(face, handlers)
    }
    for (const { face, handlers } of this.#libraries.open.flatMap((one) => one.functions ?? [])) {
      this.#eo.installPlatform(face, handlers)
    }
  }

  /** Functions that the agent of the own node may call, and nobody else. */
  #installForAgent<M extends MethodSpecs>(
    face: Interface<M>,
    functions: HandlersOf<M, IncomingCall>,
  ): void {
    type Function = (input: unknown, call: IncomingCall) => unknown
    const guarded = Object.entries<unknown>(functions).map(([name, run]) => {
      const guard: Function = (input, call) => {
        if (isSame(call.source, this.#agent)) return (run as Function)(input, call)
        const message = `${face.name}.${name} is for the agent of this node only`
        throw new SdkError('OP_NOT_PERMITTED', message)
      }
      return [name, guard]
    })
    this.#eo.installPlatform(face, Object.fromEntries(guarded) as HandlersOf<M, IncomingCall>)
  }

  /** An alarm at the agent, until they have all come back. Asked for again until it is heard, or the agent is gone. */
  #tellStuck(functions: readonly string[]): void {
    const agent = this.#rmd.client(Cpm, { to: this.#agent, atMostOnce: true })
    const named = functions.slice(0, STUCK_COUNT_MAX).map((name) => name.slice(0, STUCK_NAME_MAX))
    agent.stuckFunctions({ functions: named }).catch((error: unknown) => {
      this.#options.log.warn({ err: error, functions }, 'the agent was not told of stuck functions')
    })
  }

  #isElsewhere(csi: string): boolean {
    const address = this.#names.entryOfCsi(csi)?.address
    return address != null && !isSame(address, this.#rmd.address)
  }
}

function isSame(a: IocAddress, b: IocAddress): boolean {
  return a.node === b.node && a.port === b.port
}

function checkpointsOf(ofCsis: CheckpointClient, named: NamedCheckpointClient): App['checkpoint'] {
  return {
    open: (csi, options) => ofCsis.open(csi, options),
    initialize: (callbacks, version) => named.initialize(callbacks, version),
  }
}
