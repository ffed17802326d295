import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { Directory } from '../../runtime/services/named-checkpoint/directory.ts'
import type {
  CheckpointAttributes,
  CreationFlag,
  SectionOperation,
  SectionResult,
} from '../../runtime/services/named-checkpoint/interface.ts'
import type { DirectoryOperation } from '../../runtime/services/named-checkpoint/operations.ts'
import { SectionIndex } from '../../runtime/services/named-checkpoint/section-index.ts'
import {
  INLINE_SIZE_BYTES,
  PIECE_SIZE_BYTES,
} from '../../runtime/services/named-checkpoint/section-value.ts'
import { clearEnded, operate } from '../../runtime/services/named-checkpoint/sections.ts'

const ATTRIBUTES: CheckpointAttributes = {
  creationFlags: [],
  checkpointSize: 5 * PIECE_SIZE_BYTES,
  retentionDurationMs: 0,
  maxSections: 4,
  maxSectionSize: 3 * PIECE_SIZE_BYTES,
  maxSectionIdSize: 2,
}

/** The sections as anybody would keep them. */
class Plain {
  readonly sections = new Map<string, { data: Buffer; expiresAtMs: number }>()
  nowMs = 1_000

  run(operation: SectionOperation): unknown {
    for (const [id, { expiresAtMs }] of this.sections) {
      if (expiresAtMs <= this.nowMs) this.sections.delete(id)
    }
    switch (operation.kind) {
      case 'create': {
        const { id, data } = operation
        const expiresAtMs = operation.expiresAtMs ?? Infinity
        if (id === '' || (id ?? '').length > 2) return 'INVALID_PARAMETER'
        if (data.length > ATTRIBUTES.maxSectionSize) return 'INVALID_PARAMETER'
        if (expiresAtMs <= this.nowMs) return 'INVALID_PARAMETER'
        if (this.sections.has(id ?? '')) return 'ALREADY_EXIST'
        return this.#tried([[id ?? '', Buffer.from(data), expiresAtMs]], 'created')
      }
      case 'delete':
        if (operation.id === '') return 'INVALID_PARAMETER'
        return this.sections.delete(operation.id) ? 'done' : 'NOT_EXIST'
      case 'expire': {
        const section = this.sections.get(operation.id)
        const atMs = operation.atMs ?? Infinity
        if (operation.id === '' || atMs <= this.nowMs) return 'INVALID_PARAMETER'
        if (section === undefined) return 'NOT_EXIST'
        section.expiresAtMs = atMs
        return 'done'
      }
      case 'overwrite':
      case 'write':
        return this.#write(operation)
      case 'read':
        return this.#read(operation)
      case 'list':
        return [...this.sections.keys()].sort()
      default:
        return this.#size()
    }
  }

  #write(operation: Extract<SectionOperation, { kind: 'write' | 'overwrite' }>): unknown {
    if (operation.elements.length === 0) return 'INVALID_PARAMETER'
    const drafted = new Map<string, Buffer>()
    const all: readonly { id: string; data: Uint8Array; offset?: number }[] = operation.elements
    for (const [index, element] of all.entries()) {
      const { offset = 0 } = element
      const wrong = this.#wrong(element.id, offset + element.data.length)
      if (wrong !== null) return `${wrong} ${index}`
      const before = drafted.get(element.id) ?? this.sections.get(element.id)?.data
      const base = operation.kind === 'write' ? before : undefined
      const size = Math.max(base?.length ?? 0, offset + element.data.length)
      const data = Buffer.alloc(size, base ?? 0)
      if (base !== undefined) data.fill(0, base.length)
      data.set(element.data, offset)
      drafted.set(element.id, data)
    }
    return this.#tried(
      [...drafted].map(([id, data]) => [id, data, this.sections.get(id)?.expiresAtMs ?? Infinity]),
      'done',
    )
  }

  #read({ elements }: Extract<SectionOperation, { kind: 'read' }>): unknown {
    if (elements.length === 0) return 'INVALID_PARAMETER'
    const data: string[] = []
    for (const [index, { id, offset, size }] of elements.entries()) {
      const wrong = this.#wrong(id, offset + (size ?? 0))
      if (wrong !== null) return `${wrong} ${index}`
      const section = this.sections.get(id)?.data ?? Buffer.alloc(0)
      const end = size === null ? section.length : offset + size
      data.push(section.subarray(offset, end).toString('latin1'))
    }
    return data
  }

  #wrong(id: string, end: number): string | null {
    if (id === '' || id.length > 2 || end > ATTRIBUTES.maxSectionSize) return 'INVALID_PARAMETER'
    return this.sections.has(id) ? null : 'NOT_EXIST'
  }

  #tried(changes: readonly (readonly [string, Buffer, number])[], done: string): unknown {
    let size = this.#size()[1] ?? 0
    for (const [id, data] of changes) {
      size += data.length - (this.sections.get(id)?.data.length ?? 0)
    }
    const count = new Set([...this.sections.keys(), ...changes.map(([id]) => id)]).size
    if (count > ATTRIBUTES.maxSections || size > ATTRIBUTES.checkpointSize) return 'NO_SPACE'
    for (const [id, data, expiresAtMs] of changes) this.sections.set(id, { data, expiresAtMs })
    return done
  }

  #size(): number[] {
    const sizes = [...this.sections.values()].map(({ data }) => data.length)
    return [sizes.length, sizes.reduce((sum, size) => sum + size, 0)]
  }
}

/** The same operations on the content as it is kept. */
class Kept {
  readonly values = new Map<string, Uint8Array>()
  readonly index = new SectionIndex()
  nowMs = 1_000

  run(operation: SectionOperation): unknown {
    try {
      const { result, writes } = operate(
        { ...this.#content(), name: 'c', attributes: ATTRIBUTES },
        operation,
      )
      this.#write(writes)
      return this.#told(result)
    } catch (error) {
      if (!isSdkError(error)) throw error
      const index = error.context['errorIndex']
      return index === undefined ? error.code : `${error.code} ${JSON.stringify(index)}`
    }
  }

  clear(): void {
    this.#write(clearEnded(this.#content(), 2))
  }

  #content() {
    const read = (key: string): Uint8Array | null => this.values.get(key) ?? null
    return { index: this.index, read, nowMs: this.nowMs }
  }

  #write(writes: ReadonlyMap<string, Uint8Array | null>): void {
    for (const [key, value] of writes) {
      this.index.changed(key, this.values.get(key) ?? null, value)
      if (value === null) this.values.delete(key)
      else this.values.set(key, value)
    }
  }

  #told(result: SectionResult): unknown {
    switch (result.kind) {
      case 'data':
        return result.data.map((data) => Buffer.from(data).toString('latin1'))
      case 'sections':
        return result.sections.map(({ id }) => id)
      case 'status':
        return [result.sectionCount, result.memoryUsed]
      default:
        return result.kind
    }
  }
}

const id = fc.constantFrom('a', 'b', 'c', 'dd', 'e', '', 'long')
const size = fc.oneof(
  fc.nat(20),
  fc.constantFrom(
    INLINE_SIZE_BYTES - 1,
    INLINE_SIZE_BYTES,
    INLINE_SIZE_BYTES + 1,
    PIECE_SIZE_BYTES - 1,
    PIECE_SIZE_BYTES,
    PIECE_SIZE_BYTES + 1,
    2 * PIECE_SIZE_BYTES,
    3 * PIECE_SIZE_BYTES,
    3 * PIECE_SIZE_BYTES + 1,
  ),
)
const data = fc
  .tuple(size, fc.integer({ min: 1, max: 255 }))
  .map(([length, byte]) => Uint8Array.from({ length }, (_, i) => (byte + i) % 256))
const atMs = fc.option(fc.integer({ min: 900, max: 1_600 }), { freq: 2 })
const elements = <T>(element: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(element, { maxLength: 3 })
const operation: fc.Arbitrary<SectionOperation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('create' as const), id, expiresAtMs: atMs, data }),
  },
  fc.record({ kind: fc.constant('delete' as const), id }),
  fc.record({ kind: fc.constant('expire' as const), id, atMs }),
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      elements: elements(fc.record({ id, offset: size, data })),
    }),
  },
  fc.record({
    kind: fc.constant('overwrite' as const),
    elements: elements(fc.record({ id, data })),
  }),
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      elements: elements(fc.record({ id, offset: size, size: fc.option(size) })),
    }),
  },
  fc.constant({ kind: 'list', after: null, chosen: 'ANY', timeMs: 0, count: 100 } as const),
)

describe('sections', () => {
  test('are what a plain map of them would be', () => {
    const step = fc.tuple(operation, fc.nat(100), fc.boolean())
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const [plain, kept] = [new Plain(), new Kept()]
        for (const [each, waitMs, isCleared] of steps) {
          plain.nowMs += waitMs
          kept.nowMs += waitMs
          // Whether what has ended is cleared away or not yet, nobody sees.
          if (isCleared) kept.clear()
          const expected = plain.run(each)
          expect(kept.run(each)).toEqual(expected)
        }
        kept.clear()
        kept.clear()
        const status = plain.run({ kind: 'status' })
        expect(kept.run({ kind: 'status' })).toEqual(status)
        const pieces = [...plain.sections.values()].reduce(
          (sum, one) =>
            sum +
            1 +
            (one.data.length > INLINE_SIZE_BYTES
              ? Math.ceil(one.data.length / PIECE_SIZE_BYTES)
              : 0),
          0,
        )
        expect(kept.values.size).toBe(pieces)
      }),
      { numRuns: 40 },
    )
  })

  test('are iterated in parts, each that stays once, while others come and go', () => {
    const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 2 }), { maxLength: 12 })
    fc.assert(
      fc.property(ids, ids, fc.integer({ min: 1, max: 4 }), (first, second, count) => {
        const index = new SectionIndex()
        const kept = new Kept()
        const attributes = { ...ATTRIBUTES, maxSections: 100 }
        const content = () => ({
          name: 'c',
          attributes,
          index,
          read: (key: string) => kept.values.get(key) ?? null,
          nowMs: 1,
        })
        const run = (each: SectionOperation): SectionResult => {
          const { result, writes } = operate(content(), each)
          for (const [key, value] of writes) {
            index.changed(key, kept.values.get(key) ?? null, value)
            if (value === null) kept.values.delete(key)
            else kept.values.set(key, value)
          }
          return result
        }
        const create = (one: string): unknown =>
          run({ kind: 'create', id: one, expiresAtMs: null, data: new Uint8Array() })
        for (const one of first) create(one)
        const coming = second.filter((one) => !first.includes(one))
        const going = first.filter((one) => second.includes(one))
        const found: string[] = []
        let after: string | null = null
        do {
          const result = run({ kind: 'list', after, chosen: 'ANY', timeMs: 0, count })
          if (result.kind !== 'sections') throw new Error(result.kind)
          found.push(...result.sections.map((section) => section.id))
          after = result.next
          const [came, goes] = [coming.pop(), going.pop()]
          if (came !== undefined) create(came)
          if (goes !== undefined) run({ kind: 'delete', id: goes })
        } while (after !== null)
        const staying = first.filter((one) => !second.includes(one))
        expect(found.filter((one) => staying.includes(one))).toEqual(staying.toSorted(byText))
        expect(found).toEqual([...new Set(found)].toSorted(byText))
      }),
      { numRuns: 200 },
    )
  })
})

const byText = (a: string, b: string): number => (a < b ? -1 : 1)

const FLAGS: readonly CreationFlag[][] = [
  [],
  ['WR_ACTIVE_REPLICA', 'COLLOCATED'],
  ['COLLOCATED'],
  ['DISTRIBUTED'],
  ['WR_ALL_SAFE'],
]

describe('the directory', () => {
  const node = fc.integer({ min: 1, max: 4 })
  const change = fc.oneof(
    fc.record({ kind: fc.constant('open'), name: fc.nat(4), node, creates: fc.boolean() }),
    fc.record({ kind: fc.constant('close'), name: fc.nat(4), node }),
    fc.record({ kind: fc.constant('ended'), node }),
    fc.record({ kind: fc.constant('unlink'), name: fc.nat(4) }),
    fc.record({ kind: fc.constant('activeSet'), name: fc.nat(4), node }),
    fc.record({ kind: fc.constant('activeLost'), name: fc.nat(4) }),
    fc.record({ kind: fc.constant('inSync'), name: fc.nat(4), node, inSync: fc.boolean() }),
    fc.record({ kind: fc.constant('retentionPassed'), name: fc.nat(4) }),
    fc.record({ kind: fc.constant('view'), nodes: fc.subarray([1, 2, 3, 4], { minLength: 1 }) }),
  )

  test('has an active replica in sync and present wherever there can be one, each under a new epoch', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const [directory, mirror] = [new Directory(), new Directory()]
        let members = view([1, 2, 3, 4])
        for (const one of [directory, mirror]) {
          one.viewChanged(members, 0)
          for (const operation of reports(members)) one.apply(operation, 0)
        }
        const active = new Map<string, { epoch: number; active: number | null }>()
        for (const [step, each] of changes.entries()) {
          if (each.kind === 'view') {
            members = view((each as { nodes: number[] }).nodes)
            directory.viewChanged(members, step)
            mirror.viewChanged(members, step)
          } else {
            const operation = operationOf(each as never, directory, step)
            if (operation === null) continue
            expect(outcome(mirror, operation, step)).toEqual(outcome(directory, operation, step))
          }
          check(
            directory,
            members.map((member) => member.node),
            active,
          )
        }
        expect(mirror.snapshot()).toEqual(directory.snapshot())
        const restored = new Directory()
        restored.restore(directory.snapshot())
        expect(restored.snapshot()).toEqual(directory.snapshot())
      }),
      { numRuns: 300 },
    )
  })
})

const view = (nodes: readonly number[]): { node: number; life: string }[] =>
  nodes.map((one) => ({ node: one, life: `life${one}` }))

/** Stores that have nothing. */
const reports = (members: readonly { node: number; life: string }[]): DirectoryOperation[] =>
  members.map(({ node, life }) => {
    return { kind: 'reported', node, life, incarnation: null, covered: [], others: [] }
  })

function outcome(directory: Directory, operation: DirectoryOperation, step: number): unknown {
  try {
    return directory.apply(operation, step)
  } catch (error) {
    return isSdkError(error) ? error.code : error
  }
}

interface Change {
  readonly kind: DirectoryOperation['kind']
  readonly name: number
  readonly node: number
  readonly creates: boolean
  readonly inSync: boolean
}

function operationOf(each: Change, directory: Directory, step: number): DirectoryOperation | null {
  const { kind, node } = each
  const name = `c${each.name}`
  const entry = [...directory.entries()].find((one) => one.name === name)
  if (kind === 'ended') return { kind, eo: `eo${node}` }
  if (kind === 'unlink') return { kind, name }
  if (kind === 'open') {
    const attributes = each.creates
      ? {
          creationFlags: [...(FLAGS[each.name] ?? [])],
          checkpointSize: 0,
          retentionDurationMs: each.name % 2 === 0 ? 0 : null,
          maxSections: 1,
          maxSectionSize: 0,
          maxSectionIdSize: 0,
        }
      : null
    const opener = { eo: `eo${node}`, life: `life${node}`, node }
    return { kind, name, attributes, id: `id${step}`, opener }
  }
  if (entry === undefined) return null
  const { id, epoch, generation } = entry
  switch (kind) {
    case 'close':
      return { kind, id, eo: `eo${node}` }
    case 'activeSet':
      return { kind, id, node }
    case 'activeLost':
      return { kind, id, epoch }
    case 'retentionPassed':
      return { kind, id, generation }
    default:
      // A primary never leaves its own set, and lets a node in that is to hold a replica.
      if (entry.active === null) return null
      if (!each.inSync && node === entry.active) return null
      if (each.inSync && !entry.replicas.includes(node)) return null
      if (entry.inSync === null && node !== entry.active) return null
      return { kind: 'inSync', id, epoch, node, inSync: each.inSync }
  }
}

function check(
  directory: Directory,
  nodes: readonly number[],
  before: Map<string, { epoch: number; active: number | null }>,
): void {
  for (const { id, active, epoch, inSync, replicas, openers } of directory.entries()) {
    const last = before.get(id)
    expect(epoch).toBeGreaterThanOrEqual(last?.epoch ?? 0)
    if (active !== null) {
      if (active !== last?.active) expect(epoch).toBeGreaterThan(last?.epoch ?? 0)
      expect(nodes).toContain(active)
      expect(replicas).toContain(active)
      if (inSync !== null) expect(inSync).toContain(active)
      if (nodes.length > 1) expect(replicas.length).toBeGreaterThan(1)
    } else if (inSync !== null) {
      expect(nodes.filter((node) => inSync.includes(node))).toEqual([])
    }
    for (const { opener } of openers) expect(nodes).toContain(opener.node)
    before.set(id, { epoch, active })
  }
}
