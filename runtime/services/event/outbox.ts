import { PRIORITY_LOWEST, type RecordRange, Records, RecordWriter } from './record.ts'

/** Adjacent records of one message, for the same subscriptions. */
interface Run {
  records: Records
  start: number
  end: number
  count: number
  readonly subscriptions: readonly number[]
  /** Told whether the receiver has it; such a run holds one record, and so does one that must not be lost. */
  readonly onEnd: ((isTaken: boolean) => void) | null
  readonly isNeeded: boolean
}

/** Messages are this large at most, unless one record is larger: a socket takes it in one write. */
const BATCH_BYTES_MAX = 128 * 1_024
const LANE_COUNT = PRIORITY_LOWEST + 1
/** A run that is a smaller part of its message than this is copied out of it, so that it does not hold the rest. */
const SHARE_MIN = 0.25

/** One message for a receiver. */
export interface EventBatch {
  /** From 1. */
  readonly number: number
  readonly runs: readonly { readonly count: number; readonly subscriptions: readonly number[] }[]
  readonly records: Uint8Array
  /** Tells those who wait for it whether the receiver has it. */
  end(isTaken: boolean): void
}

export interface OutboxOptions {
  readonly countMax: number
  readonly bytesMax: number
  /** True: records of a higher priority go first. False: all in one line. */
  readonly byPriority: boolean
}

/** What else a record in an outbox is. */
export interface PushOptions {
  readonly onEnd?: (isTaken: boolean) => void
  /** It is never dropped; there must be few of these. */
  readonly isNeeded?: boolean
}

const NO_OPTIONS: PushOptions = {}
const NOTHING = new Uint8Array()

/**
 * Events for one receiver: a program, or another node.
 *
 * I1 Records of one priority leave in the order in which they came.
 * I2 Beyond a bound the oldest of the lowest priority go; each subscription is told how many, before what comes next.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #lanes: Run[][] = Array.from({ length: LANE_COUNT }, () => [])
  readonly #lost = new Map<number, { channel: number; count: number }>()
  #count = 0
  #bytes = 0
  #number = 0
  #lostCount = 0

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** Records that wait. */
  get count(): number {
    return this.#count
  }

  get isEmpty(): boolean {
    return this.#count === 0 && this.#lost.size === 0
  }

  /** Records that were dropped, ever. */
  get lostCount(): number {
    return this.#lostCount
  }

  /**
   * Adds records.
   * @param subscriptions - who gets them; of equal lists give the same object.
   * @param options - for one record alone.
   */
  push(
    records: Records,
    range: RecordRange,
    subscriptions: readonly number[],
    options: PushOptions = NO_OPTIONS,
  ): void {
    if (this.#options.byPriority && range.priority === null) {
      for (let at = range.start; at < range.end; at = records.after(at)) {
        this.#append(records, records.one(at), subscriptions, options)
      }
    } else this.#append(records, range, subscriptions, options)
    while (this.#count > this.#options.countMax || this.#bytes > this.#options.bytesMax) {
      if (!this.#dropOne()) break
    }
  }

  /** Events were lost before they came here. */
  lose(subscriptions: readonly number[], channel: number, count: number): void {
    for (const one of subscriptions) {
      const lost = this.#lost.get(one)
      if (lost === undefined) this.#lost.set(one, { channel, count })
      else lost.count += count
    }
  }

  /** The next message; null when nothing waits. */
  take(): EventBatch | null {
    if (this.isEmpty) return null
    const runs: { count: number; subscriptions: readonly number[] }[] = []
    const head = this.#takeLost((subscription) =>
      runs.push({ count: 1, subscriptions: [subscription] }),
    )
    const taken = this.#takeRuns()
    for (const { count, subscriptions } of taken) runs.push({ count, subscriptions })
    const records = joined(head, taken)
    this.#number += 1
    return {
      number: this.#number,
      runs,
      records,
      end: (isTaken) => {
        for (const { onEnd } of taken) onEnd?.(isTaken)
      },
    }
  }

  /** Nothing goes to the receiver any more. @param isTaken - what those are told who wait. */
  clear(isTaken: boolean): void {
    for (const lane of this.#lanes) {
      for (const { onEnd } of lane.splice(0)) onEnd?.(isTaken)
    }
    this.#lost.clear()
    this.#count = 0
    this.#bytes = 0
  }

  #append(
    records: Records,
    { start, end, count, priority }: RecordRange,
    subscriptions: readonly number[],
    { onEnd, isNeeded = false }: PushOptions,
  ): void {
    const lane = this.#lanes[this.#options.byPriority ? (priority ?? 0) : 0] ?? []
    const last = lane.at(-1)
    const isPlain = onEnd === undefined && !isNeeded
    if (isPlain && last !== undefined && goesOn(last, { records, at: start, subscriptions })) {
      last.end = end
      last.count += count
    } else {
      if (last !== undefined) copyOut(last)
      lane.push({ records, start, end, count, subscriptions, onEnd: onEnd ?? null, isNeeded })
    }
    this.#count += count
    this.#bytes += end - start
  }

  #takeLost(each: (subscription: number) => void): Uint8Array {
    if (this.#lost.size === 0) return NOTHING
    const writer = new RecordWriter()
    for (const [subscription, { channel, count }] of this.#lost) {
      writer.lost(channel, count)
      each(subscription)
    }
    this.#lost.clear()
    return writer.take()
  }

  #takeRuns(): Run[] {
    const taken: Run[] = []
    let bytes = 0
    let isFull = false
    for (const lane of this.#lanes) {
      let whole = 0
      for (const run of lane) {
        const room = BATCH_BYTES_MAX - bytes
        const fits = run.end - run.start <= room || (taken.length === 0 && run.count === 1)
        isFull = !fits
        const part = fits ? run : splitOff(run, room, taken.length === 0)
        if (part !== null) {
          taken.push(part)
          bytes += part.end - part.start
        }
        if (isFull) break
        whole += 1
      }
      lane.splice(0, whole)
      if (isFull) break
    }
    this.#bytes -= bytes
    for (const { count } of taken) this.#count -= count
    return taken
  }

  /** @returns false when there is nothing that may go. */
  #dropOne(): boolean {
    for (const lane of this.#lanes.toReversed()) {
      const i = lane.findIndex(({ isNeeded }) => !isNeeded)
      const run = lane[i]
      if (run === undefined) continue
      const { records, start } = run
      const next = records.after(start)
      this.lose(run.subscriptions, records.channel(start), 1)
      this.#lostCount += 1
      this.#count -= 1
      this.#bytes -= next - start
      run.start = next
      run.count -= 1
      if (run.count === 0) lane.splice(i, 1)
      run.onEnd?.(false)
      return true
    }
    return false
  }
}

function goesOn(
  last: Run,
  next: {
    readonly records: Records
    readonly at: number
    readonly subscriptions: readonly number[]
  },
): boolean {
  return (
    last.records === next.records &&
    last.end === next.at &&
    last.onEnd === null &&
    !last.isNeeded &&
    (last.subscriptions === next.subscriptions ||
      (last.subscriptions.length === next.subscriptions.length &&
        last.subscriptions.every((one, i) => one === next.subscriptions[i])))
  )
}

function copyOut(run: Run): void {
  if (run.end - run.start >= run.records.bytes.length * SHARE_MIN) return
  run.records = new Records(run.records.bytes.slice(run.start, run.end))
  run.end -= run.start
  run.start = 0
}

/**
 * Takes the records that fit off the front of a run of several.
 * @param isNeeded - one at least.
 * @returns null when none fits.
 */
function splitOff(run: Run, room: number, isNeeded: boolean): Run | null {
  let { start: end } = run
  let count = 0
  while (count < run.count - 1) {
    const next = run.records.after(end)
    if (next - run.start > room && !(isNeeded && count === 0)) break
    end = next
    count += 1
  }
  if (count === 0) return null
  const part = { ...run, end, count }
  run.start = end
  run.count -= count
  return part
}

/** The head, then the runs. One run alone is passed on as it is. */
function joined(head: Uint8Array, runs: readonly Run[]): Uint8Array {
  const [first] = runs
  if (head.length === 0 && first !== undefined && runs.length === 1) {
    return first.records.bytes.subarray(first.start, first.end)
  }
  const length = runs.reduce((sum, { start, end }) => sum + end - start, head.length)
  const bytes = new Uint8Array(length)
  bytes.set(head)
  let at = head.length
  for (const { records, start, end } of runs) {
    bytes.set(records.bytes.subarray(start, end), at)
    at += end - start
  }
  return bytes
}
