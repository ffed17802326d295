import { describe, expect, test } from 'vitest'
import type { CsiBinding } from '../../runtime/eo/client-table.ts'
import { Parking } from '../../runtime/eo/parking.ts'
import { RoleTable, type RoleState } from '../../runtime/eo/role-table.ts'

const bound: CsiBinding = { kind: 'csi', csi: 'a' }
const any: CsiBinding = { kind: 'any' }

function table(...roles: [string, RoleState, number][]): RoleTable {
  const roleTable = new RoleTable()
  for (const [csi, state, epoch] of roles) roleTable.set(csi, state, epoch)
  return roleTable
}

describe('admission by role', () => {
  test.each<[string, [string, RoleState, number][], CsiBinding, string]>([
    ['unassigned waits', [], bound, 'park'],
    ['standby waits', [['a', 'STANDBY', 1]], bound, 'park'],
    ['promoting waits', [['a', 'promoting', 2]], bound, 'park'],
    ['active runs', [['a', 'ACTIVE', 2]], bound, 'run 2 a'],
    ['quiescing refuses', [['a', 'QUIESCING', 2]], bound, 'refuse'],
    ['quiesced refuses', [['a', 'QUIESCED', 2]], bound, 'refuse'],
    ['another CSI does not help', [['b', 'ACTIVE', 2]], bound, 'park'],
    ['any: nothing assigned yet', [], any, 'park'],
    ['any: the one active', [['a', 'ACTIVE', 5]], any, 'run 5 a'],
    [
      'any: active beside standby',
      [
        ['b', 'STANDBY', 1],
        ['a', 'ACTIVE', 5],
      ],
      any,
      'run 5 a',
    ],
    [
      'any: several carry no epoch',
      [
        ['a', 'ACTIVE', 5],
        ['b', 'ACTIVE', 7],
      ],
      any,
      'run 0 a',
    ],
    ['any: all given up', [['a', 'QUIESCED', 5]], any, 'refuse'],
    [
      'any: one given up, one may come',
      [
        ['a', 'QUIESCED', 5],
        ['b', 'STANDBY', 5],
      ],
      any,
      'park',
    ],
    ['none: always', [['a', 'QUIESCED', 5]], { kind: 'none' }, 'run 0 null'],
  ])('%s', (_, roles, binding, expected) => {
    const admission = table(...roles).admit(binding)
    const text =
      admission.kind === 'run' ? `run ${admission.epoch} ${admission.csi}` : admission.kind
    expect(text).toBe(expected)
  })

  test('while promoting, the HA state is the one before', () => {
    const roles = new RoleTable()
    roles.set('a', 'promoting', 3)
    expect(roles.haState('a')).toBeNull()
    roles.set('a', 'STANDBY', 3)
    roles.set('a', 'promoting', 4)
    expect(roles.haState('a')).toBe('STANDBY')
    expect(roles.epoch()).toBe(0)
    roles.set('a', 'ACTIVE', 4)
    expect(roles.haState('a')).toBe('ACTIVE')
    expect(roles.epoch()).toBe(4)
    roles.set('a', null, 0)
    expect(roles.csis()).toEqual([])
  })
})

test('parking is bounded and keeps the order', () => {
  const parking = new Parking<number>(3)
  expect([1, 2, 3, 4].map((call) => parking.park(call, call * 10, 0))).toEqual([
    true,
    true,
    true,
    false,
  ])
  expect(parking.take((p) => p.deadlineMs <= 20)).toEqual([1, 2])
  expect(parking.count).toBe(1)
  expect(parking.take(() => true)).toEqual([3])
})
