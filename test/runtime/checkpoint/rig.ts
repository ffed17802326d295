import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SdkError } from '../../../idl/index.ts'
import { createRmd, IOC_PORT, openPort, unixTransport, type Rmd } from '../../../ioc/index.ts'
import type { Call, CheckpointOptions } from '../../../runtime/eo/app.ts'
import { createCheckpointClient } from '../../../runtime/services/checkpoint/client.ts'
import type {
  CallKey,
  CheckpointService,
  CommitGate,
} from '../../../runtime/services/checkpoint/commit-gate.ts'
import {
  CheckpointPush,
  type InSyncAuthority,
} from '../../../runtime/services/checkpoint/interface.ts'
import {
  createCheckpointServer,
  type CheckpointServer,
} from '../../../runtime/services/checkpoint/server.ts'

export const CSI = 'sequenceCSI'

/** Says nothing. */
export const quiet = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  debug: () => undefined,
} as never

/** The director's part: one in-sync set and one epoch, in memory. */
export class FakeAuthority implements InSyncAuthority {
  inSync: Set<number> | null = null
  epoch = 0
  isAway = false
  readonly changes: string[] = []

  async change(request: {
    readonly csi: string
    readonly epoch: number
    readonly node: number
    readonly inSync: boolean
  }): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.isAway) throw new SdkError('TRY_AGAIN', 'no director')
    if (request.epoch !== this.epoch) throw new SdkError('STALE_EPOCH', 'a newer epoch')
    this.inSync ??= new Set()
    if (request.inSync) this.inSync.add(request.node)
    else this.inSync.delete(request.node)
    this.changes.push(`${request.inSync ? '+' : '-'}${request.node}`)
  }
}

export interface Node {
  readonly id: number
  readonly rmd: Rmd
  readonly server: CheckpointServer
}

export interface Component {
  readonly rmd: Rmd
  readonly service: CheckpointService
  readonly fenced: Error[]
  readonly gate: CommitGate
}

/** A cluster's checkpoint parts in one process, over real sockets and real LMDB. */
export class Rig {
  readonly runDir = mkdtempSync(join(tmpdir(), 'hf-ckpt-'))
  readonly authority = new FakeAuthority()
  refusal: string | null = null
  readonly #closers: (() => Promise<void>)[] = []
  #messageId = 0

  async node(id: number, replicaTimeoutMs = 1_000): Promise<Node> {
    const rmd = await this.#open(id, IOC_PORT.agent, `node${id}`)
    const server = createCheckpointServer({
      nodeId: id,
      directory: join(this.runDir, `node${id}`),
      rmd,
      hasCsi: (csi) => csi === CSI,
      authority: this.authority,
      replicaTimeoutMs,
      refusal: () => this.refusal,
      log: quiet,
    })
    rmd.serve((call) => {
      if (!server.dispatch(call)) call.fail(new SdkError('FUNC_NOT_REGISTERED', 'no'))
    })
    rmd.onPresence((event) => {
      if (event.kind === 'death') server.dropConnection(event.caller)
    })
    this.#closers.push(() => server.close())
    return { id, rmd, server }
  }

  /** Ends a node as its death would: connections break, the store is closed (not emptied). */
  async stopNode(node: Node): Promise<void> {
    await node.rmd.close()
    await node.server.close()
  }

  async component(nodeId: number, options: CheckpointOptions = {}): Promise<Component> {
    const rmd = await this.#open(nodeId, 0, 'component')
    const fenced: Error[] = []
    const service = createCheckpointClient({
      rmd,
      agent: { node: nodeId, port: IOC_PORT.agent },
      log: quiet,
      onFenced: (_csi, error) => fenced.push(error),
    })
    rmd.serve((call) => {
      const { applied, replaced } = CheckpointPush.methods
      if (call.functionNumber === applied.functionNumber) {
        void service.pushHandlers.applied(applied.input.decode(call.payload), null)
      } else {
        void service.pushHandlers.replaced(replaced.input.decode(call.payload), null)
      }
      call.reply(new Uint8Array())
    })
    service.client.open(CSI, options)
    await service.attach()
    this.#closers.push(() => service.close())
    const gate = service.gate(CSI)
    if (gate === undefined) throw new Error('no gate')
    return { rmd, service, fenced, gate }
  }

  /** Grants ACTIVE as the director and the agent do. */
  async grant(node: Node, component: Component, epoch: number, replicas: number[]): Promise<void> {
    this.authority.epoch = epoch
    const inSync = this.authority.inSync === null ? null : [...this.authority.inSync]
    node.server.becomePrimary({ csi: CSI, epoch, replicas, inSync })
    await component.service.roleChanged(CSI, 'ACTIVE', epoch)
  }

  /** The context of a new call of a caller. */
  call(key: Partial<CallKey> = {}): { call: Call; key: CallKey } {
    this.#messageId++
    const full: CallKey = {
      caller: 'caller0000000001',
      messageId: this.#messageId,
      acknowledgedBelow: 0,
      functionNumber: 20 * 64,
      atMostOnce: true,
      deadlineMs: performance.now() + 5_000,
      staleReads: false,
      ...key,
    }
    const call = {
      eo: { component: 'rig', node: 'node1', address: { node: 1, port: 64 } },
      source: { node: 0, port: 0 },
      caller: full.caller,
      messageId: full.messageId,
      priority: 'default',
      deadlineMs: full.deadlineMs,
      epoch: 0,
      signal: new AbortController().signal,
    } as const
    return { call, key: full }
  }

  /** One call that adds `count` to the section `next`: what the sample does. */
  async draw(component: Component, key: Partial<CallKey> = {}): Promise<number> {
    const made = this.call(key)
    const verdict = component.gate.begin(made.call, made.key)
    if (verdict === 'inProgress') throw new SdkError('INUSE', 'runs already')
    if (verdict !== 'run') return (await verdict).payload[0] ?? -1
    const view = (component.service.gate(CSI) as unknown as { in(call: Call): View }).in(made.call)
    const next = ((view.read('next') as number | undefined) ?? 0) + 1
    view.write('next', next)
    await component.gate.finish(made.call, { rc: 0, payload: new Uint8Array([next & 0xff]) })
    return next
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close()
    rmSync(this.runDir, { recursive: true, force: true })
  }

  async #open(node: number, port: number, name: string): Promise<Rmd> {
    const opened = await openPort({
      transport: unixTransport({ runDir: this.runDir }),
      node,
      port,
      name,
    })
    const rmd = createRmd({ port: opened })
    this.#closers.push(() => rmd.close())
    return rmd
  }
}

interface View {
  read(section: string): unknown
  write(section: string, value: unknown): void
}

/** Waits for something that will be true soon, without a fixed time. */
export async function until(what: () => boolean, timeoutMs = 5_000): Promise<void> {
  const endMs = performance.now() + timeoutMs
  while (!what()) {
    if (performance.now() > endMs) throw new Error(`never true: ${what.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
