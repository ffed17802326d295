import { join } from 'node:path'
import { type HandlersOf, isSdkError, SdkError } from '../../../idl/index.ts'
import { IOC_PORT, type IncomingCall, systemClock } from '../../../ioc/index.ts'
import type { Dispatcher } from '../dispatcher.ts'
import type { OrderMember, Position } from '../replicated/interface.ts'
import type { MessageMeta, Replicated } from '../replicated/replicated.ts'
import type { NodeService, ServiceHost } from '../service.ts'
import { serviceOf } from './agents.ts'
import { TransactionPush, type TransactionReport, TransactionService } from './interface.ts'
import { type LoggedTransactions, TransactionLog } from './log.ts'
import {
  type TransactionOperation,
  transactionOperationCodec,
  transactionsCodec,
} from './operations.ts'
import { type Half, halfOf } from './progress.ts'
import { TaskRunner } from './runner.ts'
import { TransactionContent } from './transaction-content.ts'

const STOP_TIMEOUT_MS = 5_000
const RETRY_MS = 500

type Register = Extract<TransactionOperation, { kind: 'register' }>
type Methods = (typeof TransactionService)['spec']
type Reading = Parameters<HandlersOf<Methods, IncomingCall>['read']>[0]

interface Timer {
  readonly half: Half
  readonly cancel: () => void
}

/** The transactions of one node process. */
export function transactionServer(host: ServiceHost): NodeService {
  return new TransactionServer(host)
}

/**
 * I1 What an operation decides is in the log before an agent hears of it. I2 Only the node of an agent asks it.
 */
class TransactionServer implements NodeService, Replicated {
  readonly topic = 'transaction'
  readonly replicated = this
  readonly #host: ServiceHost
  readonly #content = new TransactionContent()
  readonly #log: TransactionLog
  readonly #runner: TaskRunner
  /** What the log has from the time before this process, until it is told. */
  #logged: LoggedTransactions | null
  readonly #waiting = new Map<string, (() => void)[]>()
  readonly #timers = new Map<string, Timer>()
  /** What living components of this node have registered, by their callers. */
  readonly #own = new Map<string, Register[]>()
  #isClosed = false

  constructor(host: ServiceHost) {
    this.#host = host
    this.#log = new TransactionLog({
      directory: join(host.directory, 'transaction'),
      log: host.log,
    })
    this.#logged = this.#log.load()
    this.#runner = new TaskRunner({
      perform: async ({ eo, timeoutMs, ...job }) =>
        (await this.#push(eo, timeoutMs).perform(job)).failure,
      answer: (answer) => this.#submit(answer),
      isWanted: (task) => this.#content.isWanted(task),
      mayRefuse: (task) => this.#content.isDeciding(task),
      warn: ({ transaction, job, agent, phase }, why) =>
        this.#host.log.warn({ transaction, job, agent, phase, why }, 'an agent is asked again'),
      clock: systemClock,
    })
  }

  // --- the order ---

  apply(payload: Uint8Array, { from, at }: MessageMeta): void {
    const operation = transactionOperationCodec.decode(payload)
    try {
      this.#content.apply(operation, { revision: revisionOf(at), life: from.life })
    } finally {
      this.#perform()
    }
  }

  viewChanged(members: readonly OrderMember[]): void {
    const nodes = members.map(({ node }) => node)
    this.#content.viewChanged(nodes, new Set(members.map(({ life }) => life)))
    this.#perform()
  }

  snapshot(): Uint8Array {
    return transactionsCodec.encode(this.#content.snapshot())
  }

  restore(bytes: Uint8Array): void {
    this.#content.restore(transactionsCodec.decode(bytes))
    for (const id of this.#timers.keys()) if (this.#content.open(id) === undefined) this.#arm(id)
    this.#perform()
    for (const id of this.#waiting.keys()) this.#answer(id)
  }

  #perform(): void {
    const { changed, ended, forgotten } = this.#content.takeEffects()
    const incarnation = this.#content.incarnation ?? ''
    // I1
    for (const [id, isTurn] of changed) {
      const transaction = this.#content.open(id)
      if (isTurn && transaction !== undefined) this.#log.put(incarnation, transaction)
    }
    for (const { transaction, isKept } of ended) {
      const { id, begun } = transaction
      const { state } = isKept ? this.#content.report(id) : { state: null }
      this.#log.end(id, state === null ? null : { id, begun, state })
    }
    this.#log.forget(forgotten.ids, forgotten.upTo)
    for (const id of changed.keys()) {
      for (const task of this.#content.tasks(id, this.#host.self.life)) this.#runner.run(task)
    }
    for (const { transaction } of ended) this.#stop(transaction.id, transaction.units)
    for (const id of [...changed.keys(), ...ended.map(({ transaction }) => transaction.id)]) {
      this.#arm(id)
      this.#answer(id)
    }
  }

  #answer(id: string): void {
    if (!this.#content.isSettled(id)) return
    for (const tell of this.#waiting.get(id) ?? []) tell()
    this.#waiting.delete(id)
  }

  /** Every node watches the time: whoever is there puts the end of it into the order. */
  #arm(id: string): void {
    const transaction = this.#content.open(id)
    const half = transaction === undefined ? null : halfOf(transaction)
    const timer = this.#timers.get(id)
    if (timer?.half === half) return
    timer?.cancel()
    this.#timers.delete(id)
    if (transaction === undefined || half === null) return
    const cancel = systemClock.after(transaction.options.timeoutMs, () => {
      this.#timers.delete(id)
      void this.#insist({ kind: 'expire', id, half })
    })
    this.#timers.set(id, { half, cancel })
  }

  #stop(id: string, units: Parameters<typeof agentsOf>[0]): void {
    for (const name of agentsOf(units)) {
      const agent = this.#content.agents.get(name)
      if (agent?.life !== this.#host.self.life) continue
      this.#push(agent.eo, STOP_TIMEOUT_MS)
        .stop({ transaction: id, agent: name })
        .catch((err: unknown) => {
          this.#host.log.debug({ err, id, agent: name }, 'an agent was not told of the end')
        })
    }
  }

  // --- components of this node, and other nodes ---

  install(dispatcher: Dispatcher): void {
    dispatcher.install(TransactionService, this.#handlers())
  }

  callerGone(caller: string): void {
    if (this.#own.delete(caller)) void this.#insist({ kind: 'ended', eo: caller })
  }

  entered(): void {
    for (const operation of [...this.#own.values()].flat()) void this.#insist(operation)
    if (this.#logged !== null) void this.#tellLogged(this.#logged)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#runner.close()
    for (const { cancel } of this.#timers.values()) cancel()
    await this.#log.close()
  }

  #handlers(): HandlersOf<Methods, IncomingCall> {
    return {
      start: async ({ number, options, jobs }, call) => {
        this.#check(call)
        const id = idOf(call, number)
        await this.#submit({ kind: 'begin', id, options, jobs }).catch((error: unknown) => {
          // Its result was lost on the way, but here it is.
          if (this.#content.open(id) === undefined) throw error
        })
        return this.#ended(id)
      },
      cancel: async ({ number }, call) => {
        await this.#submit({ kind: 'cancel', id: idOf(call, number) })
        return {}
      },
      report: ({ number }, call) => this.#content.report(idOf(call, number)),
      agentServiceRegister: (request, call) => this.#register(request, call),
      agentServiceUnregister: async ({ agent, service }, call) => {
        await this.#submit({ kind: 'unregister', agent, eo: call.caller, service })
        const own = this.#own.get(call.caller)
        const kept = own?.filter((one) => one.agent !== agent || one.service !== service)
        if (kept !== undefined) this.#own.set(call.caller, kept)
        return {}
      },
      read: async (request, call) => {
        this.#check(call)
        const life = this.#content.agents.find(request.agent)?.life
        const there = this.#host.members().find((member) => member.life === life)
        if (there === undefined || there.node === this.#host.nodeId) return this.#read(request)
        const to = { node: there.node, port: IOC_PORT.agent }
        const { timeoutMs } = request
        return this.#host.rmd.client(TransactionService, { to, timeoutMs }).readHere(request)
      },
      readHere: (request) => this.#read(request),
    }
  }

  #ended(id: string): Promise<TransactionReport> {
    return new Promise((resolve, reject) => {
      const tell = (): void => {
        try {
          resolve(this.#content.report(id))
        } catch (error) {
          reject(error as SdkError)
        }
      }
      if (this.#content.isSettled(id)) tell()
      else this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), tell])
    })
  }

  async #register(
    request: Pick<Register, 'agent' | 'service' | 'isTwoPhase'>,
    call: IncomingCall,
  ): Promise<Record<string, never>> {
    this.#check(call)
    const own = this.#own.get(call.caller) ?? []
    const { agent, service } = request
    if (own.some((one) => one.agent === agent && one.service === service)) {
      throw new SdkError('ALREADY_EXIST', `agent ${agent} has a service ${service} already`)
    }
    // From here on its end has to be told.
    this.#own.set(call.caller, own)
    const { node, port } = call.source
    const { life } = this.#host.self
    const address = { node, port }
    const operation = { kind: 'register', ...request, life, eo: call.caller, address } as const
    await this.#submit(operation)
    // It may have ended meanwhile.
    const kept = this.#own.get(call.caller)
    if (kept !== undefined) this.#own.set(call.caller, [...kept, operation])
    return {}
  }

  async #read({ agent: reference, job, service, definition, timeoutMs }: Reading) {
    const agent = this.#content.agents.find(reference)
    if (agent?.life !== this.#host.self.life || serviceOf(agent, service) === null) {
      throw new SdkError('NO_REGD_SERVICE', `no agent of the job has a service of type ${service}`)
    }
    const of = { transaction: '', agent: agent.agent, job, service, definition }
    return this.#push(agent.eo, timeoutMs).read(of)
  }

  #check({ caller }: IncomingCall): void {
    if (this.#host.componentOf(caller) !== null) return
    throw new SdkError('OP_NOT_PERMITTED', 'transactions are for components of this node')
  }

  #push(eo: string, timeoutMs: number) {
    return this.#host.rmd.client(TransactionPush, { to: { caller: eo }, timeoutMs })
  }

  // --- submitting ---

  async #submit(operation: TransactionOperation): Promise<void> {
    await this.#host.submit(this.topic, transactionOperationCodec.encode(operation))
  }

  /** Submits until it stands in the order. */
  async #insist(operation: TransactionOperation): Promise<void> {
    while (!this.#isClosed) {
      try {
        return await this.#submit(operation)
      } catch (err) {
        const isLater = isSdkError(err, 'TRY_AGAIN') || isSdkError(err, 'TIMEOUT')
        this.#host.log.debug({ err, kind: operation.kind, isLater }, 'not in the order')
        if (!isLater) return
      }
      await new Promise<void>((resolve) => systemClock.after(RETRY_MS, resolve))
    }
  }

  /** All nodes may have ended since: what this one knows is told, and then that this was all. */
  async #tellLogged({ open, ended, forgotten }: LoggedTransactions): Promise<void> {
    this.#logged = null
    const { nodeId: node } = this.#host
    for (const { incarnation, transaction } of open) {
      // Of nodes that the model has no more nothing will be heard.
      const witnesses = transaction.witnesses.filter(
        (witness) => this.#host.nodeName(witness) !== undefined,
      )
      const told = { ...transaction, witnesses }
      await this.#insist({ kind: 'recovered', node, incarnation, transaction: told })
    }
    await this.#insist({ kind: 'reported', node, ended: [...ended], forgotten })
    if (!this.#isClosed) this.#log.keepOnly(new Set(this.#content.ids()))
  }
}

/** The id of a component's transaction: numbers count for one life of its process. */
function idOf({ caller }: IncomingCall, number: number): string {
  return `${caller}-${number}`
}

function revisionOf({ term, sequence }: Position): number {
  return term * 2 ** 32 + sequence
}

function agentsOf(
  units: readonly {
    readonly jobs: readonly { readonly participants: readonly { readonly agent: string }[] }[]
  }[],
): ReadonlySet<string> {
  const jobs = units.flatMap((unit) => unit.jobs)
  return new Set(jobs.flatMap(({ participants }) => participants.map(({ agent }) => agent)))
}
