import type { Logger } from 'pino'
import {
  decodeWireError,
  encodeWireError,
  fromWireError,
  isSdkError,
  SdkError,
  toWireError,
} from '../../../idl/index.ts'
import type { CallKey } from '../checkpoint/commit-gate.ts'
import { CsiCheckpoint } from '../checkpoint/csi-checkpoint.ts'
import type { CachedReply } from '../checkpoint/interface.ts'
import type { CheckpointStreams } from '../checkpoint/server.ts'
import type { TransactionView } from '../checkpoint/checkpoint-view.ts'
import { isAsynchronous } from './attributes.ts'
import {
  CHECKPOINT_BOUNDS,
  type CheckpointAttributes,
  NamedCheckpointPeer,
  type SectionOperation,
  type SectionResult,
} from './interface.ts'
import { SectionIndex } from './section-index.ts'
import { clearEnded, operate } from './sections.ts'

const { perform } = NamedCheckpointPeer.methods
const FENCE = 'f'
const SWEEP_COUNT_MAX = 1_000
const SWEEP_TIMEOUT_MS = 10_000
/** Asynchronous writes that other replicas may lack; one more waits as a synchronous one does. */
const AHEAD_COUNT_MAX = 1_024
const AHEAD_BYTES_MAX = 8 * 1_024 * 1_024

export interface ActiveCheckpointOptions {
  readonly id: string
  readonly name: string
  readonly attributes: CheckpointAttributes
  readonly epoch: number
  readonly streams: CheckpointStreams
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Monotonic milliseconds: the clock of deadlines. */
  readonly nowMs: () => number
  readonly wallMs: () => number
  /** Another replica has taken over, or this one cannot store: nothing more is done here. */
  readonly onLost: (error: Error) => void
}

/** One request of a component. */
export interface SectionRequest {
  /** Of the request itself: asked again, it is done once. */
  readonly origin: {
    readonly caller: string
    readonly messageId: number
    readonly acknowledgedBelow: number
  }
  /** Of the CSI that the checkpoint goes with; 0 for none. */
  readonly epoch: number
  readonly operation: SectionOperation
  readonly deadlineMs: number
}

/**
 * The active replica of one checkpoint: its operations in one order, each committed with its answer. The way to the
 * other replicas is that of a hot-standby checkpoint whose component is this node process.
 */
export class ActiveCheckpoint {
  readonly epoch: number
  readonly #options: ActiveCheckpointOptions
  readonly #checkpoint: CsiCheckpoint
  readonly #index = new SectionIndex()
  readonly #isAsynchronous: boolean
  /** The newest role epoch that was seen, and the one that the content says. */
  #fence = 0
  #storedFence = 0
  #sweeps = 0
  #aheadCount = 0
  #aheadBytes = 0
  #isLost = false
  #isClearing = false

  /** Takes over with the content of the own replica, which is the primary under `epoch` already. */
  constructor(options: ActiveCheckpointOptions) {
    const { id, name, epoch, streams, log } = options
    this.epoch = epoch
    this.#options = options
    this.#isAsynchronous = isAsynchronous(options.attributes)
    this.#checkpoint = new CsiCheckpoint({
      csi: name,
      options: { sizeBytesMax: CHECKPOINT_BOUNDS.contentBytes },
      log,
      clock: options.nowMs,
      send: (batch) => streams.commit(id, batch),
      onFenced: (error) => this.#lose(error),
      onGap: () => undefined,
    })
    const content = streams.content(id)
    for (const [key, value] of content.sections) {
      if (key === FENCE) this.#fence = this.#storedFence = fenceOf(value)
      else this.#index.changed(key, null, value)
    }
    this.#checkpoint.replace(content)
    void this.#checkpoint.roleChanged('ACTIVE', epoch)
  }

  /**
   * Performs an operation. Resolves when it counts: see the creation flags.
   * @throws SdkError of the operation; TRY_AGAIN when it has to be asked again, here or at the next active replica;
   * STALE_EPOCH when the role under which it was asked is over.
   */
  perform(request: SectionRequest): Promise<SectionResult> {
    const isRead = READS.has(request.operation.kind)
    const { caller, messageId, acknowledgedBelow } = request.origin
    // The gate knows a call by its object.
    const call = { caller, messageId, acknowledgedBelow }
    const key: CallKey = {
      caller,
      messageId,
      acknowledgedBelow,
      functionNumber: perform.functionNumber,
      atMostOnce: !isRead,
      deadlineMs: request.deadlineMs,
      // Where writes are told before they are replicated, reads need not be surer.
      staleReads: this.#isAsynchronous,
    }
    try {
      const verdict = this.#checkpoint.begin(call, key)
      if (verdict === 'run') return this.#run(request, call, isRead)
      if (verdict !== 'inProgress') return this.#kept(verdict)
    } catch (error) {
      return Promise.reject(this.#passing(error))
    }
    return Promise.reject(againError(this.#options.name, 'it is under way'))
  }

  async #kept(reply: CachedReply | Promise<CachedReply>): Promise<SectionResult> {
    try {
      return resultOf(await reply)
    } catch (error) {
      throw this.#passing(error)
    }
  }

  /** Gives up the role: what is under way fails with TRY_AGAIN. */
  close(): void {
    this.#isLost = true
    this.#checkpoint.close()
  }

  /** Takes sections away whose time has passed, some of them at a time. Called now and then. */
  async clearEnded(): Promise<void> {
    const { wallMs, nowMs } = this.#options
    if (this.#isLost || this.#isClearing) return
    if (!this.#index.hasEnding || this.#index.ended(wallMs(), 1).length === 0) return
    this.#isClearing = true
    const origin = { caller: '', messageId: ++this.#sweeps, acknowledgedBelow: 0 }
    const deadlineMs = nowMs() + SWEEP_TIMEOUT_MS
    const functionNumber = perform.functionNumber
    try {
      void this.#checkpoint.begin(origin, {
        ...origin,
        functionNumber,
        atMostOnce: false,
        deadlineMs,
        staleReads: true,
      })
      const view = this.#checkpoint.in(origin)
      const read = (key: string): Uint8Array | null => view.readBytes(key)
      const content = { index: this.#index, read, nowMs: wallMs() }
      this.#write(view, clearEnded(content, SWEEP_COUNT_MAX))
      await this.#checkpoint.finish(origin, { rc: 0, payload: NO_BYTES })
    } catch (err) {
      const { log, name } = this.#options
      if (!this.#isLost) log.warn({ err, name }, 'sections whose time has passed stay for now')
    } finally {
      this.#isClearing = false
    }
  }

  async #run(
    request: SectionRequest,
    call: SectionRequest['origin'],
    isRead: boolean,
  ): Promise<SectionResult> {
    const answer = this.#operate(request, this.#checkpoint.in(call), isRead)
    const { payload } = answer
    const finished = this.#checkpoint.finish(call, { rc: answer.rc, payload })
    const { kind } = request.operation
    const mayBe = this.#isAsynchronous && !isRead && kind !== 'synchronize'
    if (mayBe && this.#mayGoAhead(answer.sizeBytes)) this.#goAhead(finished, answer.sizeBytes)
    else {
      try {
        await finished
      } catch (error) {
        throw this.#passing(error)
      }
    }
    if (answer.error !== null) throw answer.error
    return answer.result
  }

  #operate({ operation, epoch }: SectionRequest, view: TransactionView, isRead: boolean): Answer {
    const { name, attributes, wallMs } = this.#options
    try {
      if (!isRead) this.#checkFence(epoch)
      const outcome = operate(
        {
          name,
          attributes,
          index: this.#index,
          read: (key) => view.readBytes(key),
          nowMs: wallMs(),
        },
        operation,
      )
      const sizeBytes = this.#write(view, outcome.writes)
      if (!isRead && epoch > this.#storedFence) {
        view.writeBytes(FENCE, fenceValue(epoch))
        this.#storedFence = epoch
      }
      const payload = isRead ? NO_BYTES : perform.output.encode(outcome.result)
      return { rc: 0, payload, result: outcome.result, error: null, sizeBytes }
    } catch (error) {
      const known = isSdkError(error) ? error : new SdkError('HANDLER_FAILED', String(error))
      if (known !== error) this.#options.log.error({ err: error, name }, 'an operation failed')
      const payload = encodeWireError(toWireError(known))
      return { rc: known.rc, payload, result: { kind: 'done' }, error: known, sizeBytes: 0 }
    }
  }

  /** A write under an older epoch than was seen comes from an active that is none any more. */
  #checkFence(epoch: number): void {
    if (epoch < this.#fence) {
      const { name } = this.#options
      const message = `checkpoint ${name}: role epoch ${epoch} is over; the newest is ${this.#fence}`
      throw new SdkError('STALE_EPOCH', message, { context: { epoch, newest: this.#fence } })
    }
    this.#fence = epoch
  }

  #write(view: TransactionView, writes: ReadonlyMap<string, Uint8Array | null>): number {
    const before = new Map<string, Uint8Array | null>()
    let sizeBytes = 0
    for (const [key, value] of writes) {
      before.set(key, view.readBytes(key))
      sizeBytes += key.length + (value?.byteLength ?? 0)
      if (value === null) view.delete(key)
      else view.writeBytes(key, value)
    }
    for (const [key, value] of writes) this.#index.changed(key, before.get(key) ?? null, value)
    return sizeBytes
  }

  #mayGoAhead(sizeBytes: number): boolean {
    return this.#aheadCount < AHEAD_COUNT_MAX && this.#aheadBytes + sizeBytes <= AHEAD_BYTES_MAX
  }

  /** It is told before other replicas have it. */
  #goAhead(finished: Promise<unknown>, sizeBytes: number): void {
    const { log, name } = this.#options
    this.#aheadCount++
    this.#aheadBytes += sizeBytes
    finished
      .catch((err: unknown) => log.warn({ err, name }, 'an asynchronous write may be lost'))
      .finally(() => {
        this.#aheadCount--
        this.#aheadBytes -= sizeBytes
      })
  }

  /** What happens to the active replica is no matter of its callers: they ask the next one. */
  #passing(error: unknown): unknown {
    if (!isSdkError(error)) return error
    const isPassing = PASSING.has(error.code) || (this.#isLost && error.code === 'INVALID_STATE')
    return isPassing ? againError(this.#options.name, error.message) : error
  }

  #lose(error: Error): void {
    if (this.#isLost) return
    this.close()
    this.#options.onLost(error)
  }
}

interface Answer {
  readonly rc: number
  readonly payload: Uint8Array
  readonly result: SectionResult
  readonly error: SdkError | null
  /** Bytes that it changed. */
  readonly sizeBytes: number
}

const READS: ReadonlySet<SectionOperation['kind']> = new Set(['read', 'list', 'status'])
const PASSING: ReadonlySet<string> = new Set(['STALE_EPOCH', 'NOT_ACTIVE', 'INUSE', 'TRY_AGAIN'])
const NO_BYTES = new Uint8Array()

/** An answer that was kept. */
function resultOf({ rc, payload }: CachedReply): SectionResult {
  if (rc !== 0) throw fromWireError(decodeWireError(payload))
  return perform.output.decode(payload)
}

function againError(name: string, why: string): SdkError {
  return new SdkError('TRY_AGAIN', `checkpoint ${name}: ${why}`)
}

function fenceValue(epoch: number): Uint8Array {
  const value = new Uint8Array(8)
  new DataView(value.buffer).setFloat64(0, epoch)
  return value
}

function fenceOf(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getFloat64(0)
}
