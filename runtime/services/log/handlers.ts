import { SdkError } from '../../../idl/index.ts'
import { systemClock } from '../../../ioc/index.ts'
import type { LibraryContext } from '../service.ts'
import type { FollowOptions, LogFollower } from './follow.ts'
import type { LogFileInfo, LogScope, StoredRecord } from './interface.ts'

const ACK_MS = 5_000

/** What is to be handed over, and to whom. */
export interface LogHandlerRequest {
  readonly stream: string
  /** @defaultValue `LOCAL`: what this node's stream of the name gets */
  readonly scope?: LogScope
  /**
   * Records in the order of their file, at most 100 at a time. Throws or rejects: they come again.
   * @param sequence - names this batch for `recordAck`.
   */
  readonly onRecords: (
    sequence: number,
    records: readonly StoredRecord[],
    file: LogFileInfo,
  ) => void | Promise<void>
  /** A batch that is not acknowledged within 5 s comes again. The original's WILL_ACK. @defaultValue false */
  readonly willAck?: boolean
}

export interface LogHandler {
  /** @throws SdkError NOT_EXIST when no batch of that number and count waits. */
  recordAck(sequence: number, count: number): void
  /** @throws SdkError INVALID_HANDLE the second time. */
  deregister(): void
}

type Follow = Pick<FollowOptions, 'wants' | 'from' | 'onRecords'>

/** The handlers of one component. */
export class LogHandlers {
  readonly #follow: (options: Follow) => LogFollower
  readonly #context: LibraryContext
  readonly #followers = new Set<LogFollower>()

  constructor(follow: (options: Follow) => LogFollower, context: LibraryContext) {
    this.#follow = follow
    this.#context = context
  }

  async register(request: LogHandlerRequest): Promise<LogHandler> {
    const { stream, scope = 'LOCAL', willAck = false, onRecords } = request
    const waiting = new Map<number, { readonly count: number; readonly done: () => void }>()
    let last = 0
    const follower = this.#follow({
      wants: (file) =>
        file.stream === stream &&
        file.scope === scope &&
        (scope === 'GLOBAL' || file.nodeId === this.#context.nodeId),
      from: ({ first, next }, isNew) => (isNew ? first : next),
      onRecords: async (file, records) => {
        if (records.length === 0) return
        const sequence = (last += 1)
        // Known before it is handed over: the handler may acknowledge at once.
        const acked = willAck ? acknowledged(waiting, sequence, records.length) : null
        await onRecords(sequence, records, file)
        await acked
      },
    })
    this.#followers.add(follower)
    await follower.start()
    return {
      recordAck: (sequence, count) => {
        const batch = waiting.get(sequence)
        if (batch?.count === count) return batch.done()
        throw new SdkError('NOT_EXIST', `no batch ${sequence} of ${count} records waits`)
      },
      deregister: () => {
        if (!this.#followers.delete(follower)) throw new SdkError('INVALID_HANDLE', 'deregistered')
        follower.stop()
      },
    }
  }

  close(): void {
    for (const follower of this.#followers) follower.stop()
    this.#followers.clear()
  }
}

/** Rejects when nobody acknowledges in time: the batch then comes again. */
function acknowledged(
  waiting: Map<number, { readonly count: number; readonly done: () => void }>,
  sequence: number,
  count: number,
): Promise<void> {
  const acked = new Promise<void>((resolve, reject) => {
    const cancel = systemClock.after(ACK_MS, () => {
      waiting.delete(sequence)
      reject(new SdkError('TIMEOUT', `batch ${sequence} was not acknowledged`))
    })
    waiting.set(sequence, {
      count,
      done: () => {
        cancel()
        waiting.delete(sequence)
        resolve()
      },
    })
  })
  // When the handler fails first, nobody waits for this any more.
  acked.catch(() => undefined)
  return acked
}
