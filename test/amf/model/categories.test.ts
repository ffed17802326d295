import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { modelOf } from '../engine/models.ts'

/** One component beside a proxy and a container, and what is wrong with it. */
function problems(component: string, group = '', unit = 'node: node1, '): readonly string[] {
  try {
    modelOf(`
cluster: categories
nodes: { node1: {}, node2: {} }
componentTypes:
  tested: { ${component} }
serviceGroups:
  proxySG:
    redundancy: 2N
    serviceUnits:
      proxySU: { node: node1, components: { proxy: { command: [/p] } } }
    serviceInstances: { proxySI: { csis: { proxyCSI: {} } } }
  containerSG:
    redundancy: 2N
    serviceUnits:
      containerSU: { node: node1, components: { box: { category: container, command: [/p] } } }
    serviceInstances: { containerSI: { csis: { containerCSI: {} } } }
  testedSG:
    ${group === '' ? 'redundancy: no-redundancy' : group}
    serviceUnits:
      testedSU: { ${unit}components: { tested1: tested } }
    serviceInstances: { testedSI: { csis: { testedCSI: {} } }, otherSI: { csis: { otherCSI: {} } } }
`)
    return []
  } catch (error) {
    return (error as { context: { problems: readonly string[] } }).context.problems
  }
}

const daemon = 'category: nonSaAware, instantiate: { command: [/i] }'
const ends = 'terminate: { command: [/t] }, cleanup: { command: [/c] }'
const proxied = 'category: proxied, proxied: { csi: proxyCSI }'
const contained = 'category: contained, contained: { csi: containerCSI }'

describe('what each category may be', () => {
  it.each([
    ['a program in the foreground', 'category: nonSaAware, command: [/p]'],
    ['one with every command', `category: nonSaAware, command: [/p], ${ends}`],
    ['a daemon with a pid file', `${daemon}, ${ends}, pidFile: /run/x.pid`],
    ['a daemon with a check', `${daemon}, ${ends}, healthCheck: { command: [/h] }`],
    ['a proxied component', proxied],
    ['a contained component', contained],
    ['an external monitor', 'command: [/p], amStart: { command: [/a] }, amStop: { command: [/b] }'],
  ])('%s', (_, component) => {
    expect(problems(component)).toEqual([])
  })

  it.each([
    ['category: nonSaAware', 'nothing to start; give "command'],
    ['category: saAware', 'nothing to start; give "run'],
    ['category: nonSaAware, run: ./x.js', 'run: is for category saAware, container'],
    ['command: [/p], terminate: { command: [/t] }', 'terminate: is for category nonSaAware'],
    ['command: [/p], pidFile: /run/x', 'pidFile: is for category nonSaAware'],
    ['command: [/p], proxied: { csi: proxyCSI }', 'proxied: is for category proxied'],
    ['category: nonSaAware, command: [/p], pidFile: /x', 'pidFile: goes with "instantiate"'],
    ['category: nonSaAware, command: [/p], healthCheck: {}', 'healthCheck: a program without'],
    [`${daemon}, pidFile: /x`, 'give a "terminate" command as well'],
    [`${daemon}, pidFile: /x`, 'give a "cleanup" command as well'],
    ['category: proxied', 'needs "proxied: { csi: NAME }"'],
    ['category: contained', 'needs "contained: { csi: NAME }"'],
    [`${proxied}, command: [/p]`, 'command: is for category saAware'],
    [`${proxied}, healthCheck: { command: [/h] }`, 'healthCheck: is by callback'],
    ['category: proxied, proxied: { csi: proxyCIS }', 'unknown CSI "proxyCIS"; did you mean'],
    ['category: proxied, proxied: { csi: testedCSI }', 'is protected by testedSG itself'],
    ['category: contained, contained: { csi: proxyCSI }', 'it has to be container'],
  ])('%s: %s', (component, message) => {
    expect(problems(component).join('\n')).toContain(message)
  })
})

describe('where and how it is protected', () => {
  const npi = 'category: nonSaAware, command: [/p]'
  it.each([
    ['2N takes one instance of it', npi, 'redundancy: 2N', '', '2N gives every service instance'],
    ['N-way refuses it', npi, 'redundancy: N-way', '', 'N-way needs components'],
    [
      'one instance a unit',
      npi,
      'maxActiveSIsPerSU: 2\n    redundancy: N+M',
      '',
      'maxActiveSIsPerSU: testedSU is not pre-instantiable',
    ],
    ['a container is on its node', contained, '', 'node: node2, ', 'no container of containerSG'],
    ['only proxied ones are on no node', npi, '', ' ', 'node: missing; name a node'],
  ])('%s', (_, component, group, unit, message) => {
    const found = problems(component, group, unit === '' ? undefined : unit)
    expect(found.join('\n')).toContain(message)
  })

  it('warns of a program whose end nobody sees', () => {
    const warnings = (more: string): readonly string[] =>
      modelOf(`
cluster: unseen
nodes: { node1: {} }
serviceGroups:
  SG:
    redundancy: no-redundancy
    serviceUnits: { SU: { node: node1, components: { C: { ${daemon}, ${ends}${more} } } } }
    serviceInstances: { SI: { csis: { I: {} } } }
`).warnings
    expect(warnings('').join()).toContain('nobody sees its end')
    expect(warnings(', amStart: { command: [/a] }')).toEqual([])
    expect(warnings(', pidFile: /x')).toEqual([])
  })

  it('a proxied component may be on no node', () => {
    expect(problems(proxied, '', ' ')).toEqual([])
  })

  it('tells proxies that wait for each other', () => {
    const group = (name: string, csi: string, other: string): string => `
  ${name}SG:
    redundancy: 2N
    serviceUnits:
      ${name}SU: { node: node1, components: { ${name}: { command: [/p] }, ${name}x: { category: proxied, proxied: { csi: ${other} }, csTypes: { none: {} } } } }
    serviceInstances: { ${name}SI: { csis: { ${csi}: {} } } }`
    const text = `
cluster: circle
nodes: { node1: {} }
serviceGroups:${group('a', 'aCSI', 'bCSI')}${group('b', 'bCSI', 'aCSI')}
`
    expect(() => modelOf(text)).toThrow(/wait|depend|circle/)
  })
})

it('the example of the README is a model without a warning', () => {
  const readme = readFileSync(new URL('../../../amf/model/README.md', import.meta.url), 'utf8')
  const [, yaml = ''] = /```yaml\n([^]*?)```/.exec(readme) ?? []
  const model = modelOf(yaml)
  expect(model.warnings).toEqual([])
  expect(model.components.get('web1')).toMatchObject({
    category: 'nonSaAware',
    foreground: false,
    pidFile: '/run/nginx.pid',
    recovery: 'componentRestart',
    healthCheck: { command: expect.arrayContaining(['curl']) },
  })
  expect(model.csis.get('webCSI')?.attributes).toEqual({ config: ['/etc/nginx/nginx.conf'] })
})
