import { SdkError } from '../../../idl/index.ts'
import { normalAttributes, waitsForActive, writeModeOf } from './attributes.ts'
import { CHECKPOINT_BOUNDS } from './interface.ts'
import type { DirectoryEntry, DirectoryOperation, DirectorySnapshot, Opener } from './operations.ts'
import { placeActive, placeReplicas } from './placement.ts'
import { Recovery } from './recovery.ts'

type Operation<K extends DirectoryOperation['kind']> = Extract<DirectoryOperation, { kind: K }>

/** A checkpoint that all nodes had ended with, and that waits. */
export interface WaitingCheckpoint {
  readonly id: string
  readonly name: string | null
  readonly why: string
  /** Nodes that are to be heard first. */
  readonly nodes: readonly number[]
}

/**
 * Every checkpoint of the cluster: who has it open, where its replicas are, which of them has the active one. A core:
 * the same operations in the same order give the same content everywhere.
 *
 * I1 An operation that throws has changed nothing. I2 The active replica moves only to a node in sync, each time under
 * a higher epoch. I3 Only the active replica of the present epoch changes who is in sync. I4 What stores have from
 * before all nodes ended is part of it when nobody can know better: see {@link Recovery}.
 */
export class Directory {
  #members: DirectorySnapshot['members'] = []
  #entries = new Map<string, DirectoryEntry>()
  #names = new Map<string, string>()
  #changed = new Set<string>()
  /** Of checkpoints that came from stores. */
  #restored = new Set<string>()
  #revision = 0
  readonly #recovery = new Recovery()

  /** What was recovered, and who is still to be heard. Only to be read. */
  get recovery(): Pick<Recovery, 'awaited' | 'unexcused' | 'begun' | 'incarnation'> {
    return this.#recovery
  }

  /** Where in the order the last operation or view stood. */
  get revision(): number {
    return this.#revision
  }

  get(id: string): DirectoryEntry | undefined {
    return this.#entries.get(id)
  }

  /** What a store is to have of it: also while it waits. */
  storable(id: string): DirectoryEntry | undefined {
    return this.#entries.get(id) ?? this.#recovery.entry(id)
  }

  /** It is there, or waits: a replica of it stays, also where nobody knows its name. */
  has(id: string): boolean {
    return this.#entries.has(id) || this.#recovery.has(id)
  }

  /** Ids of all that a store is to have. */
  ids(): string[] {
    return [...this.#entries.keys(), ...[...this.#recovery.waiting()].map(({ id }) => id)]
  }

  entries(): Iterable<DirectoryEntry> {
    return this.#entries.values()
  }

  /** Ids of what came, went or changed since it was asked last. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed
    this.#changed = new Set()
    return changed
  }

  /**
   * @param revision - where in the order it stands: grows.
   * @throws SdkError as the functions of the service.
   */
  apply(operation: DirectoryOperation, revision: number): DirectoryEntry | null {
    this.#revision = revision
    switch (operation.kind) {
      case 'open':
        return this.#open(operation)
      case 'close':
        return this.#close(operation)
      case 'ended':
        return this.#dropOpeners(({ eo }) => eo === operation.eo)
      case 'unlink':
        return this.#unlink(operation)
      case 'retentionSet':
        return this.#retentionSet(operation)
      case 'retentionPassed': {
        const entry = this.#entries.get(operation.id)
        const isStill = entry?.generation === operation.generation && entry.openers.length === 0
        return isStill ? this.#remove(entry) : null
      }
      case 'activeSet':
        return this.#activeSet(operation)
      case 'activeLost':
        return this.#activeLost(operation)
      case 'inSync':
        return this.#inSync(operation)
      case 'recovered':
        return this.#recovered(operation)
      case 'reported':
        this.#recovery.reported(operation)
        return this.#review()
      case 'excused':
        this.#recovery.excuse(operation.nodes)
        return null
      case 'departed':
        this.#recovery.depart(operation.node)
        return this.#review()
    }
  }

  /** These nodes are there from here on, the oldest first; what belonged to other lives is over. */
  viewChanged(
    members: readonly { readonly node: number; readonly life: string }[],
    revision: number,
  ): void {
    this.#revision = revision
    this.#recovery.begin(members[0]?.life ?? '', revision)
    this.#members = members.map(({ node, life }) => ({ node, life }))
    const lives = new Set(members.map(({ life }) => life))
    this.#dropOpeners(({ life }) => !lives.has(life))
    for (const entry of [...this.#entries.values()]) this.#place(entry)
  }

  /** Checkpoints that cannot be had yet, and why. */
  waiting(): WaitingCheckpoint[] {
    return [...this.#recovery.waiting()].map(({ id, entry }) => {
      const name = entry?.name ?? null
      const verdict = this.#recovery.verdict(id)
      if (verdict.kind === 'waits') {
        const nodes = verdict.nodes
        return { id, name, nodes, why: `it waits for ${nodesText(nodes)}` }
      }
      const why =
        verdict.kind === 'lost'
          ? `its content is lost on ${nodesText(verdict.nodes)}: unlink it`
          : 'another one has its name: unlink and close that one'
      return { id, name, nodes: [], why }
    })
  }

  snapshot(): DirectorySnapshot {
    const recovery = { ...this.#recovery.snapshot(), restored: [...this.#restored] }
    return {
      revision: this.#revision,
      members: [...this.#members],
      entries: [...this.#entries.values()],
      recovery,
    }
  }

  restore({ revision, members, entries, recovery }: DirectorySnapshot): void {
    for (const id of this.ids()) this.#changed.add(id)
    this.#revision = revision
    this.#restored = new Set(recovery.restored)
    this.#recovery.restore(recovery)
    this.#members = members
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]))
    this.#names = new Map(entries.flatMap((e) => (e.isUnlinked ? [] : [[e.name, e.id]])))
    for (const id of this.ids()) this.#changed.add(id)
  }

  get #nodes(): readonly number[] {
    return this.#members.map(({ node }) => node)
  }

  #open({ name, attributes, id, opener }: Operation<'open'>): DirectoryEntry {
    if (!this.#members.some(({ life }) => life === opener.life)) {
      // It has been given up meanwhile: nobody would tell of the opener's end.
      throw new SdkError('TRY_AGAIN', `checkpoint ${name}: node ${opener.node} is not in the view`)
    }
    const known = this.#entries.get(this.#names.get(name) ?? '')
    if (known === undefined) {
      this.#mustBeUnknown(name)
      if (attributes === null) throw notExist(name)
      return this.#create(name, {
        ...this.#newEntry(name, id, opener),
        attributes: normalAttributes(attributes),
      })
    }
    if (attributes !== null && !isSame(known.attributes, attributes)) {
      throw new SdkError('ALREADY_EXIST', `checkpoint ${name} has other creation attributes`)
    }
    const openers = known.openers.map((one) =>
      one.opener.eo === opener.eo ? { ...one, count: one.count + 1 } : one,
    )
    if (!openers.some((one) => one.opener.eo === opener.eo)) openers.push({ opener, count: 1 })
    return this.#place({ ...known, openers, generation: known.generation + 1, idleMs: 0 })
  }

  /** @throws SdkError TRY_AGAIN when a store may have a checkpoint of this name. */
  #mustBeUnknown(name: string): void {
    const waiting = this.waiting().find((one) => one.name === name)
    if (waiting !== undefined) throw new SdkError('TRY_AGAIN', `checkpoint ${name}: ${waiting.why}`)
    const unheard = this.#recovery.unheard(this.#nodes)
    if (unheard.length === 0) return
    const message = `checkpoint ${name} is not known here, and ${nodesText(unheard)} may know it`
    throw new SdkError('TRY_AGAIN', message)
  }

  #newEntry(name: string, id: string, opener: Opener): Omit<DirectoryEntry, 'attributes'> {
    return {
      id,
      name,
      retentionDurationMs: 0,
      isUnlinked: false,
      openers: [{ opener, count: 1 }],
      generation: 1,
      idleMs: 0,
      active: null,
      epoch: 0,
      replicas: [],
      inSync: null,
      revision: 0,
    }
  }

  #create(name: string, entry: DirectoryEntry): DirectoryEntry {
    const count = this.#entries.size + this.#recovery.count
    if (count >= CHECKPOINT_BOUNDS.checkpointCount) {
      const message = `checkpoint ${name}: ${count} exist; unlink and close others`
      throw new SdkError('NO_SPACE', message)
    }
    this.#names.set(name, entry.id)
    const [first] = entry.openers
    const { retentionDurationMs } = entry.attributes
    const replicas = first === undefined ? [] : [first.opener.node]
    return this.#place({ ...entry, retentionDurationMs, replicas })
  }

  #close({ id, eo }: Operation<'close'>): DirectoryEntry | null {
    const entry = this.#known(id)
    const openers = entry.openers.flatMap((one) => {
      if (one.opener.eo !== eo) return [one]
      return one.count > 1 ? [{ ...one, count: one.count - 1 }] : []
    })
    return this.#opened({ ...entry, openers })
  }

  #dropOpeners(isGone: (opener: Opener) => boolean): null {
    for (const entry of [...this.#entries.values()]) {
      const openers = entry.openers.filter(({ opener }) => !isGone(opener))
      if (openers.length < entry.openers.length) this.#opened({ ...entry, openers })
    }
    return null
  }

  /** Fewer have it open than before. */
  #opened(entry: DirectoryEntry): DirectoryEntry | null {
    const isOver = entry.isUnlinked || entry.retentionDurationMs === 0
    return entry.openers.length === 0 && isOver ? this.#remove(entry) : this.#place(entry)
  }

  #unlink({ name }: Operation<'unlink'>): DirectoryEntry | null {
    const entry = this.#entries.get(this.#names.get(name) ?? '')
    if (entry !== undefined) {
      this.#names.delete(name)
      const unlinked = this.#opened({ ...entry, isUnlinked: true })
      this.#review()
      return unlinked
    }
    const waiting = this.waiting().find((one) => one.name === name)
    if (waiting === undefined) {
      this.#mustBeUnknown(name)
      throw notExist(name)
    }
    this.#recovery.bury(waiting.id)
    this.#changed.add(waiting.id)
    return null
  }

  // --- what stores have from before all nodes ended ---

  #recovered(operation: Operation<'recovered'>): null {
    for (const { id, entry } of operation.checkpoints) {
      const live = this.#entries.get(id)
      // Nobody takes that back, whatever else became of it.
      if (live?.isUnlinked === false && entry?.isUnlinked === true) {
        this.#names.delete(live.name)
        this.#opened({ ...live, isUnlinked: true })
      }
    }
    this.#recovery.recovered(operation, (id) => this.#entries.has(id))
    for (const { id } of this.#recovery.waiting()) this.#changed.add(id)
    return null
  }

  /** Takes up what can be taken up now. */
  #review(): null {
    for (const { id } of [...this.#recovery.waiting()]) {
      if (!this.#recovery.has(id)) continue
      const verdict = this.#recovery.verdict(id)
      if (verdict.kind === 'ended') {
        this.#recovery.bury(id)
        this.#changed.add(id)
      }
      if (verdict.kind === 'found') this.#takeUp(verdict.entry, verdict.sound)
    }
    return null
  }

  #takeUp(stored: DirectoryEntry, sound: readonly number[] | null): void {
    const { id, name } = stored
    if (!stored.isUnlinked && this.#names.has(name)) return
    this.#recovery.settle(id)
    this.#restored.add(id)
    if (!stored.isUnlinked) this.#names.set(name, id)
    const [newest] = sound?.filter((node) => this.#nodes.includes(node)) ?? []
    const active = newest ?? null
    const epoch = active === null ? stored.epoch : stored.epoch + 1
    const inSync = sound === null ? null : [...sound]
    // Its openers ended with their nodes.
    const generation = stored.generation + 1
    this.#opened({ ...stored, openers: [], generation, active, epoch, inSync })
  }

  #retentionSet({ id, durationMs }: Operation<'retentionSet'>): DirectoryEntry | null {
    const entry = this.#known(id)
    if (entry.isUnlinked) {
      throw new SdkError('BAD_OPERATION', `checkpoint ${entry.name} was unlinked`)
    }
    return this.#opened({ ...entry, retentionDurationMs: durationMs })
  }

  /** A node that is not in sync gets a replica first: asked again when it is, it becomes the active one. */
  #activeSet({ id, node }: Operation<'activeSet'>): DirectoryEntry {
    const entry = this.#known(id)
    if (!entry.attributes.creationFlags.includes('COLLOCATED')) {
      const message = `checkpoint ${entry.name} was not created with COLLOCATED`
      throw new SdkError('BAD_OPERATION', message)
    }
    if (entry.active === node) return entry
    const mayBe = entry.inSync === null || entry.inSync.includes(node)
    if (mayBe) return this.#place({ ...entry, active: node, epoch: entry.epoch + 1 })
    if (entry.replicas.includes(node)) return entry
    return this.#place({ ...entry, replicas: [node, ...entry.replicas] })
  }

  #activeLost({ id, epoch }: Operation<'activeLost'>): DirectoryEntry | null {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.epoch !== epoch) return null
    const others = this.#nodes.filter((node) => node !== entry.active)
    const next = placeActive({ ...entry, active: null }, { nodes: others })
    if (next === null || entry.inSync === null) return this.#put({ ...entry, epoch: epoch + 1 })
    return this.#place({ ...entry, active: next, epoch: epoch + 1 })
  }

  #inSync({ id, epoch, node, inSync }: Operation<'inSync'>): DirectoryEntry {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.epoch !== epoch) {
      throw new SdkError('STALE_EPOCH', `checkpoint: epoch ${epoch} does not hold any more`)
    }
    const isSafe = writeModeOf(entry.attributes) === 'ALL_SAFE'
    if (isSafe && !inSync && this.#nodes.includes(node) && entry.replicas.includes(node)) {
      const message = `checkpoint ${entry.name}: the replica on node ${node} does not answer`
      throw new SdkError('TRY_AGAIN', message)
    }
    const others = (entry.inSync ?? []).filter((one) => one !== node)
    return this.#place({ ...entry, inSync: inSync ? [...others, node] : others })
  }

  #known(id: string): DirectoryEntry {
    const entry = this.#entries.get(id)
    if (entry !== undefined) return entry
    throw new SdkError('NOT_EXIST', 'the checkpoint is gone: open it again')
  }

  /** Puts an entry, with its replicas where they belong. */
  #place(entry: DirectoryEntry): DirectoryEntry {
    const isUnset = entry.active === null && entry.inSync === null && entry.epoch === 0
    const mustWait = isUnset && waitsForActive(entry.attributes)
    const active = mustWait ? null : placeActive(entry, { nodes: this.#nodes })
    const epoch = active !== null && active !== entry.active ? entry.epoch + 1 : entry.epoch
    const placed = { ...entry, active, epoch }
    const load = this.#loads(entry.id)
    // Without an active replica nobody could take one away or give one.
    if (active === null) return this.#put(placed)
    const replicas = placeReplicas(placed, { nodes: this.#nodes, load })
    return this.#put({ ...placed, replicas: [...replicas] })
  }

  #loads(except: string): (node: number) => number {
    let counts: Map<number, number> | undefined
    return (node) => {
      if (counts === undefined) {
        counts = new Map()
        for (const { id, replicas } of this.#entries.values()) {
          if (id === except) continue
          for (const each of replicas) counts.set(each, (counts.get(each) ?? 0) + 1)
        }
      }
      return counts.get(node) ?? 0
    }
  }

  #put(entry: DirectoryEntry): DirectoryEntry {
    const before = this.#entries.get(entry.id)
    if (before !== undefined && isEqual(before, entry)) return before
    const changed = { ...entry, revision: this.#revision }
    this.#entries.set(entry.id, changed)
    this.#changed.add(entry.id)
    return changed
  }

  #remove(entry: DirectoryEntry): null {
    this.#entries.delete(entry.id)
    if (this.#names.get(entry.name) === entry.id) this.#names.delete(entry.name)
    this.#changed.add(entry.id)
    if (this.#restored.delete(entry.id)) this.#recovery.bury(entry.id)
    return this.#review()
  }
}

function nodesText(nodes: readonly number[]): string {
  return `${nodes.length === 1 ? 'node' : 'nodes'} ${nodes.join(', ')}`
}

function notExist(name: string): SdkError {
  return new SdkError('NOT_EXIST', `there is no checkpoint ${name}: open it with CREATE`)
}

function isSame(known: DirectoryEntry['attributes'], asked: DirectoryEntry['attributes']): boolean {
  return isEqual(known, normalAttributes(asked))
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}

/** Members in one order, whatever made the object. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  )
}
