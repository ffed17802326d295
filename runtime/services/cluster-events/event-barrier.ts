/** One event in the one stream of a place: of a node, or of one of its programs. */
export interface BarrierEvent<Body> {
  /** Grows from event to event. */
  readonly sequence: number
  readonly eventClass: number
  /** The only participant that it is for, whatever that wants; null: all who want the class. */
  readonly only: number | null
  readonly sizeBytes: number
  readonly body: Body
}

/** An event whose turn has come for one participant. */
export interface OpenedEvent<Body> {
  readonly participant: number
  readonly event: BarrierEvent<Body>
}

interface Want {
  readonly priority: number
  /** Events up to here are not for it. */
  readonly since: number
}

interface Begun<Body> {
  readonly event: BarrierEvent<Body>
  /** Who is next, by priority: equal ones together. */
  levels: readonly (readonly number[])[]
  /** Opened and not started. */
  readonly unstarted: Set<number>
  readonly uncompleted: Set<number>
}

/**
 * Hands the events of one stream to those who want them: exactly once to each, better priorities first, and the next
 * event only when everybody has completed the one before. A core. OCF events, draft 0.1, section 2.3.
 *
 * I1 Whom an event is for is fixed when its turn comes; who began to want its class after it was appended is not among
 * them. I2 A participant is offered an event once, in the order of the stream. I3 An event begins when those before it
 * are complete; up to `aheadMax` are begun together while all of them are for one and the same participant, who keeps
 * this rule for itself. I4 Of one event, a participant is opened when all with a better priority have started.
 */
export class EventBarrier<Body> {
  readonly #aheadMax: number
  /** In the order in which they came: equal priorities keep it. */
  readonly #participants = new Map<number, Map<number, Want>>()
  #waiting: BarrierEvent<Body>[] = []
  #waitingBytes = 0
  #begun: Begun<Body>[] = []
  #opened: OpenedEvent<Body>[] = []
  #last = 0

  constructor(aheadMax: number) {
    this.#aheadMax = aheadMax
  }

  /** Events whose turn has not come. */
  get waitingCount(): number {
    return this.#waiting.length
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Every event up to this one is complete. */
  get completedUpTo(): number {
    const first = this.#begun[0]?.event ?? this.#waiting[0]
    return first === undefined ? this.#last : first.sequence - 1
  }

  /** The event that is held, and who has not completed it. */
  get held(): { readonly sequence: number; readonly by: readonly number[] } | null {
    const first = this.#begun[0]
    if (first === undefined) return null
    return { sequence: first.event.sequence, by: [...first.uncompleted] }
  }

  /** What was opened since it was last asked. */
  takeOpened(): readonly OpenedEvent<Body>[] {
    return this.#opened.splice(0)
  }

  join(participant: number): void {
    if (!this.#participants.has(participant)) this.#participants.set(participant, new Map())
  }

  /** @param priority - nearer to 0 is served first; null: the class is not wanted any more. */
  want(participant: number, eventClass: number, priority: number | null): void {
    const wants = this.#participants.get(participant)
    if (priority === null) wants?.delete(eventClass)
    else {
      const since = wants?.get(eventClass)?.since ?? this.#last
      wants?.set(eventClass, { priority, since })
    }
  }

  /** Completes whatever it was offered. */
  leave(participant: number): void {
    this.#participants.delete(participant)
    this.#opened = this.#opened.filter((one) => one.participant !== participant)
    for (const begun of this.#begun) {
      begun.levels = begun.levels
        .map((level) => level.filter((one) => one !== participant))
        .filter((level) => level.length > 0)
      begun.unstarted.delete(participant)
      begun.uncompleted.delete(participant)
      this.#open(begun)
    }
    this.#advance()
  }

  append(event: BarrierEvent<Body>): void {
    this.#last = event.sequence
    this.#waiting.push(event)
    this.#waitingBytes += event.sizeBytes
    this.#advance()
  }

  /** The stream is at this place, without an event. */
  pass(sequence: number): void {
    this.#last = sequence
  }

  started(participant: number, sequence: number): void {
    const begun = this.#begun.find(({ event }) => event.sequence === sequence)
    if (begun?.unstarted.delete(participant) === true) this.#open(begun)
  }

  /** The participant has completed every event up to this one. */
  completed(participant: number, upTo: number): void {
    for (const begun of this.#begun) {
      if (begun.event.sequence > upTo) break
      begun.unstarted.delete(participant)
      begun.uncompleted.delete(participant)
      this.#open(begun)
    }
    this.#advance()
  }

  #advance(): void {
    this.#begun = this.#begun.filter(({ uncompleted }) => uncompleted.size > 0)
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const levels = this.#audience(next)
      if (levels.length > 0 && !this.#mayBegin(levels)) return
      this.#waiting.shift()
      this.#waitingBytes -= next.sizeBytes
      if (levels.length === 0) continue
      const begun: Begun<Body> = {
        event: next,
        levels,
        unstarted: new Set(),
        uncompleted: new Set(levels.flat()),
      }
      this.#begun.push(begun)
      this.#open(begun)
    }
  }

  /** I3. */
  #mayBegin(levels: readonly (readonly number[])[]): boolean {
    if (this.#begun.length === 0) return true
    const [first, ...others] = levels.flat()
    if (first === undefined || others.length > 0) return false
    if (this.#begun.length >= this.#aheadMax) return false
    return this.#begun.every(({ uncompleted }) => uncompleted.size === 1 && uncompleted.has(first))
  }

  /** I1. */
  #audience({ sequence, eventClass, only }: BarrierEvent<Body>): readonly (readonly number[])[] {
    if (only !== null) return this.#participants.has(only) ? [[only]] : []
    const levels = new Map<number, number[]>()
    for (const [participant, wants] of this.#participants) {
      const want = wants.get(eventClass)
      if (want === undefined || want.since >= sequence) continue
      levels.set(want.priority, [...(levels.get(want.priority) ?? []), participant])
    }
    return [...levels].sort(([a], [b]) => a - b).map(([, participants]) => participants)
  }

  /** I4. */
  #open(begun: Begun<Body>): void {
    if (begun.unstarted.size > 0) return
    const [level, ...later] = begun.levels
    if (level === undefined) return
    begun.levels = later
    for (const participant of level) {
      begun.unstarted.add(participant)
      this.#opened.push({ participant, event: begun.event })
    }
  }
}
