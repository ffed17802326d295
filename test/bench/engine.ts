import { initialState, step } from '../../dist/amf/engine/engine.js'
import type { EngineEvent, EngineState } from '../../amf/engine/engine.ts'
import type { Model } from '../../amf/model/model.ts'
import { parseModel } from '../../dist/amf/model/parse.js'
import { quantile, type Bench, type BenchContext } from './bench.ts'

/**
 * One engine step after a component failure, by the size of the cluster and of the service group: it must grow with
 * the group, not with the cluster.
 */
export const bench: Bench = (context) => {
  const sizes = context.quick
    ? [[10, 2]]
    : [
        [10, 2],
        [100, 2],
        [1_000, 2],
        [5_000, 2],
        [1_000, 10],
        [100, 100],
      ]
  for (const [groups = 1, units = 2] of sizes) measure(context, groups, units)
  return Promise.resolve()
}

function measure(context: BenchContext, groups: number, units: number): void {
  context.progress(`${String(groups)} groups of ${String(units)}`)
  const model = modelOf(groups, units)
  let state = started(model)
  const rounds = context.quick ? 20 : 300
  const times = new Float64Array(rounds)
  for (let round = 0; round < rounds; round += 1) {
    const group = round % groups
    const component = `C${String(group)}x0`
    const incarnation = 1
    const event: EngineEvent = {
      kind: 'componentFailed',
      component,
      incarnation,
      recovery: 'noRecommendation',
      cause: 'it was killed',
    }
    const from = process.hrtime.bigint()
    step(model, state, event, 1_000)
    times[round] = Number(process.hrtime.bigint() - from) / 1_000
  }
  state = started(model)
  context.report({
    bench: 'engine',
    system: 'holdfast step after a component failure',
    serviceUnits: groups * units,
    groupSize: units,
    p50Us: Math.round(quantile(times, 0.5)),
    p99Us: Math.round(quantile(times, 0.99)),
  })
}

/** Every component is up, every first unit ACTIVE, every second one STANDBY. */
function started(model: Model): EngineState {
  let state = initialState(model)
  const feed = (event: EngineEvent): void => {
    const result = step(model, state, event, 0)
    state = result.state
  }
  feed({ kind: 'directorStarted', term: 1, records: [] })
  for (const node of model.nodes.values()) {
    const facts = [...model.components.values()]
      .filter((component) => component.node === node.name)
      .map(({ name, serviceGroup }) => {
        const csi = `I${serviceGroup.slice(1)}`
        const isActive = name.endsWith('x0')
        const isStandby = name.endsWith('x1')
        const haState = isActive ? ('ACTIVE' as const) : ('STANDBY' as const)
        const epoch = 1
        const assignments = isActive || isStandby ? [{ csi, haState, epoch, confirmed: true }] : []
        const address = { node: node.id, port: 128 }
        return {
          component: name,
          presence: 'INSTANTIATED' as const,
          pid: 1,
          incarnation: 1,
          address,
          assignments,
        }
      })
    feed({ kind: 'nodeJoined', node: node.name, facts })
  }
  return state
}

const NODES = 10

function modelOf(groups: number, units: number): Model {
  const lines = ['cluster: bench', 'nodes:']
  for (let node = 0; node < NODES; node += 1) lines.push(`  N${String(node)}: {}`)
  lines.push('componentTypes: { T: { command: [/bin/true] } }', 'serviceGroups:')
  for (let g = 0; g < groups; g += 1) {
    lines.push(`  G${String(g)}:`, '    redundancy: 2N', '    serviceUnits:')
    for (let u = 0; u < units; u += 1) {
      const name = `${String(g)}x${String(u)}`
      const node = `N${String((g + u) % NODES)}`
      lines.push(
        `      U${name}: { rank: ${String(u + 1)}, node: ${node}, components: { C${name}: T } }`,
      )
    }
    lines.push(`    serviceInstances: { S${String(g)}: { csis: { I${String(g)}: {} } } }`)
  }
  return parseModel(lines.join('\n'), {
    path: '/bench.yaml',
    cliPath: '/cli.js',
    nodePath: '/node',
    fileExists: () => true,
  })
}
