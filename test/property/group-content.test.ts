import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { GroupContent } from '../../runtime/services/group/group-content.ts'
import type { GroupNotification } from '../../runtime/services/group/interface.ts'
import { type GroupOperation, groupsCodec } from '../../runtime/services/group/operations.ts'

interface Row {
  /** null: the cluster's. */
  readonly group: number | null
  readonly memberId: number
  readonly eo: string
  readonly life: string
  readonly credential: number
  readonly turn: number
}

/** The group service as a list of members, oldest first. */
class NaiveGroups {
  rows: Row[] = []
  readonly names = new Map<number, string>()
  /** Views of each group so far. */
  readonly views = new Map<number | null, number>([[null, 0]])
  messages: string[] = []
  hasElected = false
  preferred: number | null = null
  /** Lives of nodes that came, with their credentials, and those of them that left or were ejected. */
  readonly #came = new Map<string, number>()
  readonly #out = new Set<string>()
  /** What the components of an ejected node lost, by EO and turn. */
  ejected: string[] = []
  #nextGroup = 1

  members(group: number | null): readonly Row[] {
    return this.rows.filter((row) => row.group === group)
  }

  apply(operation: GroupOperation): number | string {
    switch (operation.kind) {
      case 'nodeJoin': {
        const { nodeId, life: of } = operation
        if (this.#out.has(of)) return 0
        return this.#enter(nodeId, of, this.#came.get(of) ?? 1)
      }
      case 'clusterJoin':
        return this.#enter(operation.nodeId, operation.life, operation.credential)
      case 'clusterEject': {
        const { life: of, reason, leaver } = operation
        if (!this.members(null).some((row) => row.life === of)) return 'INVALID_PARAMETER'
        this.#out.add(of)
        const lost = this.rows.filter((row) => row.group !== null && row.life === of)
        this.ejected.push(ejectionOf(of, reason, leaver, lost))
        this.#remove((row) => row.life === of)
        return 0
      }
      case 'bootElection':
        if (!this.hasElected) this.#elect()
        return 0
      case 'clusterElect': {
        const { preferred } = operation
        if (preferred !== null) {
          if (!this.members(null).some((row) => row.memberId === preferred)) {
            return 'INVALID_PARAMETER'
          }
          this.preferred = preferred
        }
        this.#elect()
        return 0
      }
      case 'create':
        if ([...this.names.values()].includes(operation.name)) return 'ALREADY_EXIST'
        this.names.set(this.#nextGroup, operation.name)
        this.views.set(this.#nextGroup, 0)
        return this.#nextGroup++
      case 'destroy':
        if (!this.names.has(operation.group)) return 'DOESNT_EXIST'
        if (this.members(operation.group).length > 0) return 'INUSE'
        this.names.delete(operation.group)
        this.views.delete(operation.group)
        return 0
      case 'join': {
        const { group, memberId, owner, credential } = operation
        if (!this.names.has(group)) return 'DOESNT_EXIST'
        if (this.#out.has(owner.life)) return 'OP_NOT_PERMITTED'
        if (this.#find(group, memberId) !== undefined) return 'ALREADY_EXIST'
        this.#add({ group, memberId, ...owner, credential })
        return 0
      }
      case 'leave': {
        const { group, memberId, eo } = operation
        if (!this.names.has(group)) return 'GROUP_DOESNT_EXIST'
        if (this.#find(group, memberId)?.eo !== eo) return 'DOESNT_EXIST'
        this.#remove((row) => row.group === group && row.memberId === memberId)
        return 0
      }
      case 'send': {
        const { group, memberId, eo, data } = operation
        if (!this.names.has(group)) return 'DOESNT_EXIST'
        if (this.#find(group, memberId)?.eo !== eo) return 'DOESNT_EXIST'
        const to = this.members(group).map((row) => `${row.eo} ${row.turn}`)
        this.messages.push(textOf(group, memberId, data, to))
        return 0
      }
      case 'ended':
        this.#remove((row) => row.group !== null && row.eo === operation.eo)
        return 0
    }
  }

  keepNodes(lives: ReadonlySet<string>): void {
    this.#remove((row) => !lives.has(row.life))
  }

  #enter(memberId: number, of: string, credential: number): number {
    // Each node is at its last life only.
    for (const other of [...this.#came.keys()]) {
      if (other !== of && nodeOf(other) === memberId) {
        this.#came.delete(other)
        this.#out.delete(other)
      }
    }
    this.#out.delete(of)
    this.#came.set(of, credential)
    const known = this.members(null).find((row) => row.life === of)
    if (known !== undefined) {
      if (known.credential !== credential) {
        this.rows = this.rows.map((row) => (row === known ? { ...row, credential } : row))
        this.#next(null)
      }
      return 0
    }
    this.#remove((row) => row.group === null && row.memberId === memberId)
    this.#add({ group: null, memberId, life: of, eo: '', turn: 0, credential })
    return 0
  }

  #find(group: number, memberId: number): Row | undefined {
    return this.members(group).find((row) => row.memberId === memberId)
  }

  #add(row: Row): void {
    this.rows.push(row)
    this.#next(row.group)
  }

  #remove(isGone: (row: Row) => boolean): void {
    const gone = this.rows.filter(isGone)
    this.rows = this.rows.filter((row) => !isGone(row))
    for (const group of new Set(gone.map((row) => row.group))) this.#next(group)
    const isPreferredGone = gone.some(
      (row) => row.group === null && row.memberId === this.preferred,
    )
    if (isPreferredGone) this.preferred = null
  }

  #elect(): void {
    this.hasElected = true
    this.#next(null)
  }

  #next(group: number | null): void {
    this.views.set(group, (this.views.get(group) ?? 0) + 1)
  }
}

const textOf = (group: number, from: number, data: Uint8Array, to: Iterable<string>): string =>
  `${group} ${from} ${data.join()} ${[...to].sort().join()}`

const ejectionOf = (
  of: string,
  reason: string,
  leaver: string | null,
  lost: readonly { readonly eo: string; readonly turn: number }[],
): string => {
  const turns = lost.map(({ eo, turn }) => `${eo} ${turn}`).sort()
  return `${of} ${reason} ${leaver} ${turns.join()}`
}

const life = fc.constantFrom('n1.1', 'n1.2', 'n2.1', 'n3.1')
const nodeOf = (of: string): number => Number(of.charAt(1))
const group = fc.integer({ min: 1, max: 3 })
const memberId = fc.integer({ min: 1, max: 4 })
const program = fc.record({ life, name: fc.constantFrom('a', 'b') })
const eoOf = ({ life: of, name }: { life: string; name: string }): string => `${name}@${of}`

const operation: fc.Arbitrary<GroupOperation> = fc.oneof(
  {
    weight: 3,
    arbitrary: life.map((of) => {
      const nodeId = nodeOf(of)
      return { kind: 'nodeJoin' as const, life: of, nodeId, name: `node${nodeId}`, atMs: 0 }
    }),
  },
  fc.record({ life, credential: fc.integer({ min: 0, max: 2 }) }).map((of) => {
    const nodeId = nodeOf(of.life)
    return { ...of, kind: 'clusterJoin' as const, nodeId, name: `node${nodeId}`, atMs: 0 }
  }),
  fc
    .record({
      life,
      reason: fc.constantFrom('UNKNOWN' as const, 'API_REQUEST' as const),
      leaver: fc.option(fc.constant('a@n1.1')),
    })
    .map((of) => ({ ...of, nodeId: nodeOf(of.life), kind: 'clusterEject' as const })),
  fc.constant({ kind: 'bootElection' as const }),
  fc.record({
    kind: fc.constant('clusterElect' as const),
    preferred: fc.option(fc.integer({ min: 1, max: 3 })),
  }),
  fc.record({ kind: fc.constant('create' as const), name: fc.constantFrom('g', 'h', 'i') }),
  fc.record({ kind: fc.constant('destroy' as const), group }),
  {
    weight: 5,
    arbitrary: fc
      .record({
        program,
        group,
        memberId,
        credential: fc.integer({ min: 0, max: 2 }),
        turn: fc.nat(9),
      })
      .map(({ program: by, turn, ...rest }) => ({
        ...rest,
        kind: 'join' as const,
        owner: { life: by.life, eo: eoOf(by), turn },
        name: '',
        nodeId: nodeOf(by.life),
        port: 1,
        atMs: 0,
      })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ program, group, memberId })
      .map(({ program: by, ...rest }) => ({ ...rest, kind: 'leave' as const, eo: eoOf(by) })),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ program, group, memberId, data: fc.uint8Array({ maxLength: 2 }) })
      .map(({ program: by, ...rest }) => ({ ...rest, kind: 'send' as const, eo: eoOf(by) })),
  },
  program.map((by) => ({ kind: 'ended' as const, eo: eoOf(by) })),
)
const step = fc.oneof(
  { weight: 12, arbitrary: operation },
  { weight: 1, arbitrary: fc.constant('restore' as const) },
  {
    weight: 1,
    arbitrary: fc.subarray(['n1.1', 'n1.2', 'n2.1', 'n3.1']).map((lives) => ({ lives })),
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

/** Somebody who tracks with CHANGES_ONLY: knows members by what changed. */
class Tracker {
  readonly known = new Map<number | null, Map<number, number>>()
  readonly views = new Map<number | null, number>()

  take({ group: of, viewNumber, items }: GroupNotification): void {
    expect(viewNumber).toBe((this.views.get(of) ?? 0) + 1)
    this.views.set(of, viewNumber)
    const members = this.known.get(of) ?? new Map<number, number>()
    this.known.set(of, members)
    for (const { member, change } of items) {
      if (change === 'JOINED') members.set(member.memberId, member.initialViewNumber)
      else if (change === 'LEFT') members.delete(member.memberId)
    }
  }
}

it('groups are what a plain list of members says, whatever dies', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let groups = new GroupContent()
      const naive = new NaiveGroups()
      const tracker = new Tracker()
      for (const one of steps) {
        const before = groups.cluster.current()
        naive.messages = []
        naive.ejected = []
        if (one === 'restore') {
          // Another node, which gets the whole content.
          const content = groupsCodec.encode(groups.snapshot())
          groups = new GroupContent()
          groups.restore(groupsCodec.decode(content))
          groups.takeEffects()
        } else if ('lives' in one) {
          groups.keepNodes(new Set(one.lives))
          naive.keepNodes(new Set(one.lives))
        } else {
          const result = attempt(() => groups.apply(one))
          const expected = naive.apply(one)
          if (one.kind !== 'clusterElect' || expected !== 0) expect(result).toEqual(expected)
          else {
            // Its view, which is looked at below.
            const { viewNumber, leader } = groups.cluster.current()
            expect(result).toMatchObject({ group: null, viewNumber, leader })
          }
          // Refused while it has members.
          if (one.kind === 'destroy' && !naive.names.has(one.group))
            for (const map of [tracker.known, tracker.views]) map.delete(one.group)
        }
        const messages: string[] = []
        const ejected: string[] = []
        for (const effect of groups.takeEffects()) {
          if (effect.kind === 'view') tracker.take(effect.notification)
          else if (effect.kind === 'ejected') {
            const lost = effect.members.map(({ owner }) => owner)
            ejected.push(ejectionOf(effect.life, effect.reason, effect.leaver, lost))
          } else {
            const { group: of, from, data } = effect.message
            const to = [...effect.to].flatMap(([eo, turns]) => turns.map((turn) => `${eo} ${turn}`))
            messages.push(textOf(of, from, data, to))
          }
        }
        expect(messages).toEqual(naive.messages)
        expect(ejected).toEqual(naive.ejected)
        expect(groups.groups().map((info) => [info.group, info.name])).toEqual([...naive.names])
        for (const of of [null, ...naive.names.keys()]) {
          const view = groups.view(of).current()
          const members = view.items.map(({ member }) => member)
          expect(members.map((member) => member.memberId)).toEqual(
            naive.members(of).map((row) => row.memberId),
          )
          expect(view.viewNumber).toBe(naive.views.get(of))
          const known = members.map((member) => [member.memberId, member.initialViewNumber])
          expect(new Map(known as [number, number][])).toEqual(tracker.known.get(of) ?? new Map())
          checkLeader(view, of === null ? naive : null)
        }
        checkChange(before, groups.cluster.current(), naive.preferred)
      }
    }),
    { numRuns: 100 },
  )
})

/** Somebody leads whenever somebody may; nobody else does. */
function checkLeader(
  { items, leader, deputy }: GroupNotification,
  cluster: NaiveGroups | null,
): void {
  const eligible = items.filter(({ member }) => member.credential > 0)
  const ids = eligible.map(({ member }) => member.memberId)
  if (cluster !== null && !cluster.hasElected) {
    expect([leader, deputy]).toEqual([null, null])
    return
  }
  expect([leader !== null, deputy !== null]).toEqual([ids.length > 0, ids.length > 1])
  for (const id of [leader, deputy]) if (id !== null) expect(ids).toContain(id)
  if (leader !== null) expect(leader).not.toBe(deputy)
  for (const { member } of items) expect(member.isCurrentLeader).toBe(member.memberId === leader)
  const preferred = cluster?.preferred ?? null
  if (preferred !== null && ids.includes(preferred)) expect(leader).toBe(preferred)
}

/** A leader that stays leads on, unless another one is preferred. */
function checkChange(
  before: GroupNotification,
  now: GroupNotification,
  preferred: number | null,
): void {
  if (before.leader === now.leader || before.leader === null) return
  const bornOn = ({ items }: GroupNotification): number | undefined =>
    items.find(({ member }) => member.memberId === before.leader && member.credential > 0)?.member
      .initialViewNumber
  const isStill = bornOn(now) !== undefined && bornOn(now) === bornOn(before)
  if (isStill) expect(now.leader).toBe(preferred)
}
