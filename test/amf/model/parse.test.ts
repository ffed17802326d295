import { describe, expect, it } from 'vitest'
import { isSdkError } from '../../../idl/index.ts'
import { parseModel } from '../../../amf/model/parse.ts'
import type { Model } from '../../../amf/model/model.ts'

const SAMPLE = `
cluster: sequence
nodes: { node1: {}, node2: {} }
componentTypes:
  sequence:
    run: ./component.js                      # or command: [program, arg, ...]
    healthCheck: { periodMs: 500, timeoutMs: 2000 }
    recovery: componentFailover              # the default for a process that dies while ACTIVE with a STANDBY present
serviceGroups:
  sequenceSG:
    redundancy: 2N
    serviceUnits:
      sequenceSU1: { node: node1, components: { sequence1: sequence } }
      sequenceSU2: { node: node2, components: { sequence2: sequence } }
    serviceInstances:
      sequenceSI: { csis: { sequenceCSI: { name: sequence, attributes: { start: 1 } } } }
`

function parse(text: string, files: readonly string[] = ['/m/component.js']): Model {
  return parseModel(text, {
    path: '/m/cluster.yaml',
    cliPath: '/pkg/dist/amf/cli/main.js',
    nodePath: '/bin/node',
    fileExists: (path) => files.includes(path),
  })
}

function problemsOf(text: string, files?: readonly string[]): readonly string[] {
  try {
    parse(text, files)
  } catch (error) {
    expect(isSdkError(error, 'INVALID_PARAMETER')).toBe(true)
    return (error as { context: { problems: readonly string[] } }).context.problems
  }
  return []
}

describe('the sample as the design prints it', () => {
  const model = parse(SAMPLE)

  it('has its entities under their names', () => {
    expect([...model.nodes.values()].map(({ name, id }) => [name, id])).toEqual([
      ['node1', 1],
      ['node2', 2],
    ])
    expect([...model.serviceUnits.keys()]).toEqual(['sequenceSU1', 'sequenceSU2'])
    expect([...model.components.keys()]).toEqual(['sequence1', 'sequence2'])
    expect(model.csis.get('sequenceCSI')).toMatchObject({
      logicalName: 'sequence',
      csType: 'sequenceCSI',
      serviceInstance: 'sequenceSI',
      attributes: { start: ['1'] },
    })
    expect(model.warnings).toEqual([])
  })

  it('launches modules through the CLI and takes hung from the health check', () => {
    expect(model.components.get('sequence1')).toMatchObject({
      instantiate: {
        argv: ['/bin/node', '/pkg/dist/amf/cli/main.js', 'component', '/m/component.js'],
        timeoutMs: 10_000,
      },
      workingDir: '/m',
      hungMs: 2_000,
      busyMs: 200,
      busyHoldMs: 1_000,
      recovery: 'componentFailover',
      node: 'node1',
      serviceGroup: 'sequenceSG',
    })
  })

  it('is frozen', () => {
    expect(Object.isFrozen(model)).toBe(true)
    expect(Object.isFrozen(model.csis.get('sequenceCSI')?.attributes)).toBe(true)
  })
})

describe('run:', () => {
  const lookups: [string, string, string[], string][] = [
    [
      'beside the model',
      './component.js',
      ['/m/component.js', '/m/dist/component.js'],
      '/m/component.js',
    ],
    [
      'in the build output of the nearest package',
      './component.ts',
      ['/package.json', '/dist/m/component.js'],
      '/dist/m/component.js',
    ],
    [
      'in the build output, written as .js',
      'component.js',
      ['/m/package.json', '/m/dist/component.js'],
      '/m/dist/component.js',
    ],
  ]
  it.each(lookups)('is found %s', (_, run, files, expected) => {
    const model = parse(SAMPLE.replace('./component.js', run), files)
    expect(model.components.get('sequence1')?.instantiate.argv[3]).toBe(expected)
  })

  it('names both places when missing', () => {
    const [first] = problemsOf(SAMPLE, ['/package.json'])
    expect(first).toContain('/m/component.js and /dist/m/component.js')
    expect(first).toMatch(
      /^line 13: serviceGroups\.sequenceSG\.serviceUnits\.sequenceSU1\.components\.sequence1: /,
    )
  })
})

describe('mistakes', () => {
  const mistakes: [string, string, string, string][] = [
    [
      'an unknown key',
      'redundancy: 2N',
      'redundnacy: 2N',
      'line 11: serviceGroups.sequenceSG.redundnacy: unknown key; did you mean "redundancy"?',
    ],
    [
      'a wrong choice',
      'redundancy: 2N',
      'redundancy: 3N',
      'line 11: serviceGroups.sequenceSG.redundancy: must be one of 2N, N+M',
    ],
    [
      'an unknown node',
      'node: node1',
      'node: nod1',
      'serviceUnits.sequenceSU1.node: unknown node "nod1"; did you mean "node1"?',
    ],
    [
      'an unknown type',
      'sequence1: sequence ',
      'sequence1: sequenze ',
      'unknown component type "sequenze"; did you mean "sequence"?',
    ],
    [
      'a name used twice',
      'sequenceCSI:',
      'sequenceSI:',
      'the name "sequenceSI" is taken by service instance sequenceSI',
    ],
    ['a repeated key', 'sequenceSU2:', 'sequenceSU1:', 'line 14: Map keys must be unique'],
    [
      'a wrong type',
      'periodMs: 500',
      'periodMs: fast',
      'line 7: componentTypes.sequence.healthCheck.periodMs: expected number',
    ],
    [
      'an out of range number',
      'periodMs: 500',
      'periodMs: 1',
      'componentTypes.sequence.healthCheck.periodMs: Too small',
    ],
    ['a missing part', 'cluster: sequence', '', 'cluster: missing'],
    ['a bad name', 'cluster: sequence', 'cluster: "a b"', 'line 2: cluster: a name is 1 to 64'],
    [
      'two programs',
      'run: ./component.js',
      'run: ./component.js\n    command: [x]',
      'has both run and command',
    ],
    ['no program', 'run: ./component.js', 'env: {}', 'nothing to start'],
    [
      'a CSI that needs itself',
      'attributes: { start: 1 }',
      'dependsOn: [sequenceCSI]',
      'depends on itself: sequenceCSI -> sequenceCSI',
    ],
    [
      'an unknown sponsor',
      'csis: {',
      'dependsOn: [sequenceSU], csis: {',
      'unknown service instance "sequenceSU"; did you mean "sequenceSI"?',
    ],
    [
      'a reserved logical name',
      'name: sequence,',
      'name: amf,',
      'the logical name "@amf" is taken by the director',
    ],
    [
      'a key of a component',
      'sequence1: sequence ',
      'sequence1: { type: sequence, recovry: x } ',
      'recovry: unknown key; did you mean "recovery"?',
    ],
    [
      'too few in service',
      'redundancy: 2N',
      'redundancy: 2N\n    preferredInServiceSUs: 1',
      '2N needs 2 service units',
    ],
    ['broken YAML', 'nodes: {', 'nodes: {{', 'line 4: Flow map'],
  ]
  it.each(mistakes)('%s', (_, from, to, expected) => {
    const problems = problemsOf(SAMPLE.replace(from, to))
    expect(problems.join('\n')).toContain(expected)
  })

  it('are all reported at once', () => {
    const text = SAMPLE.replace('node: node1', 'node: x1')
      .replace('node: node2', 'node: y2')
      .replace('1: seq', '1: req')
    expect(problemsOf(text)).toHaveLength(3)
  })

  it('tells what a document of the wrong shape is', () => {
    expect(problemsOf('[]').join()).toContain('the document')
    expect(problemsOf('').join()).toContain('the document')
  })
})

describe('warnings', () => {
  const odd: [string, string, string][] = [
    ['node: node2', 'node: node1', 'every service unit is on node node1'],
    ['timeoutMs: 2000', 'timeoutMs: 100', 'busy would look like hung'],
    ['cluster: sequence', 'cluster: sequence\ntiming: { nodeSilenceMs: 200 }', 'loses nodes'],
  ]
  it.each(odd)('%s -> %s', (from, to, expected) => {
    expect(parse(SAMPLE.replace(from, to)).warnings.join('\n')).toContain(expected)
  })
})
