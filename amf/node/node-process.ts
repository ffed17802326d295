import { type Logger, pino } from 'pino'
import { SdkError } from '../../idl/index.ts'
import { createRmd, IOC_PORT, openPort, type Rmd, unixTransport } from '../../ioc/index.ts'
import {
  createEmbeddedBackplane,
  identityOf,
  isAlive,
  ownIdentity,
} from '../../ioc/backplane/internal.ts'
import type { Backplane, BackplaneEvent, Leader } from '../../ioc/internal.ts'
import { tappedOutput } from '../../runtime/internal.ts'
import {
  type CheckpointServer,
  createCheckpointServer,
  NODE_SERVICES,
  NodeServices,
} from '../../runtime/services/internal.ts'
import { Director } from '../director/director.ts'
import { engine } from '../director/engine-binding.ts'
import { storedModel } from '../director/record-store.ts'
import type { EngineState } from '../engine/engine.ts'
import { parseSource } from '../model/load.ts'
import type { NodeModel } from '../model/model.ts'
import { Agent } from './agent.ts'
import { agentSystem } from './agent-system.ts'
import {
  type NodeDirectory,
  prepareNodeDirectory,
  removeNodeFile,
  writeNodeFiles,
} from './node-directory.ts'
import { checkpointRefusal, effectiveModel, NodeModels } from './node-model.ts'
import { sweepOrphans } from './orphans.ts'

/** Exit codes of a node process. 0 means "on purpose": a supervisor does not start it again. */
export const NODE_EXIT = { stopped: 0, bug: 70, restart: 75 } as const

/** An orderly stop that takes longer is cut off: components die with the process anyway. */
const STOP_TIMEOUT_MS = 60_000

export interface NodeProcessOptions {
  /** Path of the cluster.yaml. */
  readonly modelPath: string
  /** Name of the node in the model. */
  readonly node: string
  readonly runDir: string
  /** @defaultValue JSON lines on standard output */
  readonly log?: Logger
}

/**
 * Runs one node of a cluster in this process: agent, replicas, backplane, and the director while this node leads. Ends
 * the process by itself: SIGTERM or SIGINT, or the director's word, stop it in order.
 * @returns when it runs. @throws SdkError NOT_EXIST (model, node), INVALID_PARAMETER (model), ALREADY_EXIST when the
 * node runs already, OP_NOT_PERMITTED for a run directory that is not private.
 */
export async function runNode(options: NodeProcessOptions): Promise<void> {
  const log = options.log ?? defaultLog(options.node)
  const node = new NodeProcess(options, log)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => node.end(NODE_EXIT.stopped, signal))
  }
  const fatal = (err: unknown): void => {
    log.fatal({ err }, 'the node process ends: a bug')
    process.exit(NODE_EXIT.bug)
  }
  process.on('uncaughtException', fatal)
  process.on('unhandledRejection', fatal)
  await node.start()
}

class NodeProcess {
  readonly #log: Logger
  readonly #models: NodeModels
  readonly #node: NodeModel
  readonly #directory: NodeDirectory
  readonly #modelPath: string
  readonly #self = ownIdentity()
  #checkpoint: CheckpointServer | null = null
  #services: NodeServices | null = null
  /** Numbers of the nodes that the backplane last saw. */
  #present: readonly number[] = []
  #agent: Agent | null = null
  #backplane: Backplane | null = null
  #director: Pick<Director<EngineState>, 'onMembership' | 'stop'> | null = null
  /** Changes of the director's role happen one after the other. */
  #roleChange: Promise<void> = Promise.resolve()
  #ending = false

  constructor(options: NodeProcessOptions, log: Logger) {
    this.#log = log
    this.#modelPath = options.modelPath
    const effective = effectiveModel(options.runDir, options.modelPath)
    if (effective.notice !== null) log.warn(effective.notice)
    const node = effective.model.nodes.get(options.node)
    if (node === undefined) {
      const names = [...effective.model.nodes.keys()].join(', ')
      throw new SdkError('NOT_EXIST', `the model has no node ${options.node}; it has: ${names}`)
    }
    this.#node = node
    this.#directory = prepareNodeDirectory(options.runDir, node.name)
    this.#models = new NodeModels(this.#directory.runDir, effective)
  }

  async start(): Promise<void> {
    const { runDir } = this.#directory
    const { name: node, id } = this.#node
    // The port first: it is the claim to this node, and what follows would hurt a living owner of it.
    const rmd = await this.#openRmd(IOC_PORT.agent)
    writeNodeFiles(this.#directory, this.#self, this.#modelPath)
    const swept = await sweepOrphans(runDir, node)
    if (swept.length > 0) this.#log.warn({ pids: swept }, 'killed what an earlier life left behind')
    const { timing } = this.#models.model
    const checkpoint = createCheckpointServer({
      nodeId: id,
      directory: this.#directory.checkpoint,
      rmd,
      hasCsi: (csi) => this.#models.model.csis.has(csi),
      authority: { change: (change) => this.#openAgent().changeInSync(change) },
      replicaTimeoutMs: timing.replicaTimeoutMs,
      refusal: (csi) => checkpointRefusal(this.#models.model, csi),
      log: this.#log.child({ part: 'checkpoint' }),
    })
    this.#checkpoint = checkpoint
    const services = this.#startServices(rmd, checkpoint)
    this.#agent = new Agent({
      model: this.#models.model,
      modelVersion: () => this.#models.version,
      takeModel: (source) => this.#models.take(source),
      node: this.#node,
      pid: process.pid,
      rmd,
      checkpoint,
      dispatch: (call) => services.dispatch(call),
      system: agentSystem({
        directory: this.#directory,
        node: this.#node,
        nowMs,
        nodeSilenceMs: timing.nodeSilenceMs,
      }),
      firstIncarnation: Math.floor(nowMs()),
      log: this.#log,
      onEnd: (how, why) => {
        if (how === 'stop') return this.end(NODE_EXIT.stopped, why)
        // Failfast: what this process started dies with it.
        this.#log.fatal({ why }, 'the node process ends to be started again')
        process.exit(NODE_EXIT.restart)
      },
    })
    this.#agent.start()
    this.#backplane = createEmbeddedBackplane({
      runDir,
      node,
      beatMs: timing.beatMs,
      silenceMs: timing.nodeSilenceMs,
      log: this.#log.child({ part: 'backplane' }),
    })
    await this.#backplane.start((event) => this.#onBackplane(event))
    this.#log.info({ runDir }, 'node started')
  }

  #startServices(rmd: Rmd, streams: CheckpointServer): NodeServices {
    const services = new NodeServices({
      node: this.#node.name,
      nodeId: this.#node.id,
      cluster: this.#models.model.cluster,
      directory: this.#directory.services,
      streams,
      nodeName: (id) => [...this.#models.model.nodes.values()].find((one) => one.id === id)?.name,
      nodes: () =>
        [...this.#models.model.nodes.values()].map(({ id, name }) => ({ nodeId: id, name })),
      namesRegistered: (news) => this.#agent?.namesRegistered(news),
      componentOf: (caller) => this.#agent?.componentOf(caller) ?? null,
      rmd,
      log: this.#log.child({ part: 'services' }),
      services: NODE_SERVICES,
    })
    this.#services = services
    return services
  }

  /** Ends in order, once: components, director, backplane, replicas. The process exits with `code`. */
  end(code: number, why: string): void {
    if (this.#ending) return
    this.#ending = true
    this.#log.info({ why }, 'the node stops')
    setTimeout(() => process.exit(code), STOP_TIMEOUT_MS).unref()
    const finish = (): never => process.exit(code)
    this.#stop().then(finish, (err: unknown) => {
      this.#log.error({ err }, 'the node did not stop in order')
      finish()
    })
  }

  async #stop(): Promise<void> {
    await this.#agent?.stop()
    await this.#roleChange
    await this.#director?.stop()
    await this.#services?.close()
    await this.#checkpoint?.close()
    removeNodeFile(this.#directory)
    // Last: from here on the others take this process for dead, and make sure that it is.
    await this.#backplane?.stop()
    this.#log.info('node stopped')
  }

  #openAgent(): Agent {
    if (this.#agent === null) throw new SdkError('TRY_AGAIN', 'the node is starting')
    return this.#agent
  }

  async #openRmd(portNumber: number): Promise<Rmd> {
    const { name, id } = this.#node
    const what = portNumber === IOC_PORT.agent ? 'agent' : 'director'
    const port = await openPort({
      transport: unixTransport({ runDir: this.#directory.runDir }),
      node: id,
      port: portNumber,
      name: `${what}:${name}`,
      log: this.#log.child({ part: 'ioc' }),
      onHeartbeat: ({ beat, stampAgeMs }, component) => {
        // The beat goes back first: frames of a turn leave before its microtasks run.
        queueMicrotask(() => this.#agent?.onHeartbeat(component, beat, stampAgeMs))
        return true
      },
    })
    return createRmd({ port })
  }

  // --- leadership ---

  #onBackplane(event: BackplaneEvent): void {
    this.#log.info({ event }, 'backplane event')
    switch (event.kind) {
      case 'elected':
        return this.#changeRole(() => this.#lead(event.term))
      case 'following':
        return this.#changeRole(() => this.#follow(event.leader))
      case 'deposed':
        this.#leaderLost()
        return this.#changeRole(() => this.#endDirector())
      case 'leaderLost':
        return this.#leaderLost()
      case 'leaderCut':
        return this.#leaderCut()
      case 'membership':
        // A member that the model lacks was added by a change that this node has not heard of.
        if (this.#backplane !== null) this.#readStoredModel(this.#backplane)
        this.#present = event.view.members.flatMap(
          ({ node }) => this.#models.model.nodes.get(node)?.id ?? [],
        )
        return this.#director?.onMembership(event.view)
    }
  }

  /** Whom `@amf` stands for has not changed: clients that hear several agents must not lose it by this one. */
  #leaderCut(): void {
    this.#agent?.directorCut()
    this.#services?.leaderLost()
  }

  #leaderLost(): void {
    this.#agent?.directorLost()
    this.#services?.leaderLost()
  }

  #changeRole(change: () => Promise<void>): void {
    this.#roleChange = this.#roleChange.then(change).catch((err: unknown) => {
      this.#log.fatal({ err }, 'the node process ends: its part in directing failed')
      process.exit(NODE_EXIT.bug)
    })
  }

  async #lead(term: number): Promise<void> {
    await this.#endDirector()
    const backplane = this.#backplane
    if (backplane === null) return
    if (this.#ending) {
      // Elected while it stops: without this nobody would direct until it has ended.
      void backplane.stop()
      return
    }
    const { runDir } = this.#directory
    this.#readStoredModel(backplane)
    const director = new Director({
      engine,
      model: this.#models.model,
      source: this.#models.source,
      parseModel: parseSource,
      onModel: (model, source) => this.#agent?.useModel(this.#models.taken(model, source)),
      node: this.#node.name,
      term,
      backplane,
      openRmd: () => this.#openRmd(IOC_PORT.director),
      nowMs,
      self: this.#self,
      identityOf,
      isAlive,
      sweep: async (node) => void (await sweepOrphans(runDir, node)),
      check: process.env['HOLDFAST_CHECK'] === '1',
      log: this.#log,
      onStale: () => this.#agent?.directorLost(),
    })
    this.#director = director
    await director.start()
    this.#agent?.follow({ node: this.#node.id, port: IOC_PORT.director }, term)
    this.#services?.lead(term, this.#present)
  }

  /** What an operator applied while this node did not hear of it. */
  #readStoredModel(backplane: Backplane): void {
    const stored = storedModel(backplane.store)
    if (stored === null || stored.version <= this.#models.version) return
    this.#agent?.useModel(this.#models.take(stored))
  }

  async #follow(leader: Leader): Promise<void> {
    await this.#endDirector()
    if (this.#backplane !== null) this.#readStoredModel(this.#backplane)
    const node = this.#models.model.nodes.get(leader.node)
    if (node === undefined) {
      this.#log.error({ leader }, 'the leader is no node of this model: the models differ')
      return
    }
    this.#agent?.follow({ node: node.id, port: IOC_PORT.director }, leader.term)
    this.#services?.follow(node.id, leader.term)
  }

  async #endDirector(): Promise<void> {
    const director = this.#director
    this.#director = null
    await director?.stop()
  }
}

/** Wall-clock milliseconds that never run backwards within this process: they mean the same in every node process. */
function nowMs(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * Lines are written at once: the last ones before a SIGKILL are the ones that are looked for. They also go to the
 * stream `sysStream` of the log service.
 */
function defaultLog(node: string): Logger {
  const level = process.env['HOLDFAST_LOG_LEVEL'] ?? 'info'
  return pino({ level, base: { node, pid: process.pid } }, tappedOutput())
}
