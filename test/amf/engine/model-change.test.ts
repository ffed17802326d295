import { describe, expect, it } from 'vitest'
import { checkChange } from '../../../amf/engine/engine.ts'
import { changeLines, compareModels } from '../../../amf/model/change.ts'
import { pathText } from '../../../amf/model/problem.ts'
import { modelOf } from './models.ts'
import { World } from './world.ts'

const TEXT = `
cluster: test
nodes: { N1: {}, N2: {}, N3: {} }
componentTypes: { T: { command: [/bin/true] } }
serviceGroups:
  G:
    redundancy: 2N
    serviceUnits:
      SU1: { rank: 1, node: N1, components: { C1: T } }
      SU2: { rank: 2, node: N2, components: { C2: T } }
    serviceInstances:
      SI1: { csis: { I1: {} } }
  H:
    redundancy: 2N
    serviceUnits:
      SU3: { rank: 1, node: N2, components: { C3: T } }
      SU4: { rank: 2, node: N1, components: { C4: T } }
    serviceInstances:
      SI2: { csis: { I2: {} } }
`

/** The text with one part replaced, which must be there. */
function edit(from: string, to: string, text = TEXT): string {
  if (!text.includes(from)) throw new Error(`nothing to edit: ${from}`)
  return text.replace(from, to)
}

const SU2 = '      SU2: { rank: 2, node: N2, components: { C2: T } }\n'
const SU5 = '      SU5: { rank: 3, node: N3, components: { C5: T } }\n'
const ADDED = edit(SU2, SU2 + SU5)
const REMOVED = edit(SU2, '')

function started(text = TEXT): World {
  const world = new World(modelOf(text))
  world.startDirector()
  for (const node of world.model.nodes.keys()) world.join(node)
  world.settle()
  return world
}

function problemsOf(world: World, text: string): string[] {
  const { problems } = checkChange(world.model, world.state, modelOf(text))
  return problems.map(({ path, message }) => `${pathText(path)}: ${message}`)
}

function down(world: World, unit: string): void {
  for (const operation of ['lock', 'lock-instantiation'] as const) {
    world.admin(operation, unit)
    world.settle()
  }
}

/** Defaults that follow the number of units. */
const DERIVED = '~ serviceGroups.G: preferredInServiceSUs, preferredAssignedSUs'

describe('what differs', () => {
  it.each([
    ['nothing', TEXT, []],
    ['comments only', `${TEXT}# more\n`, []],
    [
      'a unit more',
      ADDED,
      [
        '+ serviceGroups.G.serviceUnits.SU5',
        '+ serviceGroups.G.serviceUnits.SU5.components.C5',
        DERIVED,
      ],
    ],
    [
      'a unit less',
      REMOVED,
      [
        '- serviceGroups.G.serviceUnits.SU2',
        '- serviceGroups.G.serviceUnits.SU2.components.C2',
        DERIVED,
      ],
    ],
    [
      'a unit elsewhere',
      edit('SU2: { rank: 2, node: N2', 'SU2: { rank: 2, node: N3'),
      [
        '~ serviceGroups.G.serviceUnits.SU2: node',
        '~ serviceGroups.G.serviceUnits.SU2.components.C2: node',
      ],
    ],
    ['a start-up time', `startupTimeoutMs: 7\n${TEXT}`, ['~ startupTimeoutMs']],
  ])('%s', (_, text, lines) => {
    expect(changeLines(compareModels(modelOf(TEXT), modelOf(text)))).toEqual(lines)
  })
})

describe('refused', () => {
  it.each([
    ['another cluster', edit('cluster: test', 'cluster: best'), /^cluster: .*"test"/],
    ['another number', edit('N2: {}', 'N2: { id: 9 }'), /^nodes\.N2\.id: .*write id: 2/],
    [
      'a number that was taken',
      edit('N3: {}', 'N4: { id: 3 }'),
      /^nodes\.N4\.id: its number was that of N3/,
    ],
    [
      'another redundancy model',
      edit('redundancy: 2N', 'redundancy: N-way'),
      /^serviceGroups\.G\.redundancy: fixed/,
    ],
    [
      'times that make nodes take each other for dead',
      `timing: { beatMs: 1000, nodeSilenceMs: 9000 }\n${TEXT}`,
      /^timing: .*smaller steps/,
    ],
    ['a unit in service', REMOVED, /SU2: cannot be removed: SU2 is UNLOCKED; .*lock-instantiation/],
    [
      'a unit in service that moves',
      edit('SU2: { rank: 2, node: N2', 'SU2: { rank: 2, node: N3'),
      /SU2\.node: cannot change: SU2 is UNLOCKED/,
    ],
    [
      'a component more in a unit in service',
      edit('{ C2: T }', '{ C2: T, C6: T }'),
      /components\.C6: cannot be added: SU2 is UNLOCKED/,
    ],
    [
      'an instance that is served',
      edit('      SI1: { csis: { I1: {} } }', '      SI9: { csis: { I9: {} } }'),
      /serviceInstances\.SI1: SI1 is UNLOCKED .*"holdfast lock SI1" first/,
    ],
    [
      'a CSI more in a served instance',
      edit('{ I1: {} }', '{ I1: {}, I7: {} }'),
      /csis\.I7: SI1 is UNLOCKED/,
    ],
    [
      'another logical name of a served CSI',
      edit('I1: {}', 'I1: { name: other }'),
      /csis\.I1: SI1 is UNLOCKED/,
    ],
    [
      'capabilities in use',
      edit('C2: T', 'C2: { type: T, csTypes: { I1: { maxStandby: 0 } } }'),
      /C2\.csTypes: SU2 has work/,
    ],
    [
      'a sponsor that nobody serves',
      edit(
        'SI2: { csis: { I2: {} } }',
        'SI2: { dependsOn: [SI8], csis: { I2: {} } }\n      SI8: { csis: { I8: {} } }',
      ),
      /serviceInstances\.SI2: SI2 is UNLOCKED/,
    ],
  ])('%s', (_, text, message) => {
    const world = started()
    const problems = problemsOf(world, text)
    expect(problems.join('\n')).toMatch(message)
    const before = structuredClone(world.state)
    const id = world.changeModel(modelOf(text))
    expect(world.results.get(id)).toMatchObject({ ok: false, code: 'BAD_OPERATION' })
    expect(structuredClone(world.state)).toEqual(before)
  })

  it('limits below what is in use', () => {
    const group = '    redundancy: N+M\n    maxActiveSIsPerSU: 2\n'
    const two = edit(
      '      SI1: { csis: { I1: {} } }',
      '      SI1: { csis: { I1: {} } }\n      SI9: { csis: { I9: {} } }',
    )
    const text = edit('    redundancy: 2N\n', `${group}    preferredActiveSUs: 1\n`, two)
    const world = started(text)
    const lower = edit('maxActiveSIsPerSU: 2', 'maxActiveSIsPerSU: 1', text)
    expect(problemsOf(world, lower).join()).toMatch(/maxActiveSIsPerSU: 2 are in use/)
    world.admin('lock', 'G')
    world.settle()
    expect(problemsOf(world, lower)).toEqual([])
  })

  it('the last node that holds everything', () => {
    const world = started()
    world.inSync('I1', 'N2', true)
    world.inSync('I1', 'N2', false)
    down(world, 'SU1')
    expect(problemsOf(world, edit(/ {6}SU1.*\n/.exec(TEXT)?.[0] ?? '', '')).join()).toMatch(
      /what was acknowledged is only on N1/,
    )
  })

  it('for now, while a node of the group was not heard of', () => {
    const world = started()
    down(world, 'SU2')
    world.nodesUp.delete('N1')
    world.startDirector()
    const id = world.changeModel(modelOf(REMOVED))
    expect(world.results.get(id)).toMatchObject({ ok: false, code: 'TRY_AGAIN' })
  })
})

describe('taken', () => {
  it('leaves every other entity as it is', () => {
    const world = started()
    const [g, h] = world.state.groups
    const sent = world.log.length
    const id = world.changeModel(modelOf(ADDED))
    expect(world.results.get(id)).toEqual({ ok: true })
    // A group without a change is the very same value; in the other one what was there is as it was.
    expect(world.state.groups[1]).toBe(h)
    for (const name of ['SU1', 'SU2']) {
      expect(world.state.groups[0]?.units.get(name)).toEqual(g?.units.get(name))
    }
    for (const name of ['C1', 'C2']) {
      expect(world.state.groups[0]?.components.get(name)).toEqual(g?.components.get(name))
    }
    expect(world.state.groups[0]?.csis).toEqual(g?.csis)
    world.settle()
    expect(world.log.slice(sent)).toEqual(['answer apply: ok', 'instantiate C5'])
  })

  it('starts and uses what was added', () => {
    const world = started()
    const group = edit(
      '    redundancy: 2N\n',
      '    redundancy: 2N\n    preferredInServiceSUs: 3\n',
      ADDED,
    )
    world.changeModel(modelOf(group))
    world.settle()
    expect(world.stateOf('SU5')).toMatchObject({ readiness: 'IN_SERVICE' })
    world.nodeFails('N1')
    world.nodeFails('N2')
    world.settle()
    expect(world.stateOf('SI1')).toMatchObject({ assignment: 'PARTIALLY_ASSIGNED' })
  })

  it('adds a node, groups and instances at once, and removes them again', () => {
    const world = started()
    const bigger = edit('N3: {} }', 'N3: {}, N4: {} }').concat(`
  K:
    redundancy: N-way-active
    serviceUnits:
      SU6: { node: N4, components: { C6: T } }
      SU7: { node: N1, components: { C7: T } }
    serviceInstances:
      SI6: { preferredActive: 2, csis: { I6: {} } }
`)
    world.changeModel(modelOf(bigger))
    world.settle()
    expect(world.stateOf('SU6')).toMatchObject({ presence: 'UNINSTANTIATED' })
    world.join('N4')
    world.settle()
    expect(world.stateOf('SI6')).toMatchObject({ assignment: 'FULLY_ASSIGNED' })
    world.admin('lock', 'K')
    world.settle()
    world.admin('lock-instantiation', 'K')
    world.settle()
    const id = world.changeModel(modelOf(TEXT))
    expect(world.results.get(id)).toEqual({ ok: true })
    expect([...world.store.keys()].filter((key) => key.endsWith('/K'))).toEqual([])
    world.startDirector()
    world.settle()
    expect(world.stateOf('SI1')).toMatchObject({ assignment: 'FULLY_ASSIGNED' })
  })

  it('forgets the alarms of what leaves', () => {
    const world = started(ADDED)
    down(world, 'SU5')
    world.admin('unlock-instantiation', 'SU5')
    world.startFails('C5')
    world.settle()
    expect(world.store.get('alarm/C5/INSTANTIATION_FAILED')).toBe(true)
    world.admin('lock-instantiation', 'SU5')
    world.settle()
    expect(problemsOf(world, TEXT)).toEqual([])
    world.changeModel(modelOf(TEXT))
    expect(world.log.filter((line) => line.startsWith('alarmCleared C5'))).toEqual([
      'alarmCleared C5 removed',
    ])
    expect([...world.store.keys()].filter((key) => key.startsWith('alarm/'))).toEqual([])
    world.changeModel(modelOf(ADDED))
    world.startDirector()
    world.settle()
    expect(world.state.groups.flatMap(({ alarms }) => [...alarms.keys()])).toEqual([])
  })

  it('keeps what guards the data of a CSI that leaves and comes back', () => {
    const world = started()
    world.inSync('I1', 'N2', true)
    world.inSync('I1', 'N2', false)
    const { epoch } = world.csiState('I1')
    world.admin('lock', 'SI1')
    world.settle()
    world.changeModel(modelOf(edit('    serviceInstances:\n      SI1: { csis: { I1: {} } }\n', '')))
    expect(world.stateOf('SI1')).toBeUndefined()
    world.changeModel(modelOf(TEXT))
    world.settle()
    expect(world.csiState('I1').inSync).toEqual(['N1'])
    expect(world.csiState('I1').epoch).toBeGreaterThan(epoch)
    expect(world.stateOf('SI1')).toMatchObject({ administrative: 'UNLOCKED' })
  })

  it('takes a removed node out of the sets of those in sync', () => {
    const world = started(ADDED)
    world.inSync('I1', 'N2', true)
    down(world, 'SU2')
    world.inSync('I1', 'N3', true)
    const noSu3 = edit(
      '      SU3: { rank: 1, node: N2,',
      '      SU3: { rank: 1, node: N3,',
      edit(SU2, '', ADDED),
    )
    const without = edit('N2: {}, N3: {}', 'N3: { id: 3 }', noSu3)
    expect(problemsOf(world, without).join()).toMatch(/SU3/)
    down(world, 'SU3')
    expect(problemsOf(world, without)).toEqual([])
    const id = world.changeModel(modelOf(without))
    expect(world.results.get(id)).toEqual({ ok: true })
    expect(world.csiState('I1').inSync).toEqual(['N1', 'N3'])
    expect(world.store.get('insync/I1')).toEqual(['N1', 'N3'])
  })

  it('is in force for the next director when this one dies over it', () => {
    const world = started()
    world.crashing = true
    world.changeModel(modelOf(ADDED))
    world.crashing = false
    world.startDirector()
    world.join('N3')
    world.settle()
    expect(world.model.serviceUnits.has('SU5')).toBe(true)
    expect(world.stateOf('SI1')).toMatchObject({ assignment: 'FULLY_ASSIGNED' })
  })
})
