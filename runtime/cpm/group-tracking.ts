import { SdkError } from '../../idl/index.ts'
import type { ProtectionGroup } from './interface.ts'
import {
  isNotLater,
  membersSince,
  trackModeOf,
  type ProtectionGroupNotification,
  type TrackFlag,
} from './protection-group.ts'

/** What a tracker asks for. */
export interface TrackRequest {
  readonly csi: string
  readonly flags: TrackFlag | readonly TrackFlag[]
}

export type GroupCallback = (news: ProtectionGroupNotification) => void

/** The agent that tells of groups. */
interface GroupSource {
  protectionGroupTrack(input: {
    csi: string
    watch: boolean
  }): Promise<{ readonly group: ProtectionGroup }>
  protectionGroupStop(input: { csi: string }): Promise<unknown>
}

interface Tracker {
  readonly changes: 'CHANGES' | 'CHANGES_ONLY'
  readonly callback: GroupCallback
  /** The group as it was last told; null until the first answer. */
  group: ProtectionGroup | null
}

const RETRY_MS = 200

/**
 * The protection groups that one process tracks. Whatever happens to directors and agents, a tracker hears of each
 * change once: groups come whole and numbered, and what is told is the difference from what was told last.
 */
export class GroupTracking {
  readonly #trackers = new Map<string, Tracker>()
  readonly #onError: (error: unknown, csi: string) => void
  #source: GroupSource | null = null
  #timer: NodeJS.Timeout | undefined

  /** @param onError - gets what callbacks throw. */
  constructor(onError: (error: unknown, csi: string) => void) {
    this.#onError = onError
  }

  /** News come from this agent from now on: it hears of everything that is tracked. */
  attach(source: GroupSource): void {
    this.#source = source
    for (const csi of this.#trackers.keys()) this.#renew(source, csi)
  }

  /** The agent is gone. Trackers stay, and hear from the next one. */
  detach(): void {
    this.#source = null
    clearTimeout(this.#timer)
  }

  /**
   * Starts, or with CURRENT alone only reads. A second call for the same CSI replaces the first.
   * @throws SdkError BAD_FLAG; NOT_EXIST for an unknown CSI; NOT_INITIALIZED when changes are asked for and nobody
   * takes them; TRY_AGAIN while there is no director.
   */
  async track(
    { csi, flags }: TrackRequest,
    callback: GroupCallback | undefined,
  ): Promise<ProtectionGroupNotification | null> {
    const { current, changes } = trackModeOf(flags)
    if (changes !== null && callback === undefined) {
      const message = `protectionGroupTrack of ${csi}: there is no callback to tell of ${changes}`
      throw new SdkError('NOT_INITIALIZED', message)
    }
    const source = this.#source
    if (source === null) throw new SdkError('TRY_AGAIN', 'there is no agent to ask now')
    const before = this.#trackers.get(csi)
    const tracker =
      changes === null || callback === undefined ? null : { changes, callback, group: null }
    // What changes while the answer is on its way must find it.
    if (tracker !== null) this.#trackers.set(csi, tracker)
    try {
      const watch = tracker !== null || before !== undefined
      const { group } = await source.protectionGroupTrack({ csi, watch })
      if (tracker !== null) this.#begin(tracker, group)
      return current ? wholeOf(group) : null
    } catch (error) {
      if (tracker !== null && this.#trackers.get(csi) === tracker) this.#restore(csi, before)
      throw error
    }
  }

  /** @throws SdkError NOT_EXIST when the CSI is not tracked. */
  async stop(csi: string): Promise<void> {
    if (!this.#trackers.delete(csi)) {
      throw new SdkError('NOT_EXIST', `protectionGroupTrackStop: ${csi} is not tracked`)
    }
    await this.#source?.protectionGroupStop({ csi })
  }

  /** A group that has changed. */
  receive(group: ProtectionGroup): void {
    const tracker = this.#trackers.get(group.csi)
    if (tracker === undefined) return
    if (tracker.group === null) tracker.group = group
    else this.#tell(tracker, tracker.group, group)
  }

  #restore(csi: string, before: Tracker | undefined): void {
    if (before === undefined) this.#trackers.delete(csi)
    else this.#trackers.set(csi, before)
  }

  /** The answer is where tracking begins; a later group may have overtaken it. */
  #begin(tracker: Tracker, group: ProtectionGroup): void {
    const early = tracker.group
    tracker.group = group
    if (early !== null) this.#tell(tracker, group, early)
  }

  #tell(tracker: Tracker, before: ProtectionGroup, group: ProtectionGroup): void {
    if (isNotLater(group, before)) return
    tracker.group = group
    const members = membersSince(before.members, group.members)
    const changed = members.filter(({ change }) => change !== 'NO_CHANGE')
    if (changed.length === 0) return
    const shown = tracker.changes === 'CHANGES' ? members : changed
    const numberOfMembers = group.members.length
    try {
      tracker.callback({ csi: group.csi, members: shown, numberOfMembers })
    } catch (error) {
      this.#onError(error, group.csi)
    }
  }

  /** Asked of a new agent; one that cannot answer yet is asked again. */
  #renew(source: GroupSource, csi: string): void {
    source.protectionGroupTrack({ csi, watch: true }).then(
      ({ group }) => {
        if (this.#source === source) this.receive(group)
      },
      () => {
        if (this.#source !== source) return
        clearTimeout(this.#timer)
        this.#timer = setTimeout(() => {
          if (this.#source === source) this.attach(source)
        }, RETRY_MS)
        this.#timer.unref()
      },
    )
  }
}

function wholeOf(group: ProtectionGroup): ProtectionGroupNotification {
  const members = group.members.map((member) => ({ ...member, change: 'NO_CHANGE' }) as const)
  return { csi: group.csi, members, numberOfMembers: members.length }
}
