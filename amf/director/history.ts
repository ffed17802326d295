import type { Notification } from '../engine/contract.ts'
import type { NotificationRecord } from './interface.ts'

interface Reader {
  readonly after: number
  readonly resolve: (records: NotificationRecord[]) => void
  readonly timer: NodeJS.Timeout
}

/** Notifications kept of one term; the oldest go first. */
const KEPT_COUNT_MAX = 10_000
/** Records in one answer. */
const ANSWER_COUNT_MAX = 1_000
const WAIT_MS_MAX = 60_000
/** Readers that wait at the same time; one more is answered at once, empty. */
const READER_COUNT_MAX = 1_000
/**
 * News wait so long for more, and are told together. A failover is over by then: each reader that is woken asks for the
 * status and the next news, and on a machine with few cores those are the cores of the new active.
 */
export const TELL_AFTER_MS = 25

/** Notifications of one term, numbered from 1, with readers that wait for the next one. */
export class History {
  readonly #records: NotificationRecord[] = []
  readonly #readers = new Set<Reader>()
  readonly #tell: (records: readonly NotificationRecord[]) => void
  #untold: NotificationRecord[] = []
  #timer: NodeJS.Timeout | undefined
  #lastId = 0
  #closed = false

  /** @param tell - hears of each record once, in order, {@link TELL_AFTER_MS} late at most. */
  constructor(tell: (records: readonly NotificationRecord[]) => void) {
    this.#tell = tell
  }

  add(notification: Notification): void {
    this.#lastId += 1
    const record: NotificationRecord = {
      ...notification,
      causes: [...notification.causes],
      id: this.#lastId,
    }
    this.#records.push(record)
    this.#untold.push(record)
    this.#timer ??= setTimeout(() => this.#tellNews(), TELL_AFTER_MS)
    // Trimmed in large steps: shifting one by one would cost a copy of the array for each notification.
    if (this.#records.length > KEPT_COUNT_MAX * 2) this.#records.splice(0, KEPT_COUNT_MAX)
  }

  /** Records with an id above `after`, oldest first; waits up to `waitMs` while there is none, then answers empty. */
  read(after: number, waitMs: number): Promise<NotificationRecord[]> | NotificationRecord[] {
    const found = this.#above(after)
    const refused = this.#closed || this.#readers.size >= READER_COUNT_MAX
    if (found.length > 0 || waitMs <= 0 || refused) return found
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#finish(reader, []), Math.min(waitMs, WAIT_MS_MAX))
      const reader: Reader = { after, resolve, timer }
      this.#readers.add(reader)
    })
  }

  /** Answers everybody who waits. */
  close(): void {
    this.#closed = true
    this.#tellNews()
    for (const reader of [...this.#readers]) this.#finish(reader, [])
  }

  #tellNews(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const records = this.#untold
    this.#untold = []
    for (const reader of [...this.#readers]) {
      const found = this.#above(reader.after)
      if (found.length > 0) this.#finish(reader, found)
    }
    if (records.length > 0) this.#tell(records)
  }

  #finish(reader: Reader, records: NotificationRecord[]): void {
    clearTimeout(reader.timer)
    this.#readers.delete(reader)
    reader.resolve(records)
  }

  #above(after: number): NotificationRecord[] {
    const first = this.#records[0]
    if (first === undefined || after >= this.#lastId) return []
    const from = Math.max(0, after + 1 - first.id)
    return this.#records.slice(from, from + ANSWER_COUNT_MAX)
  }
}
