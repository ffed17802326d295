import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSdkError } from '../../../idl/index.ts'
import {
  CircularList,
  Container,
  Queue,
  RULE_FLAG,
  RuleExpression,
  type ContainerKind,
} from '../../../runtime/index.ts'

const compare = (a: number, b: number): number => a - b
const KINDS: readonly ContainerKind<number>[] = [
  { kind: 'list' },
  { kind: 'orderedList' },
  { kind: 'tree' },
  { kind: 'hash', buckets: 4, hash: (key) => key },
]
const code =
  (name: string) =>
  (error: unknown): boolean =>
    isSdkError(error, name)
/** The code of what a step throws; undefined when it throws nothing. */
function codeOf(step: () => unknown): string | undefined {
  try {
    step()
    return undefined
  } catch (error) {
    return isSdkError(error) ? error.code : String(error)
  }
}

type Step = readonly ['add' | 'deleteKey' | 'deleteFirst' | 'deleteLast', number]
const steps = fc.array(
  fc.tuple(
    fc.constantFrom<Step[0]>('add', 'add', 'add', 'deleteKey', 'deleteFirst', 'deleteLast'),
    fc.integer({ min: 0, max: 20 }),
  ),
  { maxLength: 120 },
)

describe.each(KINDS)('container: $kind', (kind) => {
  /** What an array would say, in the order that this kind has. */
  const ordered = (
    model: readonly (readonly [number, number])[],
  ): (readonly [number, number])[] => {
    if (kind.kind === 'list') return [...model]
    const bucket = (key: number): number => (kind.kind === 'hash' ? key % kind.buckets : key)
    return [...model].sort((a, b) => bucket(a[0]) - bucket(b[0]))
  }

  test.each([true, false])('agrees with an array, unique keys %s', (unique) => {
    fc.assert(
      fc.property(steps, (script) => {
        const deleted: number[] = []
        const container = new Container<number, number>(kind, {
          compare,
          unique,
          onDelete: (_, data) => deleted.push(data),
        })
        let model: (readonly [number, number])[] = []
        let count = 0
        for (const [what, key] of script) {
          const before = ordered(model)
          if (what === 'add') {
            const isThere = unique && model.some(([other]) => other === key)
            const refused = codeOf(() => container.add(key, count))
            expect(refused).toBe(isThere ? 'DUPLICATE' : undefined)
            if (!isThere) model.push([key, count])
            count += 1
          } else if (what === 'deleteKey') {
            const gone = model.filter(([other]) => other === key)
            expect(container.deleteKey(key)).toBe(gone.length)
            expect(deleted.splice(0)).toEqual(gone.map(([, data]) => data))
            model = model.filter(([other]) => other !== key)
          } else {
            const gone = what === 'deleteFirst' ? before[0] : before.at(-1)
            const node = what === 'deleteFirst' ? container.first() : container.last()
            expect(node?.data).toBe(gone?.[1])
            if (node !== undefined) container.delete(node)
            expect(deleted.splice(0)).toEqual(gone === undefined ? [] : [gone[1]])
            model = model.filter((pair) => pair !== gone)
          }
          container.checkInvariants()
        }
        const expected = ordered(model)
        expect(container.size).toBe(expected.length)
        const forward: unknown[] = []
        container.walk((node) => void forward.push([node.key, node.data]))
        expect(forward).toEqual(expected)
        const backward: unknown[] = []
        for (let at = container.last(); at !== undefined; at = container.previous(at)) {
          backward.unshift([at.key, at.data])
        }
        expect(backward).toEqual(expected)
        for (let key = 0; key <= 20; key += 1) {
          const same = expected.filter(([other]) => other === key).map(([, data]) => data)
          expect(container.find(key)?.data).toBe(same[0])
          expect(container.findAll(key).map(({ data }) => data)).toEqual(same)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('a walk may delete the visited node, stops on request, and obeys rules', () => {
    const container = new Container<number, string>(kind, { compare })
    const rule = new RuleExpression(1)
    rule.flags = RULE_FLAG.NON_ZERO_MATCH
    rule.mask[0] = 0x2
    container.add(1, 'a')
    container.add(2, 'b', rule)
    container.add(3, 'c')
    const seen = (words?: Uint32Array): string[] => {
      const found: string[] = []
      container.walk(({ data }) => void found.push(data), words)
      return found.sort()
    }
    expect(seen()).toEqual(['a', 'c'])
    expect(seen(new Uint32Array([1]))).toEqual(['a', 'c'])
    expect(seen(new Uint32Array([2]))).toEqual(['a', 'b', 'c'])
    let visits = 0
    container.walk(() => (visits += 1) < 2)
    expect(visits).toBe(2)
    container.walk((node) => container.delete(node))
    expect(container.size).toBe(1)
    container.clear()
    expect(container.first()).toBeUndefined()
  })

  test('deleted nodes, foreign nodes and destroyed containers are refused', () => {
    const destroyed: string[] = []
    const onDestroy = (_: number, data: string): void => void destroyed.push(data)
    const container = new Container<number, string>(kind, { compare, onDestroy })
    const other = new Container<number, string>(kind, { compare })
    const node = container.add(1, 'a')
    expect(() => other.delete(node)).toThrow(expect.toSatisfy(code('INVALID_HANDLE')))
    container.delete(node)
    expect(() => container.next(node)).toThrow(expect.toSatisfy(code('INVALID_HANDLE')))
    container.add(2, 'b')
    container.destroy()
    expect(destroyed).toEqual(['b'])
    expect(codeOf(() => container.find(2))).toBe('INVALID_HANDLE')
  })
})

test('equal keys of a hash table are looked for in their bucket only', () => {
  let compared = 0
  const count = (a: number, b: number): number => {
    compared += 1
    return a - b
  }
  const kind = { kind: 'hash', buckets: 64, hash: (key: number) => key } as const
  const table = new Container<number, number>(kind, { compare: count, unique: false })
  for (let key = 0; key < 640; key += 1) table.add(key % 320, key)
  compared = 0
  expect(table.findAll(5).map(({ data }) => data)).toEqual([5, 325])
  expect(compared).toBeLessThan(32)
  table.destroy()
  expect(codeOf(() => table.size)).toBe('INVALID_HANDLE')
  const noHash = { kind: 'hash', buckets: 1 } as never
  expect(codeOf(() => new Container(noHash, { compare }))).toBe('NULL_POINTER')
})

test('a hash table needs buckets', () => {
  const kind = { kind: 'hash', buckets: 0, hash: () => 0 } as const
  expect(codeOf(() => new Container(kind, { compare }))).toBe('INVALID_PARAMETER')
})

describe('circular list', () => {
  test('goes round in both directions', () => {
    const list = new CircularList<string>({ sizeMax: 0 })
    const b = list.addLast('b')
    const a = list.addFirst('a')
    const d = list.addAfter(b, 'd')
    list.addBefore(d, 'c')
    expect(list.next(d)).toBe(a)
    expect(list.previous(a)).toBe(d)
    const seen: string[] = []
    list.walk((data) => void seen.push(data))
    expect(seen.join('')).toBe('abcd')
    list.delete(a)
    expect(list.first()).toBe(b)
    expect(codeOf(() => list.next(a))).toBe('INVALID_HANDLE')
  })

  test.each([
    { policy: 'noDrop', text: 'ab', refused: 'MAXSIZE_REACHED', gone: [] },
    { policy: 'dropFirst', text: 'bc', refused: undefined, gone: ['a'] },
  ] as const)('full with $policy', ({ policy, text, refused, gone }) => {
    const deleted: string[] = []
    const onDelete = (data: string): void => void deleted.push(data)
    const list = new CircularList<string>({ sizeMax: 2, policy, onDelete })
    list.addLast('a')
    list.addLast('b')
    expect(codeOf(() => list.addLast('c'))).toBe(refused)
    let seen = ''
    list.walk((data) => void (seen += data))
    expect(seen).toBe(text)
    expect(deleted).toEqual(gone)
  })

  test('a full list of one that drops the node it was to add behind', () => {
    const list = new CircularList<string>({ sizeMax: 1, policy: 'dropFirst' })
    const a = list.addLast('a')
    expect(list.next(list.addAfter(a, 'b')).data).toBe('b')
    expect(list.size).toBe(1)
  })
})

test('what a visit takes out is not visited', () => {
  const queue = new Queue<number>({ sizeMax: 0 })
  for (const data of [1, 2, 3, 4]) queue.enqueue(data)
  const seen: number[] = []
  queue.walk((data) => {
    seen.push(data)
    if (data === 1) for (let i = 0; i < 2; i += 1) queue.dequeue()
  })
  expect(seen).toEqual([1, 3, 4])
  queue.walk(() => queue.destroy())
  const list = new CircularList<number>({ sizeMax: 0 })
  const [, second] = [list.addLast(1), list.addLast(2), list.addLast(3)]
  const walk = (): void => list.walk((data) => (data === 1 ? list.delete(second!) : undefined))
  expect(codeOf(walk)).toBe('INVALID_STATE')
})

test('a full list is whole again when it tells what it dropped', () => {
  const sizes: number[] = []
  const list: CircularList<number> = new CircularList({
    sizeMax: 2,
    policy: 'dropFirst',
    onDelete: () => void sizes.push(list.size, list.first()!.data),
  })
  for (const data of [1, 2, 3]) list.addLast(data)
  expect(sizes).toEqual([2, 2])
})

test('a queue is first in first out, bounded, and counts', () => {
  const destroyed: number[] = []
  const queue = new Queue<number>({ sizeMax: 2, onDestroy: (data) => void destroyed.push(data) })
  queue.enqueue(1)
  queue.enqueue(2)
  expect(codeOf(() => queue.enqueue(3))).toBe('MAXSIZE_REACHED')
  expect(queue.dequeue()).toBe(1)
  expect(queue.statistics()).toEqual({
    size: 1,
    sizePeak: 2,
    enqueued: 2,
    dequeued: 1,
    refused: 1,
  })
  queue.destroy()
  expect(destroyed).toEqual([2])
  expect(codeOf(() => queue.dequeue())).toBe('INVALID_HANDLE')
  expect(codeOf(() => new Queue({ sizeMax: 1 }).dequeue())).toBe('NOT_EXIST')
})
