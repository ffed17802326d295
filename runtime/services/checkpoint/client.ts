import { performance } from 'node:perf_hooks'
import { SdkError, type ClientOf } from '../../../idl/index.ts'
import type { RmdCallOptions } from '../../../ioc/index.ts'
import type { Checkpoint as CheckpointApi, CheckpointOptions } from '../../eo/app.ts'
import type { CheckpointService, CheckpointServiceOptions } from './commit-gate.ts'
import { CHECKPOINT_LIMITS } from './checkpoint-limits.ts'
import { CsiCheckpoint } from './csi-checkpoint.ts'
import { Checkpoint, type CheckpointBatch, type CheckpointSnapshot } from './interface.ts'

const ATTACH_TIMEOUT_MS = 10_000
const COMMIT_TIMEOUT_MS = 5_000
const ATTACH_BACKOFF_MS = 50

/** What came while the content was being fetched. */
type Push =
  | { readonly kind: 'applied'; readonly batch: CheckpointBatch }
  | { readonly kind: 'replaced'; readonly snapshot: CheckpointSnapshot }

/** The component side of the checkpoint service, over the connection to the agent of the own node. */
export function createCheckpointClient(options: CheckpointServiceOptions): CheckpointService {
  return new ComponentCheckpoints(options)
}

class ComponentCheckpoints implements CheckpointService {
  readonly #options: CheckpointServiceOptions
  readonly #agent: ClientOf<(typeof Checkpoint)['spec'], RmdCallOptions>
  readonly #checkpoints = new Map<string, CsiCheckpoint>()
  readonly #durable = new Set<string>()
  /** Present while the content of a CSI is being fetched. */
  readonly #held = new Map<string, Push[]>()
  readonly #fetching = new Map<string, Promise<void>>()
  #isAttached = false
  #isClosed = false

  constructor(options: CheckpointServiceOptions) {
    this.#options = options
    this.#agent = options.rmd.client(Checkpoint, { to: options.agent })
  }

  readonly client = {
    open: (csi: string, options: CheckpointOptions = {}): CheckpointApi => this.#open(csi, options),
  }

  readonly pushHandlers = {
    applied: ({ csi, batch }: { csi: string; batch: CheckpointBatch }) => {
      this.#pushed(csi, { kind: 'applied', batch })
      return {}
    },
    replaced: ({ csi, snapshot }: { csi: string; snapshot: CheckpointSnapshot }) => {
      this.#pushed(csi, { kind: 'replaced', snapshot })
      return {}
    },
  }

  opened(): readonly string[] {
    return [...this.#checkpoints.keys()]
  }

  gate(csi: string): CsiCheckpoint | undefined {
    return this.#checkpoints.get(csi)
  }

  async attach(): Promise<void> {
    this.#isAttached = true
    await Promise.all(this.opened().map((csi) => this.#fetch(csi)))
  }

  async roleChanged(
    csi: string,
    role: 'ACTIVE' | 'STANDBY' | 'QUIESCING' | 'QUIESCED' | null,
    epoch: number,
  ): Promise<void> {
    const checkpoint = this.#checkpoints.get(csi)
    if (checkpoint === undefined) return
    await this.#fetching.get(csi)
    const isContentSure = await checkpoint.roleChanged(role, epoch)
    if (!isContentSure) await this.#fetch(csi)
  }

  async drained(csi: string): Promise<void> {
    await this.#checkpoints.get(csi)?.drained()
  }

  acknowledged(caller: string, below: number): void {
    for (const checkpoint of this.#checkpoints.values()) checkpoint.acknowledged(caller, below)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const checkpoint of this.#checkpoints.values()) checkpoint.close()
    if (!this.#isAttached) return
    const calls = this.opened().map((csi) => this.#agent.detach({ csi }, { timeoutMs: 1_000 }))
    await Promise.allSettled(calls)
  }

  #open(csi: string, options: CheckpointOptions): CheckpointApi {
    if (this.#isAttached) {
      throw new SdkError(
        'INVALID_STATE',
        `checkpoint ${csi}: open it in initialize, before app.cpm.register()`,
      )
    }
    if (this.#checkpoints.has(csi)) {
      throw new SdkError('ALREADY_EXIST', `checkpoint ${csi} is open already`)
    }
    for (const option of ['sizeBytesMax', 'replyCountMax', 'replySizeBytesMax'] as const) {
      checkBound(csi, option, options[option], CHECKPOINT_LIMITS[option])
    }
    const checkpoint = new CsiCheckpoint({
      csi,
      options,
      log: this.#options.log,
      clock: () => performance.now(),
      send: (batch) =>
        this.#agent.commit({ csi, batch }, { timeoutMs: COMMIT_TIMEOUT_MS, epoch: batch.epoch }),
      onFenced: (error) => this.#options.onFenced(csi, error),
      onGap: () => this.#refetch(csi),
    })
    this.#checkpoints.set(csi, checkpoint)
    if (options.durable === true) this.#durable.add(csi)
    return checkpoint
  }

  /** Fetches the content; pushes that come meanwhile wait, since their order with the answer is not kept. */
  #fetch(csi: string): Promise<void> {
    const running = this.#fetching.get(csi)
    if (running !== undefined) return running
    const fetching = this.#fetchNow(csi).finally(() => this.#fetching.delete(csi))
    this.#fetching.set(csi, fetching)
    return fetching
  }

  async #fetchNow(csi: string): Promise<void> {
    const pushes: Push[] = []
    this.#held.set(csi, pushes)
    const request = this.#durable.has(csi) ? { csi, durable: true } : { csi }
    try {
      const snapshot = await this.#agent.attach(request, { timeoutMs: ATTACH_TIMEOUT_MS })
      this.#checkpoints.get(csi)?.replace(snapshot)
    } finally {
      this.#held.delete(csi)
    }
    for (const push of pushes) this.#pushed(csi, push)
  }

  #refetch(csi: string): void {
    if (this.#isClosed || this.#fetching.has(csi)) return
    this.#options.log.warn({ csi }, 'records were missed: the content is fetched again')
    this.#fetch(csi).catch((error: unknown) => {
      this.#options.log.error({ err: error, csi }, 'the content could not be fetched')
      setTimeout(() => this.#refetch(csi), ATTACH_BACKOFF_MS).unref()
    })
  }

  #pushed(csi: string, push: Push): void {
    const held = this.#held.get(csi)
    if (held !== undefined) {
      held.push(push)
      return
    }
    const checkpoint = this.#checkpoints.get(csi)
    if (push.kind === 'applied') checkpoint?.replicate(push.batch)
    else checkpoint?.replace(push.snapshot)
  }
}

function checkBound(csi: string, option: string, value: number | undefined, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= max)) return
  throw new SdkError(
    'INVALID_PARAMETER',
    `checkpoint ${csi}: ${option} must be an integer from 1 to ${max}, not ${String(value)}`,
  )
}
