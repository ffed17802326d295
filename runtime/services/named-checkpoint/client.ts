import { isSdkError, SdkError } from '../../../idl/index.ts'
import type { Epoch } from '../../../ioc/index.ts'
import { PushIntake } from '../push-queue.ts'
import { type LibraryContext, pushTable, type ServiceLibrary } from '../service.ts'
import { negotiateVersion } from '../version.ts'
import { checkAttributes } from './attributes.ts'
import { type HandleHost, NamedHandle } from './handle.ts'
import {
  type CheckpointAttributes,
  type CreationFlag,
  NamedCheckpoint,
  NamedCheckpointPush,
  type SectionUpdate,
} from './interface.ts'
import type { NamedCheckpointHandle } from './handle-contract.ts'

const CALL_TIMEOUT_MS = 10_000
const CLOSE_TIMEOUT_MS = 1_000

/** What a handle is for. `CREATE` also makes the checkpoint when there is none, and allows to write. */
export type CheckpointOpenFlag = 'READ' | 'WRITE' | 'CREATE'

/** What a checkpoint is created with. SAFplus, section 14.1. */
export interface CheckpointCreation {
  /** @defaultValue none: synchronous, on two nodes */
  readonly creationFlags?: readonly CreationFlag[]
  /** Bytes of all sections. @defaultValue 0, unlimited but for the 512 MiB of any checkpoint */
  readonly checkpointSize?: number
  /** Kept so long when nobody has it open; Infinity: for ever. @defaultValue 0: it goes with the last close */
  readonly retentionDurationMs?: number
  /** 1: the default section only, whose id is empty; at most a million. */
  readonly maxSections: number
  /** Bytes of a section. @defaultValue 0, unlimited but for `checkpointSize` */
  readonly maxSectionSize?: number
  /** Characters, at most 256. @defaultValue 256 */
  readonly maxSectionIdSize?: number
  /**
   * A write is answered when it is on the disks of all replicas in sync, and so outlives the machines; not with the
   * asynchronous flags. @defaultValue false: it outlives the processes
   */
  readonly durable?: boolean
}

export interface CheckpointOpenRequest {
  /** 1 to 255 characters. */
  readonly name: string
  readonly flags: readonly CheckpointOpenFlag[]
  /** With `CREATE`, and only then. */
  readonly attributes?: CheckpointCreation
  /**
   * The CSI that it goes with: writes carry the epoch of this component's ACTIVE role, and the ones of an active that
   * is none any more are refused with STALE_EPOCH. @defaultValue none
   */
  readonly csi?: string
  /** @defaultValue 10 s */
  readonly timeoutMs?: number
}

/** Told of what was asked for with an invocation. `error` null: it is done. */
export interface NamedCheckpointCallbacks {
  readonly checkpointOpen?: (
    invocation: number,
    handle: NamedCheckpointHandle | null,
    error: SdkError | null,
  ) => void
  readonly checkpointSynchronize?: (invocation: number, error: SdkError | null) => void
}

/** One use of the checkpoint service, with its callbacks. */
export interface NamedCheckpointService {
  /** The version that is supported. */
  readonly version: string
  /**
   * Opens a checkpoint, or creates it.
   * @throws SdkError NULL_POINTER for CREATE without attributes, INVALID_PARAMETER for attributes without it; BAD_FLAG;
   * NOT_EXIST; ALREADY_EXIST when it has other attributes; NO_SPACE; TRY_AGAIN, TIMEOUT; NOT_INITIALIZED after
   * finalize.
   */
  open(request: CheckpointOpenRequest): Promise<NamedCheckpointHandle>
  /** The same; the callback `checkpointOpen` tells how it ended. @throws SdkError NO_CALLBACK. */
  openAsync(request: CheckpointOpenRequest, invocation: number): void
  /**
   * Takes the name away at once; the content goes with the last close. @throws SdkError NOT_EXIST.
   */
  unlink(name: string): Promise<void>
  /** Closes its handles. @throws SdkError NOT_INITIALIZED the second time. */
  finalize(): Promise<void>
}

/** What `app.checkpoint` has beside the checkpoints of CSIs. SAFplus checkpoint service, section 14. */
export interface NamedCheckpointClient {
  /**
   * Begins a use of the service.
   * @throws SdkError VERSION_MISMATCH with the supported version in its context; INVALID_PARAMETER for none.
   */
  initialize(callbacks?: NamedCheckpointCallbacks, version?: string): NamedCheckpointService
}

/** What the component's side is given beside its context. */
export interface NamedCheckpointContext extends LibraryContext {
  /** Epoch of this component's ACTIVE role for a CSI, 0 when it has none. */
  readonly epochOf: (csi: string) => Epoch
}

/** The component's side of named checkpoints. */
export function namedCheckpointLibrary(
  context: NamedCheckpointContext,
): ServiceLibrary<NamedCheckpointClient> {
  const checkpoints = new Checkpoints(context)
  return {
    client: checkpoints,
    pushes: [
      pushTable(NamedCheckpointPush, {
        updated: ({ first, updates }) => {
          checkpoints.receive(first, updates)
          return {}
        },
      }),
    ],
    // What the component has open is closed with its connection.
    close: () => Promise.resolve(),
  }
}

class Checkpoints implements NamedCheckpointClient, HandleHost {
  readonly context: NamedCheckpointContext
  readonly service
  readonly #handles = new Set<NamedHandle>()
  readonly #intake = new PushIntake()

  constructor(context: NamedCheckpointContext) {
    this.context = context
    const options = { to: context.agent, timeoutMs: CALL_TIMEOUT_MS }
    this.service = context.rmd.client(NamedCheckpoint, options)
  }

  initialize(
    callbacks: NamedCheckpointCallbacks = {},
    version: string = NamedCheckpoint.version,
  ): NamedCheckpointService {
    const negotiated = negotiateVersion('checkpoint.initialize', version, NamedCheckpoint.version)
    return new Service(this, callbacks, negotiated)
  }

  opened(handle: NamedHandle): void {
    this.#handles.add(handle)
  }

  closed(handle: NamedHandle): void {
    this.#handles.delete(handle)
  }

  isWatched(id: string): boolean {
    return [...this.#handles].some((handle) => handle.watches(id))
  }

  receive(first: number, updates: readonly SectionUpdate[]): void {
    const { fresh, lost } = this.#intake.take(first, updates)
    for (const [index, update] of fresh.entries()) {
      for (const handle of this.#handles) handle.receive(update, index === 0 && lost > 0)
    }
  }
}

class Service implements NamedCheckpointService {
  readonly version: string
  readonly #checkpoints: Checkpoints
  readonly #callbacks: NamedCheckpointCallbacks
  readonly #handles = new Set<NamedHandle>()
  #isOpen = true

  constructor(checkpoints: Checkpoints, callbacks: NamedCheckpointCallbacks, version: string) {
    this.#checkpoints = checkpoints
    this.#callbacks = callbacks
    this.version = version
  }

  async open(request: CheckpointOpenRequest): Promise<NamedCheckpointHandle> {
    this.#check()
    const { name, timeoutMs = CALL_TIMEOUT_MS } = request
    const asked = attributesOf(request)
    const { id, attributes } = await this.#checkpoints.service.open(
      { name, attributes: asked },
      { timeoutMs },
    )
    const handle = new NamedHandle(this.#checkpoints, {
      id,
      name,
      attributes,
      flags: new Set(request.flags),
      csi: request.csi ?? null,
      synchronized: (invocation, error) => {
        const { checkpointSynchronize } = this.#callbacks
        this.#tell(() => checkpointSynchronize?.(invocation, error))
      },
      canBeTold: this.#callbacks.checkpointSynchronize !== undefined,
      onClosed: () => this.#handles.delete(handle),
    })
    this.#handles.add(handle)
    this.#checkpoints.opened(handle)
    return handle
  }

  openAsync(request: CheckpointOpenRequest, invocation: number): void {
    this.#check()
    const { checkpointOpen } = this.#callbacks
    if (checkpointOpen === undefined) {
      throw new SdkError('NO_CALLBACK', 'give the callback checkpointOpen to initialize')
    }
    this.open(request).then(
      (handle) => this.#tell(() => checkpointOpen(invocation, handle, null)),
      (error: unknown) => this.#tell(() => checkpointOpen(invocation, null, sdkErrorOf(error))),
    )
  }

  async unlink(name: string): Promise<void> {
    this.#check()
    await this.#checkpoints.service.unlink({ name })
  }

  async finalize(): Promise<void> {
    this.#check()
    this.#isOpen = false
    for (const handle of [...this.#handles]) await handle.close(CLOSE_TIMEOUT_MS)
  }

  #tell(callback: () => void): void {
    try {
      callback()
    } catch (err) {
      this.#checkpoints.context.log.error({ err }, 'a callback of checkpoints failed')
    }
  }

  #check(): void {
    if (this.#isOpen) return
    throw new SdkError('NOT_INITIALIZED', 'the checkpoint service was finalized: initialize it')
  }
}

const OPEN_FLAGS: ReadonlySet<string> = new Set(['READ', 'WRITE', 'CREATE'])

/** @throws SdkError BAD_FLAG, NULL_POINTER, INVALID_PARAMETER. */
function attributesOf(request: CheckpointOpenRequest): CheckpointAttributes | null {
  const { name, flags, attributes } = request
  const unknown = flags.find((flag) => !OPEN_FLAGS.has(flag))
  if (flags.length === 0 || unknown !== undefined) {
    const message = `checkpoint ${name}: flags are of READ, WRITE and CREATE, not ${unknown ?? 'none'}`
    throw new SdkError('BAD_FLAG', message)
  }
  const isCreating = flags.includes('CREATE')
  if (attributes === undefined) {
    if (!isCreating) return null
    throw new SdkError('NULL_POINTER', `checkpoint ${name}: CREATE needs attributes`)
  }
  if (!isCreating) {
    const message = `checkpoint ${name}: attributes are given with CREATE only`
    throw new SdkError('INVALID_PARAMETER', message)
  }
  const { retentionDurationMs = 0, maxSections } = attributes
  const whole: CheckpointAttributes = {
    creationFlags: [...(attributes.creationFlags ?? [])],
    checkpointSize: attributes.checkpointSize ?? 0,
    retentionDurationMs: retentionDurationMs === Infinity ? null : retentionDurationMs,
    maxSections,
    maxSectionSize: attributes.maxSectionSize ?? 0,
    maxSectionIdSize: attributes.maxSectionIdSize ?? 256,
    ...(attributes.durable === true && { durable: true }),
  }
  checkAttributes(name, whole)
  return whole
}

function sdkErrorOf(error: unknown): SdkError {
  return isSdkError(error) ? error : new SdkError('UNSPECIFIED', String(error), { cause: error })
}
