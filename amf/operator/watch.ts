import { isSdkError, SdkError } from '../../idl/index.ts'
import type { NotificationRecord } from '../director/interface.ts'
import type { Link } from './link.ts'
import { pause } from './retry.ts'
import { viewOf, type ClusterView } from './view.ts'

/** Notifications kept at most; the oldest go first. */
const HISTORY_COUNT_MAX = 20_000
/** Longest wait of one question for notifications: bounds how stale a view can be while nothing is announced. */
const POLL_MS = 500
const CALL_TIMEOUT_MS = 5_000

/** A notification with the director's term and the time at which this program saw it. */
export interface SeenNotification extends NotificationRecord {
  readonly term: number
  /** This program's monotonic clock (`performance.now()`). */
  readonly seenAtMs: number
}

/** Follows a cluster through every change of director: notifications in order, and a view after each change. */
export interface ClusterWatch {
  /** The newest view; null before the first. */
  readonly view: ClusterView | null
  /** Everything seen so far, oldest first, bounded. */
  readonly seen: readonly SeenNotification[]
  /** Why there is no view at present; null while all is well. */
  readonly trouble: string | null
  /**
   * Resolves with the first view for which the predicate holds. A predicate that throws counts as "not yet".
   *
   * @throws SdkError TIMEOUT with the last view in words; INTERRUPT when the watch stops.
   */
  until(predicate: (view: ClusterView) => boolean, timeoutMs: number): Promise<ClusterView>
  onView(listener: (view: ClusterView) => void): () => void
  onNotification(listener: (notification: SeenNotification) => void): () => void
  /** Asks for the status now, beside the running watch. */
  refresh(): Promise<ClusterView>
  stop(): Promise<void>
}

/** Starts to follow. `open` is called again when the link is lost for good. */
export function watchCluster(open: (signal: AbortSignal) => Promise<Link>): ClusterWatch {
  const watch = new Watch(open)
  watch.start()
  return watch
}

class Watch implements ClusterWatch {
  readonly #open: (signal: AbortSignal) => Promise<Link>
  readonly #stopping = new AbortController()
  readonly #viewListeners = new Set<(view: ClusterView) => void>()
  readonly #notificationListeners = new Set<(notification: SeenNotification) => void>()
  readonly #seen: SeenNotification[] = []
  #link: Link | null = null
  #view: ClusterView | null = null
  #trouble: string | null = 'not connected yet'
  #term = -1
  #after = 0
  #loop: Promise<void> = Promise.resolve()

  constructor(open: (signal: AbortSignal) => Promise<Link>) {
    this.#open = open
  }

  get view(): ClusterView | null {
    return this.#view
  }

  get seen(): readonly SeenNotification[] {
    return this.#seen
  }

  get trouble(): string | null {
    return this.#trouble
  }

  start(): void {
    this.#loop = this.#run()
  }

  onView(listener: (view: ClusterView) => void): () => void {
    this.#viewListeners.add(listener)
    return () => void this.#viewListeners.delete(listener)
  }

  onNotification(listener: (notification: SeenNotification) => void): () => void {
    this.#notificationListeners.add(listener)
    return () => void this.#notificationListeners.delete(listener)
  }

  async refresh(): Promise<ClusterView> {
    const link = this.#link
    if (link === null) throw new SdkError('TRY_AGAIN', `no cluster to ask: ${this.#trouble ?? ''}`)
    return this.#observe(link)
  }

  until(predicate: (view: ClusterView) => boolean, timeoutMs: number): Promise<ClusterView> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer)
        stopListening()
        this.#stopping.signal.removeEventListener('abort', onStop)
        settle()
      }
      const check = (view: ClusterView): void => {
        if (holds(predicate, view)) finish(() => resolve(view))
      }
      const onStop = (): void =>
        finish(() => reject(new SdkError('INTERRUPT', 'the watch was stopped')))
      const timer = setTimeout(
        () => finish(() => reject(new SdkError('TIMEOUT', this.#tooLate(predicate, timeoutMs)))),
        timeoutMs,
      )
      const stopListening = this.onView(check)
      this.#stopping.signal.addEventListener('abort', onStop)
      if (this.#stopping.signal.aborted) onStop()
      // The view at hand may be older than what the caller just did, so only a fresh answer counts.
      this.refresh().catch(() => undefined)
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    const signal = this.#stopping.signal
    while (!signal.aborted) {
      try {
        this.#link ??= await this.#open(signal)
        await this.#follow(this.#link)
      } catch (error) {
        if (signal.aborted) break
        this.#trouble = error instanceof Error ? error.message : String(error)
        if (isSdkError(error, 'NOT_EXIST') || isSdkError(error, 'NOT_INITIALIZED'))
          await this.#dropLink()
        await pause(30, signal)
      }
    }
    await this.#dropLink()
  }

  async #follow(link: Link): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#observe(link)
      await this.#ask(link, POLL_MS)
    }
  }

  /** What a view shows was announced before it: so a view is published after the announcements up to it are taken. */
  async #observe(link: Link): Promise<ClusterView> {
    const signal = this.#stopping.signal
    const status = await link.management.status({}, { timeoutMs: CALL_TIMEOUT_MS, signal })
    await this.#ask(link, 0)
    return this.#publish(viewOf(status))
  }

  async #ask(link: Link, waitMs: number): Promise<void> {
    for (;;) {
      const after = this.#after
      const answer = await link.management.notifications(
        { after, waitMs },
        { timeoutMs: CALL_TIMEOUT_MS, signal: this.#stopping.signal },
      )
      if (answer.term < this.#term) return
      if (answer.term > this.#term) {
        // Ids count under one term: with the old one's last id, the first ones of the new director were skipped.
        this.#term = answer.term
        this.#after = 0
        if (after > 0) continue
      }
      this.#take(answer.notifications)
      return
    }
  }

  /** Two questions may be under way at once: what was taken already is known by its id. */
  #take(notifications: readonly NotificationRecord[]): void {
    for (const notification of notifications) {
      if (notification.id <= this.#after) continue
      this.#after = notification.id
      const seen = { ...notification, term: this.#term, seenAtMs: performance.now() }
      this.#seen.push(seen)
      for (const listener of this.#notificationListeners) listener(seen)
    }
    const excess = this.#seen.length - HISTORY_COUNT_MAX
    if (excess > 0) this.#seen.splice(0, excess)
  }

  #publish(view: ClusterView): ClusterView {
    this.#view = view
    this.#trouble = null
    for (const listener of [...this.#viewListeners]) listener(view)
    return view
  }

  async #dropLink(): Promise<void> {
    const link = this.#link
    this.#link = null
    await link?.close().catch(() => undefined)
  }

  #tooLate(predicate: (view: ClusterView) => boolean, timeoutMs: number): string {
    const last = this.#view === null ? 'no status was ever received' : describe(this.#view)
    const trouble = this.#trouble === null ? '' : `; at present: ${this.#trouble}`
    return `not true within ${timeoutMs} ms: ${predicate.toString()}; last seen: ${last}${trouble}`
  }
}

function holds(predicate: (view: ClusterView) => boolean, view: ClusterView): boolean {
  try {
    return predicate(view)
  } catch {
    return false
  }
}

/** The view in one line, for error texts. */
function describe({ status }: ClusterView): string {
  const instances = status.serviceInstances.map((si) => {
    const roles = si.assignments.map((a) => `${a.serviceUnit}=${a.haState}`).join(' ') || 'nobody'
    return `${si.name} ${si.state} (${roles}${si.waitingFor === null ? '' : `; ${si.waitingFor}`})`
  })
  const units = status.serviceUnits.map((su) => `${su.name} ${su.presence}/${su.readiness}`)
  const director = status.director === null ? 'no director' : `director ${status.director.node}`
  return [director, ...instances, ...units].join(', ')
}
