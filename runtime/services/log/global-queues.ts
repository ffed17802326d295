import { SdkError } from '../../../idl/index.ts'
import { IOC_PORT, systemClock } from '../../../ioc/index.ts'
import { PushQueue } from '../push-queue.ts'
import type { OrderMember } from '../replicated/interface.ts'
import type { ServiceHost } from '../service.ts'
import { LogIntake, SentAccount } from './intake.ts'
import { LOG_LIMITS, LogNode, type LogRecord } from './interface.ts'
import type { StreamState } from './operations.ts'
import type { RecordStore, StreamFile } from './record-store.ts'

const APPEND_TIMEOUT_MS = 5_000
/** Lives of nodes whose numbers are remembered for each stream. */
const INTAKE_COUNT_MAX = 4_096

interface Queue {
  /** Numbers of a later queue of the same stream begin anew. */
  readonly id: number
  stream: StreamFile
  readonly records: PushQueue<LogRecord>
  readonly account: SentAccount
  /** Records that components lost before they came here, and how many of those the owner knows of. */
  missing: number
  missingTold: number
  pushed: number
  arrived: number
  /** Life of the node that took records last, and whether it said that its file takes nothing more. */
  owner: string | null
  isFull: boolean
  isEnded: boolean
}

interface Append {
  readonly stream: string
  readonly attributes: StreamFile['attributes']
  readonly home: string
  readonly life: string
  readonly first: number
  readonly lost: number
  readonly missing: number
  readonly missingTold: number
  readonly records: readonly LogRecord[]
}

/**
 * Records of global streams on their way to the node that owns the files; in order, each once while the owner stays the
 * same. When another node becomes the owner, records whose answer was lost may be in both nodes' files.
 */
export class GlobalQueues {
  readonly #host: ServiceHost
  readonly #store: RecordStore
  readonly #queues = new Map<string, Queue>()
  readonly #intakes = new Map<string, LogIntake>()
  #lastId = 0

  constructor(host: ServiceHost, store: RecordStore) {
    this.#host = host
    this.#store = store
  }

  /** Whose disk it is now; null while that node is away. */
  ownerOf({ home, attributes }: Pick<StreamState, 'home' | 'attributes'>): OrderMember | null {
    const members = this.#host.members()
    const own = members.find(({ node }) => this.#host.nodeName(node) === home)
    if (own !== undefined) return own
    return home === '*' || attributes.haProperty ? (members[0] ?? null) : null
  }

  /** @returns true when the owner's file takes nothing more, as far as is known here. */
  push(state: StreamState, record: LogRecord, lost: number): boolean {
    const queue = this.#queues.get(state.name) ?? this.#add(state)
    queue.stream = state
    queue.isEnded = false
    queue.missing += lost
    queue.pushed += 1
    queue.records.push(record)
    return queue.isFull
  }

  /** Records of another node. @returns true when the file takes nothing more. */
  async receive(request: Append): Promise<boolean> {
    const { stream: name, attributes, home, life, first, records, ...counts } = request
    const stream = { name, attributes, home }
    const intake = this.#intake(`${life} ${name}`)
    const { fresh, lost } = intake.take(first, counts.lost, records)
    const missing = fresh.length === 0 ? 0 : intake.takeMissing(counts)
    const isFull = this.#store.write(stream, 'GLOBAL', fresh, lost + missing)
    // The sender lets go of them: from here on they have to outlive this process.
    await this.#store.settle(stream, 'GLOBAL')
    return isFull
  }

  /** The stream is gone: what waits is still sent while there is an owner. */
  ended(name: string): void {
    const queue = this.#queues.get(name)
    if (queue === undefined) return
    queue.isEnded = true
    this.#dropIfDone(name, queue)
  }

  /**
   * Nodes came or went.
   * @returns streams whose files were full, and are others now.
   */
  viewChanged(): readonly string[] {
    const lives = new Set(this.#host.members().map(({ life }) => life))
    for (const key of this.#intakes.keys()) {
      if (!lives.has(key.slice(0, key.indexOf('.')))) this.#intakes.delete(key)
    }
    const refreshed: string[] = []
    for (const [name, queue] of [...this.#queues]) {
      if (queue.isFull && this.ownerOf(queue.stream)?.life !== queue.owner) {
        queue.isFull = false
        refreshed.push(name)
      }
      this.#dropIfDone(name, queue)
    }
    return refreshed
  }

  close(): void {
    for (const { records } of this.#queues.values()) records.close()
  }

  #add(stream: StreamFile): Queue {
    const account = new SentAccount()
    const queue: Queue = {
      id: (this.#lastId += 1),
      stream,
      account,
      missing: 0,
      missingTold: 0,
      pushed: 0,
      arrived: 0,
      owner: null,
      isFull: false,
      isEnded: false,
      records: new PushQueue({
        countMax: LOG_LIMITS.waitingCount,
        send: (first, records) => this.#send(queue, first, records),
        clock: systemClock,
      }),
    }
    this.#queues.set(stream.name, queue)
    return queue
  }

  async #send(queue: Queue, first: number, records: readonly LogRecord[]): Promise<void> {
    const { name, attributes, home } = queue.stream
    const owner = this.ownerOf(queue.stream)
    if (owner === null) throw new SdkError('TRY_AGAIN', `the node of the files of ${name} is away`)
    const { missing, missingTold } = queue
    queue.owner = owner.life
    const lost = queue.account.lostBefore(first)
    if (owner.life === this.#host.self.life) {
      const all = lost + missing - missingTold
      queue.isFull = this.#store.write(queue.stream, 'GLOBAL', records, all)
    } else {
      const to = { node: owner.node, port: IOC_PORT.agent }
      const node = this.#host.rmd.client(LogNode, { to, timeoutMs: APPEND_TIMEOUT_MS })
      const answer = await node.append({
        stream: name,
        attributes,
        home,
        life: `${this.#host.self.life}.${queue.id}`,
        first,
        lost,
        missing,
        missingTold,
        records: [...records],
      })
      queue.isFull = answer.isFull
    }
    queue.account.arrived(first, records.length)
    queue.missingTold = missing
    queue.arrived = first + records.length - 1
    this.#dropIfDone(name, queue)
  }

  #dropIfDone(name: string, queue: Queue): void {
    if (!queue.isEnded) return
    if (queue.arrived < queue.pushed && this.ownerOf(queue.stream) !== null) return
    queue.records.close()
    if (this.#queues.get(name) === queue) this.#queues.delete(name)
  }

  #intake(key: string): LogIntake {
    const known = this.#intakes.get(key)
    if (known !== undefined) return known
    for (const oldest of this.#intakes.keys()) {
      if (this.#intakes.size < INTAKE_COUNT_MAX) break
      this.#intakes.delete(oldest)
    }
    const made = new LogIntake()
    this.#intakes.set(key, made)
    return made
  }
}
