import { existsSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import type { Command } from 'commander'
import { loadModel } from '../../model/load.ts'
import type { Model } from '../../model/model.ts'
import { optionsOf, print, type CliIo } from '../context.ts'

const HELP = `
Reads a model as "up" does and says everything that is wrong with it, each with its line and path, or sums it up.
Warnings (time-outs shorter than detection plus failover, for example) do not make it fail; nor does a program that is
not on this machine: the node that runs it may be another one.
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
      const loaded = loadModel(path)
      const absent = absentPrograms(loaded, io.env['PATH'] ?? '')
      const model = { ...loaded, warnings: [...loaded.warnings, ...absent] }
      print(io, optionsOf(command), { document: summaryOf(model), text: textOf(path, model) })
    })
}

/** One warning for each program that no component could be started, ended or cleaned up by here. */
function absentPrograms(model: Model, searchPath: string): string[] {
  const users = new Map<string, string[]>()
  for (const { name, instantiate, terminate, cleanup } of model.components.values()) {
    const programs = [instantiate, terminate, cleanup].map((command) => command?.argv[0])
    for (const program of new Set(programs)) {
      if (program !== undefined) users.set(program, [...(users.get(program) ?? []), name])
    }
  }
  const isThere = (program: string): boolean =>
    isAbsolute(program)
      ? existsSync(program)
      : searchPath.split(delimiter).some((dir) => dir !== '' && existsSync(join(dir, program)))
  return [...users]
    .filter(([program]) => !isThere(program))
    .map(([program, names]) => `program "${program}" of ${names.join(', ')} is not on this machine`)
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
