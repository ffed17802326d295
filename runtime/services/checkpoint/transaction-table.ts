/**
 * Uncommitted writes of running calls, over the content of one checkpoint.
 *
 * Calls see each other's uncommitted writes. What a call saw or overwrote binds it to the one that wrote it: its own
 * changes become final together with or after that one's, and when that one is given up, so is it.
 *
 * I1 A section's versions are in the order of the writes; each later writer depends on each earlier one.
 * I2 A transaction leaves the table only with everything it depends on (its closure), as one group.
 * I3 In a group, a section is in the changes of its last writer only: applying the changes in any order is the same.
 */

/** One call, or one write outside any call. Handled by reference; its fields are the table's. */
export interface Transaction {
  /** Handed back with what became of it. */
  readonly state: TransactionState
  /** Most calls are bound to no other: the sets are made when they are needed. */
  dependencies: Set<Transaction> | null
  dependents: Set<Transaction> | null
  readonly sections: Set<string>
  /** Revision of each section it read, to notice that somebody else wrote it in between. */
  readonly reads: Map<string, number>
}

interface TransactionState {
  phase: 'open' | 'finished' | 'left' | 'doomed'
  /** A write of it was refused as a conflict: it may not finish well. */
  isInConflict: boolean
}

/** Changes of one transaction that became final. */
export interface FinalChanges {
  readonly transaction: Transaction
  /** Section and new value; null deletes. */
  readonly writes: [string, Uint8Array | null][]
}

/**
 * `conflict`: the section was written by somebody else after this transaction had read it, so that its own value may be
 * made of a stale one. `doomed`: it was given up with a transaction that it depends on. `ended`: it had finished.
 */
export type WriteOutcome = 'written' | 'noSpace' | 'conflict' | 'doomed' | 'ended'

interface Version {
  readonly writer: Transaction
  value: Uint8Array | null
}

interface Section {
  /** Held by every replica. */
  committed: Uint8Array | null
  /** Final: it was handed out, its commit is on the way or done. */
  base: Uint8Array | null
  versions: Version[]
  /** Grows with each change; no two sections or lives of a section share one. */
  revision: number
}

export class TransactionTable {
  readonly #sizeBytesMax: number
  readonly #sections = new Map<string, Section>()
  #sizeBytes = 0
  #revision = 0

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax
  }

  /** Bytes of all sections as running calls see them. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  begin(): Transaction {
    return {
      state: { phase: 'open', isInConflict: false },
      dependencies: null,
      dependents: null,
      sections: new Set(),
      reads: new Map(),
    }
  }

  /** @returns null when there is no such section, undefined when the transaction was given up with another one. */
  read(transaction: Transaction, name: string): Uint8Array | null | undefined {
    if (transaction.state.phase === 'doomed') return undefined
    const section = this.#sections.get(name)
    if (!transaction.reads.has(name)) transaction.reads.set(name, section?.revision ?? 0)
    if (section === undefined) return null
    dependOnWriters(transaction, section, true)
    return present(section)
  }

  /** Writes, or deletes with null. Nothing changes unless the outcome is `written`; after `conflict`, give it up. */
  write(transaction: Transaction, name: string, value: Uint8Array | null): WriteOutcome {
    const { phase } = transaction.state
    if (phase !== 'open') return phase === 'doomed' ? 'doomed' : 'ended'
    const section = this.#sections.get(name) ?? newSection()
    const readRevision = transaction.reads.get(name)
    if (readRevision !== undefined && readRevision !== section.revision) {
      transaction.state.isInConflict = true
      return 'conflict'
    }
    const size = this.#sizeBytes - sizeOf(name, present(section)) + sizeOf(name, value)
    if (value !== null && size > this.#sizeBytesMax && size > this.#sizeBytes) return 'noSpace'
    this.#sizeBytes = size
    this.#sections.set(name, section)
    dependOnWriters(transaction, section, false)
    const top = section.versions.at(-1)
    if (top?.writer === transaction) top.value = value
    else section.versions.push({ writer: transaction, value })
    section.revision = ++this.#revision
    transaction.reads.set(name, section.revision)
    transaction.sections.add(name)
    return 'written'
  }

  /**
   * The call ended well. Returns what became final by it, in an order that can be committed: nothing while a call that
   * it depends on runs, and with the last of them everything that waited. Each group has to be committed as one.
   */
  finish(transaction: Transaction): FinalChanges[][] {
    const { state } = transaction
    if (state.phase !== 'open' || state.isInConflict) return []
    state.phase = 'finished'
    if (isEmpty(transaction.dependencies) && isEmpty(transaction.dependents)) {
      return [[this.#leaveAlone(transaction)]]
    }
    const groups: FinalChanges[][] = []
    for (const candidate of reachable(transaction, (t) => t.dependents)) {
      const group = finishedClosure(candidate)
      if (group !== undefined) groups.push(this.#leave(group))
    }
    return groups
  }

  /** Gives a transaction up and everything that depends on it. Returns the others that were given up with it. */
  abort(transaction: Transaction): Transaction[] {
    const { phase } = transaction.state
    if (phase === 'left' || phase === 'doomed') return []
    const doomed = reachable(transaction, (t) => t.dependents)
    for (const each of doomed) {
      each.state.phase = 'doomed'
      for (const name of each.sections) this.#removeVersions(name, doomed)
    }
    for (const each of doomed) unlink(each)
    doomed.delete(transaction)
    return [...doomed]
  }

  /**
   * Takes the transaction's writes back, with everything that saw them. What it read still binds it: it leaves with or
   * after those whose writes it saw. Returns the others that were given up; when it had read from one of these (each
   * saw the other's writes), it is doomed with them.
   */
  withdraw(transaction: Transaction): Transaction[] {
    const lost = reachable(transaction, (t) => t.dependents)
    lost.delete(transaction)
    const isLost = [...lost].some((each) => transaction.dependencies?.has(each))
    if (isLost) return this.abort(transaction)
    for (const each of lost) each.state.phase = 'doomed'
    const writers = new Set([...lost, transaction])
    for (const each of writers)
      for (const name of each.sections) this.#removeVersions(name, writers)
    for (const each of lost) unlink(each)
    transaction.sections.clear()
    return [...lost]
  }

  /** Content held by every replica. */
  committed(name: string): Uint8Array | null {
    return this.#sections.get(name)?.committed ?? null
  }

  committedNames(): string[] {
    const names: string[] = []
    for (const [name, section] of this.#sections) if (section.committed !== null) names.push(name)
    return names
  }

  /** Changes that were handed out by {@link finish} are held by every replica now. */
  confirm(writes: readonly (readonly [string, Uint8Array | null])[]): void {
    for (const [name, value] of writes) {
      const section = this.#sections.get(name)
      if (section === undefined) continue
      section.committed = value
      this.#dropIfEmpty(name, section)
    }
  }

  /** Content that came from outside, in order: the standby's way. Not to be used while calls run. */
  replicate(writes: readonly (readonly [string, Uint8Array | null])[]): void {
    for (const [name, value] of writes) {
      const section = this.#sections.get(name) ?? newSection()
      this.#sizeBytes += sizeOf(name, value) - sizeOf(name, present(section))
      section.committed = value
      section.base = value
      section.revision = ++this.#revision
      this.#sections.set(name, section)
      this.#dropIfEmpty(name, section)
    }
  }

  /** Forgets everything and takes new content. */
  replace(sections: readonly (readonly [string, Uint8Array])[]): void {
    this.#sections.clear()
    this.#sizeBytes = 0
    this.replicate(sections)
  }

  /** {@link #leave} of one that no other is bound to: every version of it is the only one of its section. */
  #leaveAlone(transaction: Transaction): FinalChanges {
    transaction.state.phase = 'left'
    const writes: [string, Uint8Array | null][] = []
    for (const name of transaction.sections) {
      const section = this.#sections.get(name)
      const [version] = section?.versions ?? []
      if (section === undefined || version === undefined) continue
      section.base = version.value
      section.versions = []
      writes.push([name, version.value])
    }
    return { transaction, writes }
  }

  #leave(group: ReadonlySet<Transaction>): FinalChanges[] {
    const writes = new Map<Transaction, [string, Uint8Array | null][]>()
    for (const each of group) writes.set(each, [])
    for (const name of new Set([...group].flatMap((each) => [...each.sections]))) {
      const section = this.#sections.get(name)
      const last = section?.versions.findLast((version) => group.has(version.writer))
      if (section === undefined || last === undefined) continue
      section.base = last.value
      section.versions = section.versions.filter((version) => !group.has(version.writer))
      writes.get(last.writer)?.push([name, last.value])
    }
    for (const each of group) {
      each.state.phase = 'left'
      unlink(each)
    }
    return [...writes].map(([each, changes]) => ({ transaction: each, writes: changes }))
  }

  #removeVersions(name: string, writers: ReadonlySet<Transaction>): void {
    const section = this.#sections.get(name)
    if (section === undefined) return
    this.#sizeBytes -= sizeOf(name, present(section))
    section.versions = section.versions.filter((version) => !writers.has(version.writer))
    section.revision = ++this.#revision
    this.#sizeBytes += sizeOf(name, present(section))
    this.#dropIfEmpty(name, section)
  }

  #dropIfEmpty(name: string, section: Section): void {
    if (section.committed !== null || section.base !== null) return
    if (section.versions.length === 0) this.#sections.delete(name)
  }
}

function newSection(): Section {
  return { committed: null, base: null, versions: [], revision: 0 }
}

function present(section: Section): Uint8Array | null {
  const top = section.versions.at(-1)
  return top === undefined ? section.base : top.value
}

function sizeOf(name: string, value: Uint8Array | null): number {
  return value === null ? 0 : value.byteLength + name.length
}

/** A reader depends on the writer of what it sees, which depends on the earlier ones; a writer on all of them (I1). */
function dependOnWriters(transaction: Transaction, section: Section, lastOnly: boolean): void {
  for (let i = section.versions.length - 1; i >= 0; i--) {
    const writer = section.versions[i]?.writer
    if (writer !== undefined && writer !== transaction) {
      ;(transaction.dependencies ??= new Set()).add(writer)
      ;(writer.dependents ??= new Set()).add(transaction)
    }
    if (lastOnly) return
  }
}

function isEmpty(set: Set<Transaction> | null): boolean {
  return set === null || set.size === 0
}

/** Everything that a finished transaction depends on, if all of it is finished. */
function finishedClosure(transaction: Transaction): Set<Transaction> | undefined {
  if (transaction.state.phase !== 'finished') return undefined
  if (isEmpty(transaction.dependencies)) return new Set([transaction])
  const closure = reachable(transaction, (t) => t.dependencies)
  for (const each of closure) if (each.state.phase !== 'finished') return undefined
  return closure
}

function reachable(
  from: Transaction,
  next: (transaction: Transaction) => Set<Transaction> | null,
): Set<Transaction> {
  const found = new Set([from])
  for (const each of found) for (const neighbour of next(each) ?? []) found.add(neighbour)
  return found
}

function unlink(transaction: Transaction): void {
  for (const each of transaction.dependencies ?? []) each.dependents?.delete(transaction)
  for (const each of transaction.dependents ?? []) each.dependencies?.delete(transaction)
  transaction.dependencies = null
  transaction.dependents = null
}
