import type {
  Coverage,
  DirectoryEntry,
  DirectoryOperation,
  RecoveredCheckpoint,
  RecoverySnapshot,
} from './operations.ts'

type Operation<K extends DirectoryOperation['kind']> = Extract<DirectoryOperation, { kind: K }>
type Report = RecoverySnapshot['pending'][number]['reports'][number]

interface Pending {
  readonly id: string
  /** The newest that was told; null: some node holds a replica, and nobody had heard of it. */
  readonly entry: DirectoryEntry | null
  readonly reports: ReadonlyMap<number, Report>
}

/** What is known of a checkpoint that waits: nodes to be heard, or why they would not help. */
export type RecoveryVerdict =
  | { readonly kind: 'waits'; readonly nodes: readonly number[] }
  /** Everybody who held it has been heard, and nobody has it any more. */
  | { readonly kind: 'lost'; readonly nodes: readonly number[] }
  /** It had been deleted. */
  | { readonly kind: 'ended' }
  /** `sound`: nodes that hold all that was acknowledged, the one with the newest content first. */
  | {
      readonly kind: 'found'
      readonly entry: DirectoryEntry
      readonly sound: readonly number[] | null
    }

const BURIED_COUNT_MAX = 4_096

/**
 * What becomes of checkpoints after all nodes had ended, from what their stores say. A core.
 *
 * Whoever changes who is in sync is itself in sync before and after. It has stored that a node goes before anything
 * follows from it, and that a node is to join (`joining`) before it asks for that: the node that joins may become the
 * active one, and go on alone, without the other ever having heard that it joined. So the newest entry that is known is
 * the last one as soon as every node has been heard that it names as in sync, or that one of these was adding. R1
 * Before that a checkpoint is shown to nobody. R2 A node that has heard everything up to some place of the order, and
 * does not know a checkpoint that stood there, has seen its end. R3 A node whose store was lost, or what
 * its store had of the directory, says nothing of either: then all others are waited for, and the best that is there
 * counts.
 */
export class Recovery {
  #incarnation: string | null = null
  #begun = 0
  #heard = new Map<number, Coverage>()
  #awaited = new Set<number>()
  #excused = new Set<number>()
  #departed = new Set<number>()
  #pending = new Map<string, Pending>()
  /** What came from stores and was deleted since: stores that are late may still have it. */
  #buried = new Set<string>()

  /** One life of the directory: who has been in it knows better than stores that come from it. */
  get incarnation(): string | null {
    return this.#incarnation
  }

  get begun(): number {
    return this.#begun
  }

  get count(): number {
    return this.#pending.size
  }

  /** Nodes that may know of checkpoints, or of changes, which nobody here has heard of. */
  get awaited(): readonly number[] {
    return [...this.#awaited]
  }

  has(id: string): boolean {
    return this.#pending.has(id)
  }

  entry(id: string): DirectoryEntry | undefined {
    return this.#pending.get(id)?.entry ?? undefined
  }

  begin(life: string, revision: number): void {
    if (this.#incarnation !== null) return
    this.#incarnation = life
    this.#begun = revision
  }

  /** Checkpoints that wait, by name where it is known. */
  *waiting(): Generator<{ readonly id: string; readonly entry: DirectoryEntry | null }> {
    yield* this.#pending.values()
  }

  /** @param isLive - whether the directory has a checkpoint already. */
  recovered(operation: Operation<'recovered'>, isLive: (id: string) => boolean): void {
    const { node, incarnation, isFirst, checkpoints } = operation
    if (isFirst) this.#forgetReports(node)
    const isOfThisLife = incarnation === this.#incarnation
    for (const told of checkpoints) {
      if (isLive(told.id) || this.#buried.has(told.id)) continue
      if (isOfThisLife && !this.#pending.has(told.id)) continue
      this.#merge(node, told)
    }
  }

  reported({ node, incarnation, covered, others }: Operation<'reported'>): void {
    this.#heard.set(node, covered)
    this.#awaited.delete(node)
    this.#departed.delete(node)
    if (incarnation === this.#incarnation) return
    for (const other of others) if (!this.#isSettled(other)) this.#awaited.add(other)
  }

  excuse(nodes: readonly number[]): void {
    for (const node of nodes) this.#excused.add(node)
  }

  depart(node: number): void {
    this.#departed.add(node)
    this.#awaited.delete(node)
  }

  /** It is deleted: no store brings it back. */
  bury(id: string): void {
    this.#pending.delete(id)
    this.#buried.add(id)
    const [oldest] = this.#buried
    if (this.#buried.size > BURIED_COUNT_MAX && oldest !== undefined) this.#buried.delete(oldest)
  }

  /** It waits no more. */
  settle(id: string): void {
    this.#pending.delete(id)
  }

  /** Nodes that may know a name which nobody here knows, and are still waited for. */
  unheard(members: readonly number[]): readonly number[] {
    const starting = members.filter((node) => !this.#heard.has(node))
    return [...new Set([...starting, ...this.unexcused])].sort(byNumber)
  }

  /** Nodes that are waited for before a name counts as unknown. */
  get unexcused(): readonly number[] {
    return this.awaited.filter((node) => !this.#excused.has(node))
  }

  verdict(id: string): RecoveryVerdict {
    const pending = this.#pending.get(id)
    const entry = pending?.entry ?? null
    if (pending === undefined) return { kind: 'ended' }
    const { reports } = pending
    if (entry === null) {
      // Whoever made it knew of it before anybody held a replica.
      const nodes = this.awaited
      return nodes.length > 0 ? { kind: 'waits', nodes } : { kind: 'ended' }
    }
    if (this.#isDeleted(entry, reports)) return { kind: 'ended' }
    const { inSync } = entry
    if (inSync === null) {
      const nodes = this.awaited
      return nodes.length > 0 ? { kind: 'waits', nodes } : { kind: 'found', entry, sound: null }
    }
    const holders = [...new Set([...inSync, ...joiningOf(entry, inSync, reports)])]
    const unheard = holders.filter((node) => !this.#isSettled(node))
    const known = holders.filter((node) => this.#heard.has(node))
    // R3
    const isDoubtful = known.some((node) => reports.get(node)?.isKnown !== true)
    const nodes = isDoubtful ? [...new Set([...unheard, ...this.#awaited])] : unheard
    if (nodes.length > 0) return { kind: 'waits', nodes: nodes.sort(byNumber) }
    const isSound = (node: number): boolean => reports.get(node)?.replica?.isSound === true
    const sound = known.filter((node) => inSync.includes(node) && isSound(node))
    if (sound.length === 0) return { kind: 'lost', nodes: inSync }
    return { kind: 'found', entry, sound: sound.sort((a, b) => byContent(reports, a, b)) }
  }

  snapshot(): Omit<RecoverySnapshot, 'restored'> {
    return {
      incarnation: this.#incarnation,
      begun: this.#begun,
      heard: [...this.#heard].map(([node, covered]) => ({ node, covered })),
      awaited: [...this.#awaited],
      excused: [...this.#excused],
      departed: [...this.#departed],
      pending: [...this.#pending.values()].map(({ id, entry, reports }) => ({
        id,
        entry,
        reports: [...reports.values()],
      })),
      buried: [...this.#buried],
    }
  }

  restore(snapshot: Omit<RecoverySnapshot, 'restored'>): void {
    this.#incarnation = snapshot.incarnation
    this.#begun = snapshot.begun
    this.#heard = new Map(snapshot.heard.map(({ node, covered }) => [node, covered]))
    this.#awaited = new Set(snapshot.awaited)
    this.#excused = new Set(snapshot.excused)
    this.#departed = new Set(snapshot.departed)
    this.#buried = new Set(snapshot.buried)
    this.#pending = new Map(
      snapshot.pending.map(({ id, entry, reports }) => {
        const byNode = new Map(reports.map((report) => [report.node, report]))
        return [id, { id, entry, reports: byNode }]
      }),
    )
  }

  #isSettled(node: number): boolean {
    return this.#heard.has(node) || this.#departed.has(node)
  }

  #merge(node: number, { id, entry, joining, replica }: RecoveredCheckpoint): void {
    const known = this.#pending.get(id)
    const isNewer = entry !== null && entry.revision > (known?.entry?.revision ?? -1)
    const reports = new Map(known?.reports)
    const epoch = entry?.epoch ?? 0
    reports.set(node, { node, isKnown: entry !== null, joining, epoch, replica })
    this.#pending.set(id, { id, entry: isNewer ? entry : (known?.entry ?? null), reports })
  }

  /** The node process has started again: what its store has now counts. */
  #forgetReports(node: number): void {
    for (const pending of this.#pending.values()) {
      if (!pending.reports.has(node)) continue
      const reports = new Map(pending.reports)
      reports.delete(node)
      this.#pending.set(pending.id, { ...pending, reports })
    }
  }

  /** R2 */
  #isDeleted({ revision }: DirectoryEntry, reports: Pending['reports']): boolean {
    for (const [node, covered] of this.#heard) {
      if (reports.get(node)?.isKnown === true) continue
      if (covered.some(([from, to]) => from <= revision && revision <= to)) return true
    }
    return false
  }
}

/** Nodes that one in sync was adding: under an older epoch than the entry's it came to nothing, or is part of it. */
function joiningOf(
  { epoch }: DirectoryEntry,
  inSync: readonly number[],
  reports: Pending['reports'],
): number[] {
  return inSync.flatMap((node) => {
    const report = reports.get(node)
    return report !== undefined && report.epoch >= epoch ? report.joining : []
  })
}

function byNumber(a: number, b: number): number {
  return a - b
}

/** The newest content first: all of these have what was acknowledged, and it may have more. */
function byContent(reports: Pending['reports'], a: number, b: number): number {
  const [of, other] = [reports.get(a)?.replica, reports.get(b)?.replica]
  const epoch = (other?.lastEpoch ?? 0) - (of?.lastEpoch ?? 0)
  return epoch || (other?.sequence ?? 0) - (of?.sequence ?? 0) || a - b
}
