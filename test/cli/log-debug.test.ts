import { describe, expect, it } from 'vitest'
import type { ClusterStatus } from '../../amf/director/interface.ts'
import { componentsOf } from '../../amf/operator/components.ts'
import { runCommandLine } from '../../amf/cli/program.ts'

const unit = (name: string, node: string, ...components: readonly [string, string | null][]) => ({
  name,
  node,
  readiness: 'IN_SERVICE',
  presence: 'INSTANTIATED',
  adminState: 'UNLOCKED',
  components: components.map(([component, address]) => ({ name: component, pid: 1, address })),
})

const assigned = (...units: readonly string[]) =>
  units.map((serviceUnit) => ({ serviceUnit, node: '', haState: 'ACTIVE', components: [] }))

const status = {
  nodes: ['n1', 'n2', 'n3'].map((name) => ({ name, state: 'ENABLED', adminState: 'UNLOCKED' })),
  serviceUnits: [
    unit('su1', 'n1', ['a', '1:130'], ['b', '1:131']),
    unit('su2', 'n2', ['c', '2:130'], ['d', null]),
  ],
  serviceInstances: [
    { name: 'si', assignments: assigned('su2') },
    { name: 'idle', assignments: [] },
  ],
} as unknown as ClusterStatus

describe('components that are meant', () => {
  it.each([
    ['everything', null, ['a', 'b', 'c']],
    ['a component', 'b', ['b']],
    ['a service unit', 'su1', ['a', 'b']],
    ['a service instance', 'si', ['c']],
    ['a node', 'n2', ['c']],
  ])('by %s', (_, entity, names) => {
    expect(componentsOf(status, entity).map(({ name }) => name)).toEqual(names)
  })

  it.each([
    ['nothing of that name', 'x', 'NOT_EXIST'],
    ['a component that does not run', 'd', 'INVALID_STATE'],
    ['a node without components', 'n3', 'INVALID_STATE'],
    ['an instance that nobody has', 'idle', 'INVALID_STATE'],
  ])('not by %s', (_, entity, code) => {
    expect(() => componentsOf(status, entity)).toThrow(expect.objectContaining({ code }))
  })
})

describe('holdfast log', () => {
  it.each([
    ['--all without a level', ['log', '--all']],
    ['--all with --follow', ['log', '--all', '--level', 'info', '--follow']],
    ['--all and an entity', ['log', 'a', '--all', '--level', 'info']],
    ['a level that is none', ['log', 'a', '--level', 'loud']],
    ['lines that are no number', ['log', '--lines', 'few']],
  ])('is used wrongly with %s', async (_, words) => {
    let stderr = ''
    const code = await runCommandLine(words, {
      env: { HOLDFAST_RUN_DIR: '/nowhere' },
      stdout: () => undefined,
      stderr: (text) => void (stderr += text),
      isTerminal: false,
      signal: new AbortController().signal,
    })
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^holdfast: USAGE: /)])
  })
})
