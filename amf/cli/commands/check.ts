import type { Command } from 'commander'
import { loadModel } from '../../model/load.ts'
import type { Model } from '../../model/model.ts'
import { optionsOf, print, type CliIo } from '../context.ts'

const HELP = `
Reads a model as "up" does and says everything that is wrong with it, each with its line and path, or sums it up.
Warnings (time-outs shorter than detection plus failover, for example) do not make it fail.
Exit code 0: good. 1: not good. 3: no such file.

Examples:
  holdfast check samples/sequence/cluster.yaml
  holdfast check cluster.yaml --json`

/** `check MODEL`: says what is wrong with a model without starting anything. */
export function addCheckCommand(program: Command, io: CliIo): void {
  program
    .command('check')
    .description('say what is wrong with a model, without starting anything')
    .argument('<model>', 'path of a cluster.yaml')
    .addHelpText('after', HELP)
    .action((path: string, _options: unknown, command: Command) => {
      const model = loadModel(path)
      print(io, optionsOf(command), { document: summaryOf(model), text: textOf(path, model) })
    })
}

function summaryOf(model: Model): Record<string, unknown> {
  return {
    ok: true,
    cluster: model.cluster,
    nodes: [...model.nodes.keys()],
    serviceGroups: [...model.serviceGroups.keys()],
    serviceUnits: [...model.serviceUnits.keys()],
    components: [...model.components.keys()],
    serviceInstances: [...model.serviceInstances.keys()],
    warnings: model.warnings,
  }
}

function textOf(path: string, model: Model): string {
  const count = (size: number, one: string): string => `${size} ${one}${size === 1 ? '' : 's'}`
  const parts = [
    count(model.nodes.size, 'node'),
    count(model.serviceGroups.size, 'service group'),
    count(model.serviceUnits.size, 'service unit'),
    count(model.components.size, 'component'),
    count(model.serviceInstances.size, 'service instance'),
  ]
  const warnings = model.warnings.map((text) => `warning: ${text}`)
  return [`${path}: good: cluster ${model.cluster}, ${parts.join(', ')}`, ...warnings].join('\n')
}
