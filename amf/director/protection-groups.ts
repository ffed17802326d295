import type { ProtectionGroup } from '../../runtime/internal.ts'
import type { GroupMembers } from '../engine/protection-group.ts'

export interface ProtectionGroupsOptions {
  readonly term: number
  /** null: not known (yet). */
  readonly members: (csi: string) => GroupMembers | null
  /** Rejects when it cannot be sent now. */
  readonly send: (node: string, groups: readonly ProtectionGroup[]) => Promise<void>
}

const RETRY_MS = 50

/**
 * Tells agents of changes in the protection groups that they track. Groups are derived from the engine's state after
 * each step, and numbered, so that answers and news may overtake each other. Nothing is kept beyond the term: agents
 * ask each director again.
 */
export class ProtectionGroups {
  readonly #options: ProtectionGroupsOptions
  readonly #tracked = new Map<string, Set<string>>()
  /** Last seen of each CSI that anybody tracks. */
  readonly #groups = new Map<string, ProtectionGroup>()
  readonly #retries = new Set<NodeJS.Timeout>()
  #revision = 0

  constructor(options: ProtectionGroupsOptions) {
    this.#options = options
  }

  /** The node tracks exactly these from now on. */
  track(node: string, track: readonly string[], read: readonly string[]): ProtectionGroup[] {
    this.#tracked.set(node, new Set(track))
    this.#forgetUntracked()
    return [...new Set([...track, ...read])].flatMap((csi) => this.#look(csi) ?? [])
  }

  forget(node: string): void {
    this.#tracked.delete(node)
    this.#forgetUntracked()
  }

  /** Called after each step of the engine. */
  check(): void {
    if (this.#tracked.size === 0) return
    const before = new Map(this.#groups)
    const changed = new Set<string>()
    for (const csi of this.#trackedCsis()) {
      const group = this.#look(csi)
      if (group !== null && group !== before.get(csi)) changed.add(csi)
    }
    if (changed.size === 0) return
    for (const [node, csis] of this.#tracked) {
      const wanted = [...changed].filter((csi) => csis.has(csi))
      if (wanted.length > 0) this.#send(node, wanted)
    }
  }

  close(): void {
    for (const timer of this.#retries) clearTimeout(timer)
    this.#tracked.clear()
  }

  #trackedCsis(): Set<string> {
    return new Set([...this.#tracked.values()].flatMap((csis) => [...csis]))
  }

  #forgetUntracked(): void {
    const tracked = this.#trackedCsis()
    for (const csi of this.#groups.keys()) if (!tracked.has(csi)) this.#groups.delete(csi)
  }

  /** The group as it is now, under a new number when it has changed. */
  #look(csi: string): ProtectionGroup | null {
    const known = this.#groups.get(csi)
    const members = this.#options.members(csi)
    if (members === null) return null
    if (known !== undefined && isSame(known.members, members)) return known
    this.#revision += 1
    const group = { csi, term: this.#options.term, revision: this.#revision, members }
    this.#groups.set(csi, group)
    return group
  }

  /** What cannot be sent is sent a little later, as it is then. */
  #send(node: string, csis: readonly string[]): void {
    const groups = csis.flatMap((csi) => this.#groups.get(csi) ?? [])
    this.#options.send(node, groups).catch(() => {
      const timer = setTimeout(() => {
        this.#retries.delete(timer)
        const wanted = csis.filter((csi) => this.#tracked.get(node)?.has(csi) === true)
        if (wanted.length > 0) this.#send(node, wanted)
      }, RETRY_MS)
      this.#retries.add(timer)
    })
  }
}

function isSame(a: GroupMembers, b: GroupMembers): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
