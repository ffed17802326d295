import { describe, expect, it } from 'vitest'
import { isSdkError } from '../../../idl/index.ts'
import { modelOf } from '../engine/models.ts'

const text = (parts: { group?: string; units: string; top?: string }): string => `
cluster: c
nodes: { N1: {}, N2: {}, N10: {} }
nodeGroups: { left: [N10, N2], right: [N1] }
${parts.top ?? ''}
componentTypes: { T: { command: [/bin/true] } }
serviceGroups:
  SG:
    redundancy: N-way
    ${parts.group ?? ''}
    serviceUnits: ${parts.units}
    serviceInstances: { SI: { csis: { I: {} } } }
`

function problemsOf(model: string): string {
  try {
    modelOf(model)
  } catch (error) {
    expect(isSdkError(error, 'INVALID_PARAMETER')).toBe(true)
    return (error as Error).message
  }
  return ''
}

describe('node of a service unit', () => {
  it.each([
    ['its own', '{ A: { node: N1, components: { a: T } } }', '', ['N1']],
    [
      'the first of its node group, by name with numbers as numbers',
      '{ A: { nodeGroup: left, components: { a: T } } }',
      '',
      ['N2'],
    ],
    [
      'one that hosts no other unit of the group; the first when there is none',
      '{ A: { components: { a: T } }, B: { components: { b: T } }, C: { components: { c: T } } }',
      'nodeGroup: left',
      ['N2', 'N10', 'N2'],
    ],
    [
      'not one that another unit names',
      '{ A: { components: { a: T } }, B: { node: N2, components: { b: T } } }',
      'nodeGroup: left',
      ['N10', 'N2'],
    ],
    [
      'of its own node group rather than the service group’s',
      '{ A: { nodeGroup: right, components: { a: T } } }',
      'nodeGroup: left',
      ['N1'],
    ],
  ])('%s', (_, units, group, nodes) => {
    const model = modelOf(text({ units, group }))
    expect([...model.serviceUnits.values()].map((unit) => unit.node)).toEqual(nodes)
    expect([...model.components.values()].map((component) => component.node)).toEqual(nodes)
  })

  it.each([
    ['{ A: { components: { a: T } } }', 'A.node: missing; name a node, or a nodeGroup'],
    ['{ A: { nodeGroup: lift, components: { a: T } } }', 'unknown node group "lift"; did you mean'],
    ['{ A: { node: N1, nodeGroup: left, components: { a: T } } }', 'has both node and nodeGroup'],
  ])('%s is refused', (units, message) => {
    expect(problemsOf(text({ units }))).toContain(message)
  })

  it('a node group names nodes that exist, under a name of its own', () => {
    const units = '{ A: { node: N1, components: { a: T } } }'
    const top = (groups: string): string =>
      text({ units }).replace(/nodeGroups: .*/, `nodeGroups: ${groups}`)
    expect(problemsOf(top('{ g: [N3] }'))).toContain('nodeGroups.g[0]: unknown node "N3"')
    expect(problemsOf(top('{ A: [N1] }'))).toContain('the name "A" is taken by node group A')
    expect(problemsOf(top('{ g: [] }'))).toContain('nodeGroups.g')
  })
})

describe('applications', () => {
  const units = '{ A: { node: N1, components: { a: T } } }'

  it('are those that are declared and those that groups name', () => {
    const top = 'applications: { shop: { adminState: LOCKED } }'
    const model = modelOf(text({ units, group: 'application: shop', top }))
    expect([...model.applications.values()]).toEqual([{ name: 'shop', adminState: 'LOCKED' }])
    expect([...modelOf(text({ units })).applications.keys()]).toEqual(['c'])
  })

  it('warn when operators cannot mean them', () => {
    const model = modelOf(text({ units, group: 'application: A', top: 'applications: { x: }' }))
    expect(model.warnings.join()).toContain('operators mean service unit A by "A"')
    expect(model.warnings.join()).toContain('applications.x: no service group names it')
  })
})
