import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  TransactionTable,
  type FinalChanges,
  type Transaction,
} from '../../runtime/services/checkpoint/transaction-table.ts'

/**
 * Calls that run at the same time over four sections, against a list of everything that was written. A surviving
 * write is one whose call was not given up.
 */

type Step =
  | { readonly kind: 'read'; readonly call: number; readonly section: string }
  | {
      readonly kind: 'write'
      readonly call: number
      readonly section: string
      readonly value: number
    }
  | { readonly kind: 'delete'; readonly call: number; readonly section: string }
  | { readonly kind: 'finish'; readonly call: number }
  | { readonly kind: 'abort'; readonly call: number }

interface Write {
  readonly call: number
  readonly section: string
  readonly value: number | null
}

const call = fc.integer({ min: 0, max: 4 })
const section = fc.constantFrom('a', 'b', 'c', 'd')
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('read' as const), call, section }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('write' as const),
        call,
        section,
        value: fc.integer({ min: 1, max: 250 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), call, section }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), call }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), call }) },
  ),
  { maxLength: 60 },
)

class Oracle {
  readonly table = new TransactionTable(1_000_000)
  readonly transactions: Transaction[] = []
  readonly writes: Write[] = []
  readonly ended = new Set<number>()
  readonly lost = new Set<number>()
  readonly left = new Set<number>()
  /** Calls whose uncommitted writes a call saw or overwrote. */
  readonly needs = new Map<number, Set<number>>()
  #current: number[]
  #next = 5

  constructor() {
    this.#current = [0, 1, 2, 3, 4]
    for (let i = 0; i < 5; i++) this.transactions.push(this.table.begin())
  }

  present(section: string): Write | undefined {
    return this.writes.findLast((write) => write.section === section && !this.lost.has(write.call))
  }

  run(step: Step): void {
    const id = this.#current[step.call] ?? 0
    const transaction = this.transactions[id]
    if (transaction === undefined) throw new Error('no such call')
    switch (step.kind) {
      case 'read': {
        const read = this.table.read(transaction, step.section)
        if (this.lost.has(id)) {
          expect(read).toBeUndefined()
          return
        }
        const seen = this.present(step.section)
        expect(read?.[0] ?? null).toBe(seen?.value ?? null)
        this.#need(id, seen)
        return
      }
      case 'write':
      case 'delete': {
        const value = step.kind === 'write' ? step.value : null
        const bytes = value === null ? null : new Uint8Array([value])
        const outcome = this.table.write(transaction, step.section, bytes)
        if (this.lost.has(id)) expect(outcome).toBe('doomed')
        else if (outcome === 'conflict') this.#giveUp(id, transaction)
        else {
          expect(outcome).toBe('written')
          for (const other of this.writes) if (other.section === step.section) this.#need(id, other)
          this.writes.push({ call: id, section: step.section, value })
        }
        return
      }
      case 'finish':
        if (!this.lost.has(id)) {
          this.ended.add(id)
          for (const group of this.table.finish(transaction)) this.#groupLeft(group)
        }
        this.#replace(step.call)
        return
      case 'abort':
        if (!this.ended.has(id)) this.#giveUp(id, transaction)
        this.#replace(step.call)
    }
  }

  finishAll(): void {
    this.#current.forEach((_id, i) => this.run({ kind: 'finish', call: i }))
  }

  #need(id: number, write: Write | undefined): void {
    if (write === undefined || write.call === id || this.lost.has(write.call)) return
    if (this.left.has(write.call)) return
    const needs = this.needs.get(id) ?? new Set()
    needs.add(write.call)
    this.needs.set(id, needs)
  }

  #giveUp(id: number, transaction: Transaction): void {
    const others = this.table.abort(transaction).map((each) => this.transactions.indexOf(each))
    const expected = new Set([id])
    for (const lost of expected) {
      for (const [other, needs] of this.needs) if (needs.has(lost)) expected.add(other)
    }
    for (const each of this.lost) expected.delete(each)
    expect(new Set([...(this.lost.has(id) ? [] : [id]), ...others])).toEqual(expected)
    for (const each of expected) this.lost.add(each)
  }

  #groupLeft(group: readonly FinalChanges[]): void {
    const ids = group.map(({ transaction }) => this.transactions.indexOf(transaction))
    for (const id of ids) {
      expect(this.ended.has(id)).toBe(true)
      expect(this.lost.has(id)).toBe(false)
      for (const need of this.needs.get(id) ?? []) {
        expect(this.left.has(need) || ids.includes(need), `${id} left before ${need}`).toBe(true)
      }
    }
    for (const id of ids) this.left.add(id)
    for (const { writes } of group) this.table.confirm(writes)
  }

  #replace(at: number): void {
    this.#current[at] = this.#next++
    this.transactions.push(this.table.begin())
  }
}

test('calls see the latest surviving write, leave with what they need, and fall with it', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const oracle = new Oracle()
      for (const step of list) oracle.run(step)
      oracle.finishAll()
      for (const name of ['a', 'b', 'c', 'd']) {
        const expected = oracle.present(name)?.value ?? null
        expect(oracle.table.committed(name)?.[0] ?? null, name).toBe(expected)
      }
      const used = oracle.table.committedNames().length
      expect(oracle.table.sizeBytes).toBe(used * 2)
      expect(oracle.left.size + oracle.lost.size).toBe(oracle.transactions.length - 5)
    }),
    { numRuns: 2_000 },
  )
})
