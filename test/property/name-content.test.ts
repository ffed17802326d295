import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { NAME_CONTEXT, type NameAttribute } from '../../runtime/services/name/interface.ts'
import { NameContent } from '../../runtime/services/name/name-content.ts'
import { globalNamesCodec, type NameOperation } from '../../runtime/services/name/operations.ts'

const DEFAULT = NAME_CONTEXT.global
const OPTIONS = { defaultContext: DEFAULT, firstContext: 1, firstReference: 1_000 }
const RANK = { LOW: 0, MEDIUM: 1, HIGH: 2 } as const

type Register = Extract<NameOperation, { kind: 'register' }>

/** One registration of one component. Those of one entry have the same `entry`. */
interface Row extends Register {
  readonly entry: number
  readonly reference: number
}

/** The name service as a list of rows, in the order in which they came. */
class NaiveNames {
  rows: Row[] = []
  readonly cookies = new Map<number, number>([[DEFAULT, DEFAULT]])
  #nextContext = OPTIONS.firstContext
  #nextReference = OPTIONS.firstReference
  #nextEntry = 1

  /** @returns what the service gives, or the code of its error. */
  apply(operation: NameOperation): number | string {
    switch (operation.kind) {
      case 'register':
        return this.#register(operation)
      case 'serviceDeregister': {
        const { context, name, component } = operation
        if (!this.cookies.has(context)) return 'CONTEXT_NOT_CREATED'
        const gone = this.#remove(
          (row) =>
            row.context === context && row.name === name && row.owner.component === component,
        )
        return gone === 0 ? 'SERVICE_NOT_REGISTERED' : 0
      }
      case 'componentDeregister':
        this.#remove(({ owner }) => owner.component === operation.component)
        return 0
      case 'ended':
        this.#remove(({ owner }) => owner.eo === operation.eo)
        return 0
      case 'contextCreate': {
        if ([...this.cookies.values()].includes(operation.cookie)) return 'CONTEXT_ALREADY_CREATED'
        this.cookies.set(this.#nextContext, operation.cookie)
        return this.#nextContext++
      }
      case 'contextDelete':
        if (operation.context === DEFAULT) return 'OPERATION_NOT_PERMITTED'
        if (!this.cookies.delete(operation.context)) return 'CONTEXT_NOT_CREATED'
        this.#remove(({ context }) => context === operation.context)
        return 0
    }
  }

  keepNodes(lives: ReadonlySet<string>): void {
    this.#remove(({ owner }) => !lives.has(owner.life))
  }

  lookup(cookie: number, name: string, attributes: readonly NameAttribute[]): unknown {
    const context = [...this.cookies].find(([, one]) => one === cookie)?.[0]
    if (context === undefined) return 'CONTEXT_NOT_CREATED'
    const [best] = this.rows
      .filter((row) => row.context === context && row.name === name)
      .filter((row) => attributes.every((one) => textOf(row.attributes).includes(textOf([one]))))
      .sort((a, b) => RANK[b.priority] - RANK[a.priority])
    if (best === undefined) return 'ENTRY_NOT_FOUND'
    const providers = this.rows
      .filter(({ entry }) => entry === best.entry)
      .sort((a, b) => RANK[b.priority] - RANK[a.priority])
      .map(({ owner, priority }) => `${owner.component} ${priority}`)
    return [best.reference, ...providers]
  }

  #register(operation: Register): number | string {
    const { context, name, owner, attributes, objectReference } = operation
    if (!this.cookies.has(context)) return 'CONTEXT_NOT_CREATED'
    this.#remove((row) => row.owner.component === owner.component && row.owner.eo !== owner.eo)
    if (operation.overwrite) this.#remove((row) => row.context === context && row.name === name)
    const same = this.rows.filter(
      (row) =>
        row.context === context &&
        row.name === name &&
        textOf(row.attributes) === textOf(attributes) &&
        (objectReference === null ? row.isGenerated : row.reference === objectReference),
    )
    // The one that was there first.
    const entry = same.toSorted((a, b) => a.entry - b.entry)[0]
    const known = this.rows.find((row) => row.entry === entry?.entry && row.owner.eo === owner.eo)
    if (known !== undefined) return known.reference
    const reference = entry?.reference ?? objectReference ?? this.#nextReference++
    this.rows.push({
      ...operation,
      isGenerated: entry?.isGenerated ?? operation.isGenerated,
      entry: entry?.entry ?? this.#nextEntry++,
      reference,
    })
    return reference
  }

  #remove(isGone: (row: Row) => boolean): number {
    const before = this.rows.length
    this.rows = this.rows.filter((row) => !isGone(row))
    return before - this.rows.length
  }
}

const textOf = (attributes: readonly NameAttribute[]): string =>
  attributes
    .map(({ type, value }) => `<${type}=${value}>`)
    .sort()
    .join('')

const context = fc.constantFrom(DEFAULT, DEFAULT, 1, 2, 3)
const name = fc.constantFrom('n', 'm')
const attributes = fc.subarray([
  { type: 'color', value: 'red' },
  { type: 'size', value: 'big' },
])
const node = fc.integer({ min: 1, max: 2 })
/** A component lives on one node; with each life of it, it is another EO. */
const owner = fc
  .record({ component: fc.constantFrom('a', 'b', 'c'), node, life: fc.integer({ min: 1, max: 2 }) })
  .map(({ component, node: on, life }) => ({
    component,
    eo: `${component}${on}${life}`,
    life: `n${on}.${life}`,
  }))
const register = fc
  .record({
    context,
    name,
    attributes,
    owner,
    priority: fc.constantFrom('LOW' as const, 'MEDIUM' as const, 'HIGH' as const),
    reference: fc.option(fc.constantFrom(7, 8)),
    overwrite: fc.boolean(),
  })
  .map(({ reference, overwrite, ...rest }): NameOperation => ({
    ...rest,
    kind: 'register',
    objectReference: reference,
    isGenerated: reference === null,
    overwrite,
    address: { node: 1, port: 1 },
  }))
const component = fc.constantFrom('a', 'b', 'c')
const operation: fc.Arbitrary<NameOperation> = fc.oneof(
  { weight: 8, arbitrary: register },
  fc.record({ kind: fc.constant('serviceDeregister' as const), context, name, component }),
  fc.record({ kind: fc.constant('componentDeregister' as const), component }),
  owner.map(({ eo }) => ({ kind: 'ended' as const, eo })),
  fc.record({
    kind: fc.constant('contextCreate' as const),
    cookie: fc.constantFrom(5, 6, DEFAULT),
  }),
  fc.record({ kind: fc.constant('contextDelete' as const), context }),
)
const step = fc.oneof(
  { weight: 10, arbitrary: operation },
  { weight: 1, arbitrary: fc.constant('restore' as const) },
  {
    weight: 1,
    arbitrary: fc.subarray(['n1.1', 'n1.2', 'n2.1', 'n2.2']).map((lives) => ({ lives })),
  },
)

const attempt = (run: () => unknown): unknown => {
  try {
    return run()
  } catch (error) {
    if (isSdkError(error)) return error.code
    throw error
  }
}

it('names are what a plain list of registrations says, whatever dies', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let names = new NameContent(OPTIONS)
      const naive = new NaiveNames()
      /** What somebody knows who was told of the changes only. */
      const told: string[] = []
      for (const one of steps) {
        if (one === 'restore') {
          // Another node, which gets the whole content.
          const content = globalNamesCodec.encode({ revision: 1, content: names.snapshot() })
          names = new NameContent(OPTIONS)
          names.restore(globalNamesCodec.decode(content).content)
          const all = names.takeChanges().map((change) => keyOf(change))
          expect(all.sort()).toEqual([...told].sort())
        } else if ('lives' in one) {
          names.keepNodes(new Set(one.lives))
          naive.keepNodes(new Set(one.lives))
        } else expect(attempt(() => names.apply(one))).toEqual(naive.apply(one))
        for (const change of names.takeChanges()) {
          if (change.kind === 'REGISTER') told.push(keyOf(change))
          else {
            const place = told.indexOf(keyOf(change))
            expect(place).toBeGreaterThanOrEqual(0)
            told.splice(place, 1)
          }
        }
        const rows = naive.rows.map(({ owner: by, reference: objectReference, ...row }) =>
          keyOf({ ...row, objectReference, component: by.component }),
        )
        expect([...told].sort()).toEqual(rows.sort())
        expect(names.addressOf('n') !== null).toBe(
          naive.rows.some((row) => row.context === DEFAULT && row.name === 'n'),
        )
        for (const cookie of [DEFAULT, 5, 6]) {
          for (const wanted of [[], [{ type: 'color', value: 'red' }]]) {
            const found = attempt(() => {
              const query = { cookie, name: 'n', attributes: wanted }
              const { objectReference, providers } = names.lookup(query)
              const all = providers.map((row) => `${row.component} ${row.priority}`)
              return [objectReference, ...all]
            })
            expect(found).toEqual(naive.lookup(cookie, 'n', wanted))
          }
        }
      }
    }),
    { numRuns: 100 },
  )
})

function keyOf(row: {
  readonly context: number
  readonly name: string
  readonly objectReference: number
  readonly component: string
}): string {
  return `${row.context} ${row.name} ${row.objectReference} ${row.component}`
}
