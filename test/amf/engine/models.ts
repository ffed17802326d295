import type { Model } from '../../../amf/model/model.ts'
import { parseModel } from '../../../amf/model/parse.ts'

/** A model from its text, without any file. */
export function modelOf(text: string): Model {
  return parseModel(text, {
    path: '/m/cluster.yaml',
    cliPath: '/cli.js',
    nodePath: '/node',
    fileExists: () => true,
  })
}

/**
 * One group `SG` in the notation of the vectors: SU1.. of rank 1.. on N1.., each with one component C1..; SI1.. of rank
 * 1.. each with one CSI I1... `group`, `unit`, `instance`, `component`: further YAML of each. `equal`: all ranks 0.
 */
export function vectorModel(options: {
  readonly redundancy: string
  readonly units: number
  readonly instances: number
  readonly group?: string
  readonly node?: string
  readonly unit?: string
  /** Further YAML of one unit, by its number. */
  readonly eachUnit?: Readonly<Record<number, string>>
  readonly instance?: (index: number) => string
  readonly component?: string
  /** How components of the type start. */
  readonly start?: string
  /** YAML of further service groups. */
  readonly more?: string
  readonly equal?: boolean
  readonly nodeOf?: (unit: number) => number
  readonly top?: string
}): Model {
  const list = (count: number, line: (index: number) => string): string =>
    Array.from({ length: count }, (_, index) => line(index + 1)).join('\n')
  const nodeOf = options.nodeOf ?? ((unit: number) => unit)
  const nodes = Math.max(...Array.from({ length: options.units }, (_, index) => nodeOf(index + 1)))
  const rank = (index: number): string => (options.equal === true ? '' : `rank: ${String(index)}, `)
  const extra = (text: string | undefined): string =>
    text === undefined || text === '' ? '' : `${text}, `
  return modelOf(`
cluster: vector
${options.top ?? ''}
nodes:
${list(nodes, (n) => `  N${String(n)}: { ${options.node ?? ''} }`)}
componentTypes:
  T: { ${options.start ?? 'command: [/bin/true], '}${options.component ?? ''} }
serviceGroups:
  SG:
    redundancy: ${options.redundancy}
${options.group ?? ''}
    serviceUnits:
${list(
  options.units,
  (n) =>
    `      SU${String(n)}: { ${rank(n)}${extra(options.unit)}${extra(options.eachUnit?.[n])}node: N${String(nodeOf(n))}, components: { C${String(n)}: T } }`,
)}
    serviceInstances:
${list(
  options.instances,
  (n) =>
    `      SI${String(n)}: { ${rank(n)}${extra(options.instance?.(n))}csis: { I${String(n)}: {} } }`,
)}
${options.more ?? ''}
`)
}
