import { isSdkError, SdkError } from '../../idl/index.ts'
import type { IncomingCall, Rmd } from '../../ioc/index.ts'
import type { Call } from '../../runtime/eo/app.ts'
import { contentHash } from '../../runtime/services/checkpoint/content-hash.ts'
import { CsiCheckpoint } from '../../runtime/services/checkpoint/csi-checkpoint.ts'
import { CsiReplicaServer } from '../../runtime/services/checkpoint/csi-replica-server.ts'
import {
  Checkpoint,
  CheckpointPush,
  CheckpointReplica,
} from '../../runtime/services/checkpoint/interface.ts'
import { StoredReplica } from '../../runtime/services/checkpoint/stored-replica.ts'
import { MemoryDatabase } from './memory-database.ts'
import { Clockwork, Random, Wire } from './simulation.ts'

/**
 * Components, replicas and a director in one thread and in virtual time. The checkpoint's own classes run as they are;
 * the network, the store's disk, the director and the callers are small models.
 *
 * Longer than usual: every part of the world looks at every other one.
 */

const CSI = 'csi'
const REPLICA_TIMEOUT_MS = 200
const CALL_TIMEOUT_MS = 30_000
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

interface SimNode {
  readonly id: number
  readonly disk: MemoryDatabase
  stored: StoredReplica
  server: CsiReplicaServer | null
  /** The connection lives of this process: everything in flight of an earlier one is void. */
  life: number
  frozenUntilMs: number
  component: SimComponent | null
}

interface SimComponent {
  readonly name: string
  readonly node: SimNode
  checkpoint: CsiCheckpoint
  isAlive: boolean
  readonly timers: Set<() => void>
}

interface Caller {
  readonly name: string
  nextId: number
  /** Value of each answered call, by id. */
  readonly answers: Map<number, number>
}

export interface WorldOptions {
  readonly seed: number
  readonly nodes: number
  readonly callers: number
  readonly callsEach: number
}

export class World {
  readonly random: Random
  readonly clock = new Clockwork()
  readonly problems: string[] = []
  readonly nodes: SimNode[] = []
  readonly callers: Caller[] = []
  readonly #options: WorldOptions
  readonly #wires = new Map<string, Wire>()
  /** The director's durable state. */
  #inSync: Set<number> | null = null
  #epoch = 0
  #active: SimComponent | null = null
  #directorAwayUntilMs = 0
  #lives = 0
  /** Who was answered with which value. */
  readonly #issued = new Map<number, string>()
  #highest = 0
  finished = 0
  failovers = 0
  /** For looking into one seed. */
  trace: (...what: unknown[]) => void = () => undefined

  constructor(options: WorldOptions) {
    this.#options = options
    this.random = new Random(options.seed)
    for (let id = 1; id <= options.nodes; id++) {
      const disk = new MemoryDatabase()
      const node: SimNode = {
        id,
        disk,
        stored: this.#load(disk),
        server: null,
        life: 0,
        frozenUntilMs: 0,
        component: null,
      }
      this.nodes.push(node)
      this.#startNode(node)
    }
    for (let i = 0; i < options.callers; i++) {
      this.callers.push({ name: `caller${i}`, nextId: 1, answers: new Map() })
    }
    this.clock.every(10, () => this.#tick())
  }

  get isDone(): boolean {
    return this.finished === this.#options.callers * this.#options.callsEach
  }

  start(): void {
    for (const caller of this.callers) this.#nextCall(caller)
  }

  // ---- faults

  crashNode(node: SimNode): void {
    if (node.server === null) return
    this.killComponent(node)
    node.server = null
    node.life = 0
    node.frozenUntilMs = 0
    this.#tellPeers(node, 'death')
    // What the process had put into the store stays: the kernel has it.
    this.clock.after(this.random.below(400), () => this.#startNode(node))
  }

  killComponent(node: SimNode): void {
    const component = node.component
    if (component === null) return
    component.isAlive = false
    for (const stop of component.timers) stop()
    node.component = null
    if (this.#active === component) this.#active = null
    this.clock.after(this.random.below(50), () => {
      if (node.server === null) return
      node.server.dropConnection(component.name)
      this.#startComponent(node)
    })
  }

  killActive(): void {
    if (this.#active !== null) this.killComponent(this.#active.node)
  }

  freeze(node: SimNode, forMs: number): void {
    node.frozenUntilMs = this.clock.nowMs + forMs
  }

  cut(): void {
    for (const wire of this.#wires.values()) if (this.random.chance(0.5)) wire.cut()
  }

  directorAway(forMs: number): void {
    this.#directorAwayUntilMs = this.clock.nowMs + forMs
  }

  /** Gives the role to somebody without asking whether the former holder is gone. */
  usurp(): void {
    if (this.clock.nowMs < this.#directorAwayUntilMs) return
    this.#active = null
  }

  heal(): void {
    for (const node of this.nodes) node.frozenUntilMs = 0
    this.#directorAwayUntilMs = 0
  }

  // ---- what must hold

  /** Everything answered so far is on every node that the director would make active. */
  checkSafe(value: number): void {
    for (const id of this.#inSync ?? []) {
      const node = this.nodes[id - 1]
      if (node === undefined) continue
      const held = counterOf(node.stored)
      if (held < value) this.problems.push(`node ${id} is in sync and holds ${held}, not ${value}`)
    }
  }

  checkConverged(): string[] {
    const hashes = new Set(this.nodes.map((node) => contentHash(node.stored.replica)))
    const problems: string[] = []
    if (hashes.size !== 1) {
      const where = this.nodes.map((node) => `${node.id}:${counterOf(node.stored)}`)
      problems.push(`replicas differ: ${where.join(' ')}`)
    }
    if (this.#inSync?.size !== this.nodes.length) {
      problems.push(`in sync: ${[...(this.#inSync ?? [])].join(' ')}`)
    }
    const values = [...this.#issued.keys()].sort((a, b) => a - b)
    values.forEach((value, i) => {
      if (value !== i + 1) problems.push(`value ${i + 1} was never given to anybody`)
    })
    for (const node of this.nodes) {
      for (const stored of [node.stored, this.#load(node.disk)]) {
        if (contentHash(stored.replica) !== [...hashes][0]) problems.push('store and memory differ')
      }
    }
    return problems.slice(0, 5)
  }

  // ---- processes

  #load(disk: MemoryDatabase): StoredReplica {
    return new StoredReplica({
      csi: CSI,
      isDurable: false,
      database: disk.asLmdb(),
      batches: disk.batchLog(CSI),
      log: {
        ...quiet,
        error: (...what: unknown[]) => this.problems.push(`store: ${String(what[1])}`),
      },
      clock: () => this.clock.nowMs,
      limits: { logCountMax: 20, logSizeBytesMax: 4_096, sliceCount: 4 },
    })
  }

  #startNode(node: SimNode): void {
    if (node.server !== null) return
    node.life = ++this.#lives
    node.stored.close()
    node.stored = this.#load(node.disk)
    node.server = new CsiReplicaServer({
      csi: CSI,
      nodeId: node.id,
      stored: node.stored,
      rmd: this.#rmdOf(node),
      authority: { change: (request) => this.#change(node, request) },
      replicaTimeoutMs: REPLICA_TIMEOUT_MS,
      log: quiet,
      clock: () => this.clock.nowMs,
      onBusy: () => undefined,
    })
    this.#startComponent(node)
    this.#tellPeers(node, 'arrival')
  }

  /** Presence, as connections tell it: late, and not always. */
  #tellPeers(node: SimNode, kind: 'arrival' | 'death'): void {
    for (const peer of this.nodes) {
      if (peer === node || this.random.chance(0.2)) continue
      const { life } = peer
      this.clock.after(this.random.below(10), () =>
        this.#awake(peer, life, () => peer.server?.peerChanged(node.id, kind)),
      )
    }
  }

  #startComponent(node: SimNode): void {
    if (node.component !== null || node.server === null) return
    const timers = new Set<() => void>()
    const component: SimComponent = {
      name: `component${++this.#lives}`,
      node,
      isAlive: true,
      timers,
      checkpoint: undefined as never,
    }
    component.checkpoint = new CsiCheckpoint({
      csi: CSI,
      options: {},
      log: quiet,
      clock: () => this.clock.nowMs,
      send: (batch) =>
        this.#toServer(
          component,
          Checkpoint.methods.commit.functionNumber,
          Checkpoint.methods.commit.input.encode({ csi: CSI, batch }),
        ),
      onFenced: () => this.killComponent(node),
      onGap: () => void this.#attach(component),
      every: (periodMs, run) => {
        const stop = this.clock.every(periodMs, () => component.isAlive && run())
        timers.add(stop)
        return stop
      },
    })
    node.component = component
    void this.#attach(component)
  }

  async #attach(component: SimComponent): Promise<void> {
    const { attach } = Checkpoint.methods
    const request = attach.input.encode({ csi: CSI })
    await this.#toServer(component, attach.functionNumber, request).then(
      (payload) => {
        if (component.isAlive) component.checkpoint.replace(attach.output.decode(payload))
      },
      () => undefined,
    )
  }

  // ---- network

  #wire(from: string, to: string): Wire {
    const key = `${from}>${to}`
    let wire = this.#wires.get(key)
    if (wire === undefined) {
      wire = new Wire(this.clock, this.random)
      this.#wires.set(key, wire)
    }
    return wire
  }

  #rmdOf(node: SimNode): Rmd {
    const { life } = node
    const call = (
      to: { node?: number; caller?: string },
      functionNumber: number,
      payload: Uint8Array,
      options: { oneWay?: boolean; timeoutMs?: number } = {},
    ): Promise<Uint8Array> =>
      to.caller === undefined
        ? this.#toNode(node, life, to.node ?? 0, { functionNumber, payload, ...options })
        : this.#push(node, life, to.caller, functionNumber, payload)
    const { open } = CheckpointReplica.methods
    return {
      call,
      client: (_face: unknown, options: { to: { node: number }; timeoutMs: number }) => ({
        open: async (input: { csi: string; epoch: number }) =>
          open.output.decode(
            await call(options.to, open.functionNumber, open.input.encode(input), options),
          ),
      }),
    } as unknown as Rmd
  }

  /** A call from node to node: request and answer travel on one connection each way, in order. */
  #toNode(
    from: SimNode,
    fromLife: number,
    toId: number,
    request: { functionNumber: number; payload: Uint8Array; timeoutMs?: number },
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const to = this.nodes[toId - 1]
      const fail = (code: string): void =>
        reject(new SdkError(code, 'simulated', { mayHaveRun: true }))
      const timeoutMs = request.timeoutMs ?? CALL_TIMEOUT_MS
      this.clock.after(timeoutMs, () => fail('TIMEOUT'))
      const back = (run: () => void): void =>
        this.#wire(`n${toId}`, `n${from.id}`).send(
          () => this.#awake(from, fromLife, run),
          () => fail('COMP_UNREACHABLE'),
        )
      if (to === undefined || to.server === null) {
        this.clock.after(1, () => fail('COMP_UNREACHABLE'))
        return
      }
      const toLife = to.life
      this.#wire(`n${from.id}`, `n${toId}`).send(
        () =>
          this.#awake(
            to,
            toLife,
            () => {
              this.#serve(to, {
                functionNumber: request.functionNumber,
                payload: request.payload,
                caller: `node${from.id}`,
                deadlineMs: this.clock.nowMs + timeoutMs,
                reply: (payload) => back(() => resolve(payload)),
                fail: (error) => back(() => reject(error)),
              })
            },
            () => fail('COMP_UNREACHABLE'),
          ),
        () => fail('COMP_UNREACHABLE'),
      )
    })
  }

  #push(
    node: SimNode,
    life: number,
    caller: string,
    functionNumber: number,
    payload: Uint8Array,
  ): Promise<Uint8Array> {
    const component = node.component
    if (component?.name !== caller) {
      return Promise.reject(new SdkError('COMP_UNREACHABLE', 'simulated'))
    }
    this.#wire(`n${node.id}`, caller).send(
      () => this.#deliverPush(component, functionNumber, payload),
      () => undefined,
    )
    void life
    return Promise.resolve(new Uint8Array())
  }

  #deliverPush(component: SimComponent, functionNumber: number, payload: Uint8Array): void {
    if (!component.isAlive) return
    const { applied, replaced } = CheckpointPush.methods
    if (functionNumber === applied.functionNumber) {
      component.checkpoint.replicate(applied.input.decode(payload).batch)
    } else {
      component.checkpoint.replace(replaced.input.decode(payload).snapshot)
    }
  }

  /** Agent and component share one connection that breaks only with one of them. */
  #toServer(
    component: SimComponent,
    functionNumber: number,
    payload: Uint8Array,
  ): Promise<Uint8Array> {
    const { node } = component
    const { life } = node
    return new Promise((resolve, reject) => {
      const fail = (code: string): void =>
        reject(new SdkError(code, 'simulated', { mayHaveRun: true }))
      this.clock.after(5_000, () => fail('TIMEOUT'))
      const back = (run: () => void): void =>
        this.#wire(`n${node.id}`, component.name).send(
          () => component.isAlive && run(),
          () => undefined,
        )
      this.#wire(component.name, `n${node.id}`).send(
        () =>
          this.#awake(node, life, () =>
            this.#serve(node, {
              functionNumber,
              payload,
              caller: component.name,
              deadlineMs: this.clock.nowMs + 5_000,
              reply: (answer) => back(() => resolve(answer)),
              fail: (error) => back(() => reject(error)),
            }),
          ),
        () => undefined,
      )
    })
  }

  /** Runs when the process is not frozen, in order; not at all when it is another life. */
  #awake(node: SimNode, life: number, run: () => void, gone: () => void = () => undefined): void {
    if (node.life !== life) gone()
    else if (this.clock.nowMs < node.frozenUntilMs) {
      this.clock.at(node.frozenUntilMs, () => this.#awake(node, life, run, gone))
    } else run()
  }

  #serve(
    node: SimNode,
    request: Pick<
      IncomingCall,
      'functionNumber' | 'payload' | 'caller' | 'deadlineMs' | 'reply' | 'fail'
    >,
  ): void {
    const { server } = node
    if (server === null) return
    let isAnswered = false
    const once = <A extends unknown[]>(answer: (...args: A) => void) => {
      return (...args: A): void => {
        if (!isAnswered) answer(...args)
        isAnswered = true
      }
    }
    const call = {
      ...request,
      reply: once(request.reply),
      fail: once(request.fail),
    } as unknown as IncomingCall
    const { open, append, replace } = CheckpointReplica.methods
    const { attach, commit } = Checkpoint.methods
    try {
      switch (call.functionNumber) {
        case open.functionNumber:
          return server.open(call, open.input.decode(call.payload).epoch)
        case append.functionNumber: {
          const { batch, under } = append.input.decode(call.payload)
          return server.append(call, batch, under ?? batch.epoch)
        }
        case replace.functionNumber:
          return server.replace(call, replace.input.decode(call.payload))
        case attach.functionNumber:
          return server.attach(call)
        case commit.functionNumber:
          return server.commit(call, commit.input.decode(call.payload).batch)
      }
    } catch (error) {
      this.problems.push(`server threw ${String(error)}`)
    }
  }

  #tick(): void {
    for (const node of this.nodes) {
      if (node.server === null || this.clock.nowMs < node.frozenUntilMs) continue
      if (node.server.needsTick) node.server.tick()
    }
    this.#direct()
  }

  // ---- the director

  #change(
    node: SimNode,
    request: { readonly epoch: number; readonly node: number; readonly inSync: boolean },
  ): Promise<void> {
    const { life } = node
    return new Promise((resolve, reject) => {
      const back = (run: () => void): void =>
        this.#wire('director', `n${node.id}`).send(
          () => this.#awake(node, life, run),
          () => this.#awake(node, life, () => reject(new SdkError('TRY_AGAIN', 'lost'))),
        )
      this.#wire(`n${node.id}`, 'director').send(
        () => {
          if (this.clock.nowMs < this.#directorAwayUntilMs) {
            back(() => reject(new SdkError('TRY_AGAIN', 'no director')))
          } else if (request.epoch !== this.#epoch) {
            back(() => reject(new SdkError('STALE_EPOCH', 'newer')))
          } else {
            this.#inSync ??= new Set()
            if (request.inSync) this.#inSync.add(request.node)
            else this.#inSync.delete(request.node)
            this.checkSafe(this.#highest)
            this.trace('change', request, [...this.#inSync])
            if (this.#inSync.size === 0) this.problems.push('the in-sync set is empty')
            back(() => resolve())
          }
        },
        () => back(() => reject(new SdkError('TRY_AGAIN', 'lost'))),
      )
    })
  }

  #direct(): void {
    if (this.#active !== null || this.clock.nowMs < this.#directorAwayUntilMs) return
    const able = this.nodes.filter(
      (node) =>
        node.component !== null && node.server !== null && (this.#inSync?.has(node.id) ?? true),
    )
    const node = able[this.random.below(able.length)]
    const component = node?.component
    if (node === undefined || component === null || component === undefined) return
    this.failovers++
    const epoch = ++this.#epoch
    const inSync = this.#inSync === null ? null : [...this.#inSync]
    this.#active = component
    const { life } = node
    this.#wire('director', `n${node.id}`).send(
      () => this.#awake(node, life, () => this.#grant(component, epoch, inSync)),
      () => {
        if (this.#active === component) this.#active = null
      },
    )
  }

  #grant(component: SimComponent, epoch: number, inSync: number[] | null): void {
    const { node } = component
    this.trace('grant', epoch, 'node', node.id, inSync)
    try {
      const replicas = this.nodes.map((each) => each.id)
      node.server?.becomePrimary({ csi: CSI, epoch, replicas, inSync })
    } catch (error) {
      if (!isSdkError(error)) this.problems.push(`becomePrimary threw ${String(error)}`)
      if (this.#active === component) this.#active = null
      return
    }
    this.#wire(`n${node.id}`, component.name).send(
      () => component.isAlive && void component.checkpoint.roleChanged('ACTIVE', epoch),
      () => undefined,
    )
  }

  // ---- callers: at-most-once, one call at a time each

  #nextCall(caller: Caller): void {
    if (caller.nextId > this.#options.callsEach) return
    this.#ask(caller, caller.nextId)
  }

  #ask(caller: Caller, id: number): void {
    const again = (): void => {
      if (!caller.answers.has(id)) this.#ask(caller, id)
    }
    const component = this.#active
    if (component === null) {
      this.clock.after(20, again)
      return
    }
    this.clock.after(5 + this.random.below(60), again)
    this.clock.after(this.random.below(5), () => this.#call(component, caller, id))
  }

  #call(component: SimComponent, caller: Caller, id: number): void {
    if (!component.isAlive || this.clock.nowMs < component.node.frozenUntilMs) return
    const key = {
      caller: caller.name,
      messageId: id,
      acknowledgedBelow: id,
      functionNumber: 1,
      atMostOnce: true,
      deadlineMs: this.clock.nowMs + CALL_TIMEOUT_MS,
      staleReads: false,
    }
    const call = { ...key, source: { node: 0, port: 0 } } as unknown as Call
    try {
      const verdict = component.checkpoint.begin(call, key)
      if (verdict === 'inProgress') return
      if (verdict !== 'run') {
        Promise.resolve(verdict).then(
          (reply) => this.#answer(caller, id, numberOf(reply.payload)),
          () => undefined,
        )
        return
      }
      const view = component.checkpoint.in(call)
      const value = ((view.read('next') as number | undefined) ?? 0) + 1
      view.write('next', value)
      component.checkpoint.finish(call, { rc: 0, payload: Buffer.from(String(value)) }).then(
        () => this.clock.after(1, () => this.#answer(caller, id, value)),
        () => undefined,
      )
    } catch (error) {
      if (!isSdkError(error)) this.problems.push(`call threw ${String(error)}`)
    }
  }

  #answer(caller: Caller, id: number, value: number): void {
    const name = `${caller.name}/${id}`
    const former = caller.answers.get(id)
    if (former !== undefined) {
      if (former !== value) this.problems.push(`${name} got ${former} and ${value}`)
      return
    }
    const other = this.#issued.get(value)
    if (other !== undefined) this.problems.push(`${value} was given to ${other} and ${name}`)
    this.#issued.set(value, name)
    this.trace('answer', name, value)
    caller.answers.set(id, value)
    this.finished++
    this.#highest = Math.max(this.#highest, value)
    this.checkSafe(this.#highest)
    caller.nextId = id + 1
    this.clock.after(this.random.below(120), () => this.#nextCall(caller))
  }
}

function numberOf(payload: Uint8Array): number {
  return Number(Buffer.from(payload).toString())
}

function counterOf(stored: StoredReplica): number {
  // msgpack of the number: read through the same codec as the component.
  const value = stored.replica.sections.get('next')
  return value === undefined ? 0 : decodeCounter(value)
}

function decodeCounter(value: Uint8Array): number {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const [type = 0] = value
  if (type <= 0x7f) return type
  if (type === 0xcc) return view.getUint8(1)
  if (type === 0xcd) return view.getUint16(1)
  return view.getUint32(1)
}
