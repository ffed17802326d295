import { pino } from 'pino'
import { Director } from '../../amf/director/director.ts'
import { engine } from '../../amf/director/engine-binding.ts'
import type { EngineState } from '../../amf/engine/engine.ts'
import type { Model, NodeModel } from '../../amf/model/model.ts'
import { Agent } from '../../amf/node/agent.ts'
import { SdkError } from '../../idl/index.ts'
import { createRmd, openPort, type Rmd } from '../../ioc/index.ts'
import type { Store } from '../../ioc/internal.ts'
import { identity, MemoryStore } from '../amf/director/director-kit.ts'
import type { Random } from '../property/simulation.ts'
import { Actor } from './component.ts'
import { Host, Network } from './network.ts'
import { clock } from './virtual-time.ts'

const log = pino({ enabled: false })
const AGENT_PORT = 1
const DIRECTOR_PORT = 22

/** One life of a node's process: an agent, at times a director, and the components that die with it. */
interface NodeLife {
  readonly model: NodeModel
  readonly pid: number
  readonly host: Host
  readonly actors: Actor[]
  agent: Agent | null
  director: Director<EngineState> | null
}

/**
 * A whole cluster in one thread: real directors, agents, calls and ports; a simulated network, processes, store and
 * elections. Whoever holds ACTIVE is judged at the components themselves, at every change of a role.
 */
export class SimulatedCluster {
  readonly model: Model
  readonly store = new MemoryStore()
  readonly network: Network
  readonly violations: string[] = []
  readonly trace: string[] = []
  readonly lives = new Map<string, NodeLife>()
  readonly #random: Random
  readonly #byPid = new Map<number, NodeLife>()
  /** Invariants of the engine, which each director checks after each step. */
  readonly #directorLog = pino(
    { level: 'error' },
    { write: (line) => void (line.includes('invariant') && this.violations.push(line)) },
  )
  #pids = 0
  #leader: NodeLife | null = null
  #electing = false

  constructor(model: Model, random: Random) {
    this.model = model
    this.#random = random
    this.network = new Network(random)
    this.store.term = 0
  }

  async start(): Promise<void> {
    for (const node of this.model.nodes.values()) await this.#boot(node)
    this.#elect()
  }

  get actors(): Actor[] {
    return [...this.lives.values()].flatMap(({ actors }) => actors.filter((one) => one.isAlive))
  }

  get leader(): string | null {
    return this.#leader?.model.name ?? null
  }

  note(text: string): void {
    this.trace.push(`${performance.now().toFixed(0)} ${text}`)
  }

  /** The node's process and everything of it ends now; its supervisor starts it again. */
  killNode(name: string, why: string): void {
    const life = this.lives.get(name)
    if (!life) return
    this.note(`${name} dies: ${why}`)
    this.lives.delete(name)
    life.host.isAlive = false
    this.network.kill(life.host)
    for (const actor of life.actors) actor.die('SIGKILL')
    life.agent?.directorLost()
    void life.agent?.stop()
    void life.director?.stop()
    if (this.#leader === life) {
      this.#leader = null
      for (const other of this.lives.values()) other.agent?.directorLost()
      this.#electLater()
    }
    setTimeout(() => this.#tellMembers(), this.#random.below(300))
    setTimeout(() => void this.#boot(life.model), 50 + this.#random.below(1_500))
  }

  /** Another node leads, while the former director has not heard of that. */
  moveDirector(): void {
    this.#electLater()
  }

  /** @returns what is wrong at this instant: more than one component that would act as ACTIVE. */
  judge(): void {
    for (const csi of this.model.csis.keys()) {
      const active = this.actors.filter(({ roles }) => roles.get(csi) === 'ACTIVE')
      if (active.length < 2) continue
      const pids = active.map(({ pid }) => String(pid)).join(' and ')
      this.violations.push(`${performance.now().toFixed(0)}: ${pids} are ACTIVE for ${csi}`)
    }
  }

  /** Roles of all CSIs as their components hold them. */
  rolesOf(csi: string): string[] {
    return this.actors.flatMap(({ roles }) => roles.get(csi) ?? []).sort()
  }

  stop(): void {
    for (const { host, actors, agent, director } of this.lives.values()) {
      host.isAlive = false
      for (const actor of actors) actor.die('SIGKILL')
      void agent?.stop()
      void director?.stop()
    }
  }

  async #boot(model: NodeModel): Promise<void> {
    if (this.lives.has(model.name)) return
    this.#pids += 1
    const pid = this.#pids
    const life: NodeLife = {
      model,
      pid,
      host: new Host(model.id),
      actors: [],
      agent: null,
      director: null,
    }
    this.lives.set(model.name, life)
    this.#byPid.set(pid, life)
    this.note(`${model.name} starts as ${String(pid)}`)
    const rmd = await this.#rmd(life, AGENT_PORT)
    life.agent = this.#agent(life, rmd)
    life.agent.start()
    this.#tellMembers()
    if (this.#leader) this.#followLater(life)
  }

  #agent(life: NodeLife, rmd: Rmd): Agent {
    return new Agent({
      model: this.model,
      modelVersion: () => 0,
      takeModel: () => this.model,
      node: life.model,
      pid: life.pid,
      rmd,
      checkpoint: {
        dispatch: () => false,
        becomePrimary: () => undefined,
        setReplicas: () => undefined,
        becomeNone: () => undefined,
        dropConnection: () => undefined,
      },
      system: {
        launch: ({ name }) => {
          if (!life.host.isAlive) throw new SdkError('FAILED_OPERATION', 'this process is dead')
          this.#pids += 1
          const { network } = this
          const node = life.model.id
          const onRole = (): void => this.judge()
          const random = this.#random
          const actor = new Actor({ name, node, pid: this.#pids, network, random, onRole })
          life.actors.push(actor)
          return actor
        },
        runCommand: () =>
          Promise.resolve({ code: 0, signal: null, timedOut: false, stderrTail: '' }),
        isDead: (pid) => life.actors.every((actor) => actor.pid !== pid || !actor.isAlive),
        crashText: () => null,
        processState: () => 'S',
        processes: { look: () => null, childrenOf: () => [] },
        nowMs: () => performance.now(),
      },
      firstIncarnation: life.pid * 1_000,
      log,
      onEnd: (how, why) => this.#ends(life, `${how}: ${why}`),
    })
  }

  #ends(life: NodeLife, why: string): void {
    if (life.host.isAlive) this.killNode(life.model.name, why)
  }

  async #rmd(life: NodeLife, port: number): Promise<Rmd> {
    const transport = this.network.transport(life.host)
    const node = life.model.id
    const name = `${life.model.name}:${String(port)}:${String(life.pid)}`
    return createRmd({ port: await openPort({ transport, node, port, name, clock }) })
  }

  // --- elections ---

  #electLater(): void {
    if (this.#electing) return
    this.#electing = true
    setTimeout(
      () => {
        this.#electing = false
        this.#elect()
      },
      20 + this.#random.below(400),
    )
  }

  #elect(): void {
    const able = [...this.lives.values()].filter(({ agent }) => agent !== null)
    const next = able[this.#random.below(able.length)]
    if (!next) return this.#electLater()
    this.store.term += 1
    const { term } = this.store
    const former = this.#leader
    this.#leader = next
    this.note(`${next.model.name} leads term ${String(term)}`)
    const old = former?.director ?? null
    if (old) setTimeout(() => void old.stop(), former === next ? 0 : this.#random.below(500))
    const delayMs = former === next ? 10 : this.#random.below(50)
    setTimeout(() => void this.#lead(next, term), delayMs)
  }

  async #lead(life: NodeLife, term: number): Promise<void> {
    if (!life.host.isAlive || this.store.term !== term) return
    // One director a process: its port is one.
    await life.director?.stop()
    const store: Store = {
      get: (key) => this.store.get(key),
      list: (prefix) => this.store.list(prefix),
      putIf: () => this.store.putIf(),
      deleteIf: () => this.store.deleteIf(),
      commit: (of, changes) => {
        if (!life.host.isAlive) throw new SdkError('STALE_TERM', 'this process is dead')
        this.store.commit(of, changes)
      },
    }
    life.director = new Director({
      engine,
      model: this.model,
      source: null,
      parseModel: () => this.model,
      onModel: () => undefined,
      node: life.model.name,
      term,
      backplane: { store, proveGone: async ({ pid }) => this.#fence(pid) },
      openRmd: () => this.#rmd(life, DIRECTOR_PORT),
      nowMs: () => performance.now(),
      self: identity(life.pid),
      identityOf: (pid) =>
        this.#byPid.get(pid)?.host.isAlive === true ? identity(pid) : undefined,
      isAlive: ({ pid }) => this.#byPid.get(pid)?.host.isAlive === true,
      sweep: () => Promise.resolve(),
      check: true,
      log: this.#directorLog,
      onStale: () => life.agent?.directorLost(),
    })
    await life.director.start()
    this.#tellMembers()
    for (const other of this.lives.values()) this.#followLater(other)
  }

  /** Each node hears of the new director in its own time, or of a newer one before. */
  #followLater(life: NodeLife): void {
    const { term } = this.store
    const leader = this.#leader
    if (!leader) return
    const address = { node: leader.model.id, port: DIRECTOR_PORT }
    setTimeout(() => {
      if (life.host.isAlive && this.store.term === term) life.agent?.follow(address, term)
    }, this.#random.below(200))
  }

  async #fence(pid: number): Promise<void> {
    const life = this.#byPid.get(pid)
    if (life?.host.isAlive === true) this.killNode(life.model.name, 'fenced')
  }

  #tellMembers(): void {
    const members = [...this.lives.values()].map(({ model, pid }) => ({
      node: model.name,
      process: identity(pid),
    }))
    this.#leader?.director?.onMembership({ term: this.store.term, number: this.#pids, members })
  }
}
