import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { clusterStatus, initialState, step } from '../../dist/amf/engine/engine.js'
import type { EngineCommand, EngineEvent, EngineState } from '../../amf/engine/engine.ts'
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
        [50, 2],
        [500, 2],
        [5_000, 2],
        [1_000, 10],
        [100, 100],
      ]
  const typical = new Map<number, number>()
  for (const [groups = 1, units = 2] of sizes) {
    const p50Us = measure(context, groups, units)
    if (units === 2) typical.set(groups, p50Us)
  }
  const [least, most] = [Math.min(...typical.keys()), Math.max(...typical.keys())]
  if (least !== most) {
    const growth = (typical.get(most) ?? 0) / (typical.get(least) ?? 1)
    const from = least * 2
    const row = { serviceUnits: most * 2, from, growth: Math.round(growth * 10) / 10 }
    context.report({ bench: 'engine', system: 'holdfast engine, growth of a step', ...row })
  }
  for (const groups of context.quick ? [50] : [500, 5_000]) coldStart(context, groups)
  return Promise.resolve()
}

/** From "no node was heard of" until everything is up and assigned, every command answered at once. */
function coldStart(context: BenchContext, groups: number): void {
  context.progress(`cold start of ${String(groups * 2)} service units`)
  const model = modelOf(groups, 2)
  const fromMs = performance.now()
  const fromCpu = process.cpuUsage()
  const end: { state: EngineState | null; readonly steps: number } = startAll(model)
  const { steps } = end
  const wallMs = performance.now() - fromMs
  const cpu = process.cpuUsage(fromCpu)
  const held = heapAfterCollection()
  end.state = null
  const grown = held - heapAfterCollection()
  context.report({
    bench: 'engine',
    system: 'holdfast engine, cold start',
    serviceUnits: groups * 2,
    steps,
    wallMs: Math.round(wallMs),
    cpuMs: Math.round((cpu.user + cpu.system) / 1_000),
    usPerStep: Math.round((wallMs * 1_000) / steps),
    bytesPerUnit: Math.round(grown / (groups * 2)),
  })
}

function startAll(model: Model): { state: EngineState; readonly steps: number } {
  let state = initialState(model)
  let steps = 0
  const queue: EngineEvent[] = [{ kind: 'directorStarted', term: 1, records: [] }]
  for (const node of model.nodes.keys()) queue.push({ kind: 'nodeJoined', node, facts: [] })
  for (let at = 0; at < queue.length; at += 1) {
    const event = queue[at]
    if (event === undefined) break
    const result = step(model, state, event, 0)
    state = result.state
    steps += 1
    for (const command of result.commands) {
      const answer = answerTo(command)
      if (answer !== null) queue.push(answer)
    }
  }
  const { serviceInstances } = clusterStatus(model, state, null)
  const isDone = serviceInstances.every((instance) => instance.state === 'FULLY_ASSIGNED')
  if (!isDone) throw new Error('the cold start did not come to its end')
  return { state, steps }
}

function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
  return process.memoryUsage().heapUsed
}

/** What an agent says to a command that it could carry out. */
function answerTo(command: EngineCommand): EngineEvent | null {
  switch (command.kind) {
    case 'instantiate': {
      const { component } = command
      const address = { node: 1, port: 128 }
      return { kind: 'componentRegistered', component, incarnation: 1, pid: 1, address }
    }
    case 'csiSet': {
      const { component, incarnation, haState, invocation, descriptor } = command
      const rest = { component, incarnation, haState, invocation, complete: true }
      return { kind: 'csiSetDone', csi: descriptor.csi, ...rest }
    }
    default:
      return null
  }
}

function measure(context: BenchContext, groups: number, units: number): number {
  context.progress(`${String(groups)} groups of ${String(units)}`)
  const model = modelOf(groups, units)
  const state = started(model)
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
  const p50Us = quantile(times, 0.5)
  context.report({
    bench: 'engine',
    system: 'holdfast engine, step after a component failure',
    serviceUnits: groups * units,
    groupSize: units,
    p50Us: Math.round(p50Us),
    p99Us: Math.round(quantile(times, 0.99)),
  })
  return p50Us
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
          mediator: null,
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
