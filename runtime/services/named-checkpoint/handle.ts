import { decodeWireError, fromWireError, isSdkError, SdkError } from '../../../idl/index.ts'
import type { ClientOf } from '../../../idl/index.ts'
import type { RmdCallOptions } from '../../../ioc/index.ts'
import { isAsynchronous } from './attributes.ts'
import type { CheckpointOpenFlag, NamedCheckpointContext } from './client.ts'
import type {
  NamedCheckpointHandle,
  NamedCheckpointStatus,
  SectionCreation,
  SectionRead,
  SectionWrite,
  UpdateConsumer,
} from './handle-contract.ts'
import {
  CHECKPOINT_BOUNDS,
  type CheckpointAttributes,
  type NamedCheckpoint,
  type SectionDescriptor,
  type SectionOperation,
  type SectionResult,
  type SectionsChosen,
  sectionsChosenSchema,
  type SectionUpdate,
} from './interface.ts'

const LIST_COUNT = 500
const SYNCHRONIZE_TIMEOUT_MS = 10_000

/** What handles share. */
export interface HandleHost {
  readonly context: NamedCheckpointContext
  readonly service: ClientOf<(typeof NamedCheckpoint)['spec'], RmdCallOptions>
  closed(handle: NamedHandle): void
  /** Some handle still wants the updates of a checkpoint. */
  isWatched(id: string): boolean
}

export interface HandleOptions {
  readonly id: string
  readonly name: string
  readonly attributes: CheckpointAttributes
  readonly flags: ReadonlySet<CheckpointOpenFlag>
  readonly csi: string | null
  readonly synchronized: (invocation: number, error: SdkError | null) => void
  /** There is somebody to hear it. */
  readonly canBeTold: boolean
  readonly onClosed: () => void
}

/** See {@link NamedCheckpointHandle}. */
export class NamedHandle implements NamedCheckpointHandle {
  readonly name: string
  readonly #host: HandleHost
  readonly #options: HandleOptions
  #consumer: UpdateConsumer | null = null
  #isOpen = true

  constructor(host: HandleHost, options: HandleOptions) {
    this.#host = host
    this.#options = options
    this.name = options.name
  }

  async close(timeoutMs?: number): Promise<void> {
    this.#check()
    const { id, onClosed } = this.#options
    await this.#stopConsumer()
    this.#isOpen = false
    onClosed()
    this.#host.closed(this)
    await this.#host.service.close({ id }, timeoutMs === undefined ? {} : { timeoutMs })
  }

  async status(): Promise<NamedCheckpointStatus> {
    this.#check()
    const { id, attributes } = this.#options
    const { durable = false, ...rest } = attributes
    const { active, replicas, inSync, retentionDurationMs } = await this.#host.service.describe({
      id,
    })
    const { sectionCount, memoryUsed } = expect(await this.#perform({ kind: 'status' }), 'status')
    const retention = retentionDurationMs ?? Infinity
    return {
      attributes: { ...rest, retentionDurationMs: retention, ...(durable && { durable }) },
      sectionCount,
      memoryUsed,
      active,
      replicas,
      inSync,
    }
  }

  async retentionDurationSet(durationMs: number): Promise<void> {
    this.#check()
    const { id } = this.#options
    const duration = durationMs === Infinity ? null : durationMs
    await this.#host.service.retentionSet({ id, durationMs: duration })
  }

  async activeReplicaSet(): Promise<void> {
    this.#mayWrite()
    const { id } = this.#options
    await this.#host.service.activeReplicaSet({ id, epoch: this.#epoch() })
  }

  async sectionCreate({ id, data, expiresAtMs }: SectionCreation): Promise<string> {
    this.#mayWrite()
    if (data?.byteLength === 0) {
      const message = `checkpoint ${this.name}: data is empty: leave it out for an empty section`
      throw new SdkError('INVALID_PARAMETER', message)
    }
    this.#checkSize(data?.byteLength ?? 0)
    const made = await this.#perform({
      kind: 'create',
      id: id ?? null,
      expiresAtMs: expiresAtMs === undefined || expiresAtMs === Infinity ? null : expiresAtMs,
      data: data ?? new Uint8Array(),
    })
    return expect(made, 'created').id
  }

  async sectionDelete(id: string): Promise<void> {
    this.#mayWrite()
    await this.#perform({ kind: 'delete', id })
  }

  async sectionExpirationTimeSet(id: string, expiresAtMs: number): Promise<void> {
    this.#mayWrite()
    const atMs = expiresAtMs === Infinity ? null : expiresAtMs
    await this.#perform({ kind: 'expire', id, atMs })
  }

  sectionOverwrite(id: string, data: Uint8Array): Promise<void> {
    return this.sectionOverwriteVector([{ id, data }])
  }

  async sectionOverwriteVector(
    vector: readonly { readonly id: string; readonly data: Uint8Array }[],
  ): Promise<void> {
    this.#mayWrite()
    this.#checkSize(sizeOf(vector))
    await this.#perform({ kind: 'overwrite', elements: [...vector] })
  }

  async write(vector: readonly SectionWrite[]): Promise<void> {
    this.#mayWrite()
    this.#checkSize(sizeOf(vector))
    const elements = vector.map(({ id = '', data, offset = 0 }) => ({ id, data, offset }))
    await this.#perform({ kind: 'write', elements })
  }

  async read(vector: readonly SectionRead[]): Promise<Uint8Array[]> {
    this.#mayRead()
    const elements = vector.map(({ id = '', offset = 0, size = null }) => ({ id, offset, size }))
    return expect(await this.#perform({ kind: 'read', elements }), 'data').data
  }

  sections(chosen: SectionsChosen = 'ANY', timeMs = 0): AsyncIterableIterator<SectionDescriptor> {
    this.#mayRead()
    if (!sectionsChosenSchema.safeParse(chosen).success) {
      const message = `checkpoint ${this.name}: there is no filter ${String(chosen)}`
      throw new SdkError('INVALID_PARAMETER', message)
    }
    return this.#sections(chosen, timeMs)
  }

  async synchronize(timeoutMs: number = SYNCHRONIZE_TIMEOUT_MS): Promise<void> {
    this.#mayWrite()
    if (!isAsynchronous(this.#options.attributes)) {
      const message = `checkpoint ${this.name}: its writes are synchronous already`
      throw new SdkError('BAD_OPERATION', message)
    }
    await this.#perform({ kind: 'synchronize' }, { timeoutMs })
  }

  synchronizeAsync(invocation: number): void {
    this.#check()
    const { canBeTold, synchronized } = this.#options
    if (!canBeTold) {
      const message = 'give the callback checkpointSynchronize to initialize'
      throw new SdkError('INITIALIZED', message)
    }
    this.synchronize().then(
      () => synchronized(invocation, null),
      (error: unknown) => {
        const unknown = new SdkError('UNSPECIFIED', String(error), { cause: error })
        synchronized(invocation, isSdkError(error) ? error : unknown)
      },
    )
  }

  async immediateConsumptionRegister(consumer: UpdateConsumer | null): Promise<void> {
    this.#check()
    if (consumer === null) {
      await this.#stopConsumer()
      return
    }
    const before = this.#consumer
    // Updates may come before the answer does.
    this.#consumer = consumer
    try {
      await this.#host.service.watch({ id: this.#options.id })
    } catch (error) {
      this.#consumer = before
      throw error
    }
  }

  watches(id: string): boolean {
    return this.#consumer !== null && this.#options.id === id
  }

  receive({ checkpoint, elements, isWhole }: SectionUpdate, isLost: boolean): void {
    if (checkpoint !== this.#options.id || this.#consumer === null) return
    try {
      this.#consumer({ elements, isGap: isWhole || isLost }, this.name)
    } catch (err) {
      const { log } = this.#host.context
      log.error({ err, checkpoint: this.name }, 'a consumer of checkpoint updates failed')
    }
  }

  async *#sections(
    chosen: SectionsChosen,
    timeMs: number,
  ): AsyncGenerator<SectionDescriptor, undefined, undefined> {
    let after: string | null = null
    do {
      const page: Extract<SectionResult, { kind: 'sections' }> = expect(
        await this.#perform({ kind: 'list', after, chosen, timeMs, count: LIST_COUNT }),
        'sections',
      )
      yield* page.sections
      after = page.next
    } while (after !== null)
  }

  async #stopConsumer(): Promise<void> {
    if (this.#consumer === null) return
    this.#consumer = null
    const { id } = this.#options
    if (!this.#host.isWatched(id)) await this.#host.service.unwatch({ id })
  }

  async #perform(
    operation: SectionOperation,
    options: RmdCallOptions = {},
  ): Promise<SectionResult> {
    this.#check()
    const { id } = this.#options
    const epoch = this.#epoch()
    const result = await this.#host.service.perform({ id, epoch, operation }, options)
    if (result.kind === 'partial') throw fromWireError(decodeWireError(result.error))
    return result
  }

  #epoch(): number {
    const { csi } = this.#options
    return csi === null ? 0 : this.#host.context.epochOf(csi)
  }

  #mayWrite(): void {
    this.#check()
    const { flags } = this.#options
    if (!flags.has('WRITE') && !flags.has('CREATE')) throw this.#notPermitted('WRITE')
  }

  #mayRead(): void {
    this.#check()
    if (!this.#options.flags.has('READ')) throw this.#notPermitted('READ')
  }

  #notPermitted(flag: CheckpointOpenFlag): SdkError {
    return new SdkError(
      'OP_NOT_PERMITTED',
      `checkpoint ${this.name}: it was opened without ${flag}`,
    )
  }

  #checkSize(size: number): void {
    const { callBytes } = CHECKPOINT_BOUNDS
    if (size <= callBytes) return
    const message = `checkpoint ${this.name}: ${size} bytes in one call; at most ${callBytes}: use offsets`
    throw new SdkError('TOO_BIG', message)
  }

  #check(): void {
    if (this.#isOpen) return
    throw new SdkError('INVALID_HANDLE', `checkpoint ${this.name}: the handle was closed`)
  }
}

function sizeOf(vector: readonly { readonly data: Uint8Array }[]): number {
  return vector.reduce((size, { data }) => size + data.byteLength, 0)
}

function expect<K extends SectionResult['kind']>(
  result: SectionResult,
  kind: K,
): Extract<SectionResult, { kind: K }> {
  if (result.kind === kind) return result as Extract<SectionResult, { kind: K }>
  throw new SdkError('LIBRARY', `the checkpoint service answered ${result.kind}, not ${kind}`)
}
