import type {
  Participation,
  TransactionReport,
} from '../../runtime/services/transaction/interface.ts'
import {
  type EndedTransaction,
  type Transaction,
  type TransactionOperation,
  transactionsCodec,
} from '../../runtime/services/transaction/operations.ts'
import { halfOf } from '../../runtime/services/transaction/progress.ts'
import {
  TransactionContent,
  type TransactionTask,
} from '../../runtime/services/transaction/transaction-content.ts'

type Done = Extract<TransactionOperation, { kind: 'done' }>
type Begin = Extract<TransactionOperation, { kind: 'begin' }>
type Entry =
  | { readonly kind: 'message'; readonly operation: TransactionOperation; readonly life: string }
  | { readonly kind: 'view'; readonly nodes: readonly number[]; readonly lives: readonly string[] }

/** One life of a node process: what it has applied, and the answers that it has not told yet. */
interface Node {
  readonly id: number
  readonly life: string
  readonly content: TransactionContent
  applied: number
  answers: { readonly task: TransactionTask; readonly answer: Done }[]
  readonly asked: Set<string>
}

/** What a node's log has: it outlives its processes. */
interface Log {
  readonly open: Map<string, { readonly incarnation: string; readonly transaction: Transaction }>
  readonly ended: Map<string, EndedTransaction>
}

/** A component with an agent that remembers, across its lives, what it has done. */
export interface ModelAgent {
  readonly name: string
  readonly node: number
  readonly participation: Participation
  readonly refuses: boolean
  /** null: it does not live. */
  eo: string | null
  readonly did: string[]
}

export interface WorldOptions {
  readonly participants: readonly {
    readonly participation: Participation
    readonly refuses: boolean
  }[]
  /** The first node learns of the order as soon as it can, the others when nothing else is left. */
  readonly isLazy?: boolean
  readonly atomicity?: 'TRANSACTION' | 'JOB'
}

export const ID = 'client-1'

/**
 * Nodes with their logs, agents, and the order between them, one step after the other: a node learns the next entry, an
 * agent does one thing, its node tells so. Anything may end between two steps.
 */
export class TransactionWorld {
  readonly agents: ModelAgent[]
  readonly nodes = new Map<number, Node>()
  readonly logs = new Map<number, Log>()
  /** What the client was answered first. */
  answered: TransactionReport | null = null
  /** Everything that is against the rules. */
  readonly wrong: string[] = []
  #order: Entry[] = []
  #isLazy: boolean
  #lives = 0
  #term = 1

  constructor({ participants, isLazy = false, atomicity = 'TRANSACTION' }: WorldOptions) {
    this.#isLazy = isLazy
    this.agents = participants.map(({ participation, refuses }, index) => {
      const node = index + 1
      return { name: `agent${node}`, node, participation, refuses, eo: null, did: [] }
    })
    for (const { node } of this.agents) this.startNode(node)
    for (const agent of this.agents) this.startAgent(agent)
    this.settle()
    const begin: Begin = {
      kind: 'begin',
      id: ID,
      options: {
        atomicity,
        restartOnResourceUnavailability: false,
        ignoreNoServiceRegisteredAgent: false,
        jobTimeoutMs: 1_000,
        timeoutMs: 1_000,
      },
      jobs: this.agents.map(({ name, participation }, index) => ({
        job: index + 1,
        service: 1,
        definition: Buffer.from('x'),
        participants: [{ agent: name, participation }],
      })),
    }
    this.#submit(begin, this.nodes.get(1)?.life ?? '')
  }

  /** What can happen next. The first one is what a quiet cluster does. */
  steps(): (() => void)[] {
    const nodes = [...this.nodes.values()]
    const learn = (node: Node): (() => void)[] =>
      node.applied < this.#order.length ? [() => this.#learn(node)] : []
    const act = (node: Node): (() => void)[] => [
      ...node.answers.slice(0, 1).map(() => () => this.#tell(node)),
      ...node.content
        .tasks(ID, node.life)
        .filter((task) => !node.asked.has(keyOf(task)))
        .filter(({ eo }) => this.agents.some((agent) => agent.eo === eo))
        .map((task) => () => this.#ask(node, task)),
    ]
    const [first, ...others] = nodes
    if (!this.#isLazy || first === undefined)
      return [...nodes.flatMap(learn), ...nodes.flatMap(act)]
    return [...learn(first), ...nodes.flatMap(act), ...others.flatMap(learn)]
  }

  /** Steps until nothing is left to do; time passes where everybody waits. */
  settle(): void {
    do this.run()
    while (this.#expire())
  }

  /** The same, and no time passes. */
  run(): void {
    for (let count = 0; count < 2_000; count++) {
      const [next] = this.steps()
      if (next === undefined) return
      next()
    }
    this.wrong.push('it does not come to an end')
  }

  startAgent(agent: ModelAgent): void {
    const node = this.nodes.get(agent.node)
    if (node === undefined) return
    agent.eo = `eo${++this.#lives}`
    const { name, eo } = agent
    const address = { node: agent.node, port: 100 }
    const isTwoPhase = agent.participation !== 'ONE_PHASE'
    const of = { agent: name, eo, address, service: 1, isTwoPhase }
    this.#submit({ kind: 'register', life: node.life, ...of }, node.life)
  }

  killAgent(agent: ModelAgent): void {
    const { eo } = agent
    const node = this.nodes.get(agent.node)
    agent.eo = null
    if (node !== undefined && eo !== null) this.#submit({ kind: 'ended', eo }, node.life)
  }

  /** A node process, from its log and from what the others have. */
  startNode(id: number): void {
    const life = `life${++this.#lives}`
    const content = new TransactionContent()
    const [other] = this.nodes.values()
    const node = { id, life, content, applied: 0, answers: [], asked: new Set<string>() }
    if (other !== undefined) {
      content.restore(transactionsCodec.decode(transactionsCodec.encode(other.content.snapshot())))
      node.applied = other.applied
    }
    const log = this.logs.get(id) ?? { open: new Map(), ended: new Map() }
    const told = [...log.open.values()].map((each) => structuredClone(each))
    const ended = [...log.ended.values()]
    this.logs.set(id, log)
    this.nodes.set(id, node)
    this.#view()
    this.#perform(node)
    for (const each of told) this.#submit({ kind: 'recovered', node: id, ...each }, life)
    this.#submit({ kind: 'reported', node: id, ended, forgotten: -1 }, life)
  }

  killNode(id: number): void {
    this.nodes.delete(id)
    for (const agent of this.agents) if (agent.node === id) agent.eo = null
    this.#view()
  }

  killAll(): void {
    for (const id of [...this.nodes.keys()]) this.killNode(id)
    this.#order = []
    this.#term++
  }

  /** All that must hold at the end. */
  check(): void {
    const reports = [...this.nodes.values()].map(({ content }) => content.report(ID))
    const [outcome] = reports
    for (const { state } of reports) {
      if (state !== outcome?.state) this.wrong.push(`${state} here, ${outcome?.state} there`)
    }
    const state = outcome?.state ?? 'nobody knows'
    if (state !== 'COMMITTED' && state !== 'ROLLED_BACK') this.wrong.push(`it is ${state}`)
    for (const agent of this.agents) {
      // The one that decided is gone for good, and never said how: the client is told that.
      const isUnknown =
        agent.participation === 'ONE_PHASE' &&
        agent.eo === null &&
        outcome?.failures.some(({ code }) => code === 'AGENT_FAILED_VOID')
      if (isUnknown !== true) this.#checkAgent(agent, state === 'COMMITTED')
    }
    const first = this.answered?.state
    const isSame = first === state || (first === 'ROLLING_BACK' && state === 'ROLLED_BACK')
    if (first !== undefined && !isSame) this.wrong.push(`answered ${first}, then ${state}`)
    const snapshots = new Set(
      [...this.nodes.values()].map(({ content }) => JSON.stringify(content.snapshot())),
    )
    if (snapshots.size > 1) this.wrong.push('nodes have different contents')
    for (const { open } of this.logs.values()) {
      if (open.size > 0 && this.nodes.size === this.agents.length)
        this.wrong.push('a log has it open')
    }
  }

  #checkAgent({ name, participation, did, eo }: ModelAgent, isCommitted: boolean): void {
    if (did.includes('commit') && did.includes('rollback')) this.wrong.push(`${name} did both`)
    if (did.includes('commit') && !isCommitted) this.wrong.push(`${name} has committed`)
    const mustCommit = isCommitted && participation !== 'VERIFY' && eo !== null
    if (mustCommit && !did.includes('commit')) this.wrong.push(`${name} has not committed`)
    const isPrepared = did.includes('prepare') && participation === 'TWO_PHASE' && eo !== null
    if (!isCommitted && isPrepared && !did.includes('rollback')) {
      this.wrong.push(`${name} is still prepared`)
    }
  }

  #learn(node: Node): void {
    const entry = this.#order[node.applied++]
    if (entry?.kind === 'view') node.content.viewChanged(entry.nodes, new Set(entry.lives))
    else if (entry !== undefined) {
      const revision = this.#term * 2 ** 32 + node.applied
      try {
        const place = { revision, life: entry.life }
        // What was recovered becomes part of the content.
        const { operation } = entry
        const isTaken = operation.kind === 'recovered'
        node.content.apply(isTaken ? structuredClone(operation) : operation, place)
      } catch (error) {
        this.wrong.push(`${entry.operation.kind}: ${String(error)}`)
      }
    }
    this.#perform(node)
    if (entry?.kind !== 'message' || entry.life !== node.life) return
    // What its log had from before is told: it stands with all others, or is over.
    const open = this.logs.get(node.id)?.open
    if (entry.operation.kind !== 'reported' || open === undefined) return
    for (const id of open.keys()) if (node.content.open(id) === undefined) open.delete(id)
  }

  /** As the server side does: the log before anything else. */
  #perform({ id, content }: Node): void {
    const log = this.logs.get(id)
    const { changed, ended } = content.takeEffects()
    for (const [transaction, isTurn] of changed) {
      const open = content.open(transaction)
      if (!isTurn || open === undefined) continue
      const incarnation = content.incarnation ?? ''
      log?.open.set(transaction, structuredClone({ incarnation, transaction: open }))
    }
    for (const { transaction, isKept } of ended) {
      const { id: of, begun } = transaction
      log?.open.delete(of)
      if (isKept) log?.ended.set(of, { id: of, begun, state: content.report(of).state })
    }
    if (id !== 1 || this.answered !== null || this.#order.length === 0) return
    const isBegun = content.open(ID) !== undefined || ended.length > 0
    if (isBegun && content.isSettled(ID)) this.answered = content.report(ID)
  }

  #ask(node: Node, task: TransactionTask): void {
    node.asked.add(keyOf(task))
    const agent = this.agents.find(({ eo }) => eo === task.eo)
    if (agent === undefined) return
    const { transaction: id, job, agent: name, eo, phase } = task
    const isNo = agent.refuses && (phase === 'prepare' || agent.participation === 'ONE_PHASE')
    if (!isNo) agent.did.push(phase)
    const failure = isNo ? { code: 'REFUSED', message: 'no', mayHaveRun: false } : null
    const answer: Done = { kind: 'done', id, job, agent: name, eo, phase, failure }
    node.answers.push({ task, answer })
  }

  #tell(node: Node): void {
    const [first] = node.answers.splice(0, 1)
    if (first !== undefined) this.#submit(first.answer, node.life)
  }

  /** Nobody can do anything: the times run out. @returns false when nothing waits for them. */
  #expire(): boolean {
    const [node] = this.nodes.values()
    const open = node?.content.open(ID)
    if (node === undefined || open === undefined) return false
    const half = halfOf(open)
    if (half === null) return false
    this.#submit({ kind: 'expire', id: ID, half }, node.life)
    return true
  }

  #view(): void {
    const nodes = [...this.nodes.values()]
    const lives = nodes.map(({ life }) => life)
    this.#order.push({ kind: 'view', nodes: nodes.map(({ id }) => id), lives })
  }

  #submit(operation: TransactionOperation, life: string): void {
    this.#order.push({ kind: 'message', operation, life })
  }
}

function keyOf({ job, eo, phase }: TransactionTask): string {
  return `${job} ${eo} ${phase}`
}
