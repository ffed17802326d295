import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { SdkError } from '../../../idl/index.ts'
import { untilDone } from '../../operator/retry.ts'
import {
  optionsOf,
  print,
  timeoutMsOf,
  withLink,
  type CliIo,
  type GlobalOptions,
} from '../context.ts'

interface ApplyOptions extends GlobalOptions {
  readonly dryRun?: boolean
}

const HELP = `
Makes the model the one of the running cluster: adds, removes and modifies nodes, service groups, service
units, components, service instances and CSIs, all of it or nothing. What the change does not touch goes on
undisturbed. Prints one line an entity: + added, - removed, ~ modified (with its keys).

Refused (exit code 4), with every reason, when something is to go that runs or serves: a service unit has to be
locked for instantiation, a service instance locked. Changed commands count from the next start of a component.

The cluster keeps the applied model: its nodes use it from then on, also when they start again, and "holdfast up"
says so when the file that it is given differs. The file itself is not written.

Examples:
  holdfast apply cluster.yaml --dry-run
  holdfast lock sequenceSU2 && holdfast lock-instantiation sequenceSU2 && holdfast apply smaller.yaml`

/** `apply MODEL`: changes the model of the running cluster. */
export function addApplyCommand(program: Command, io: CliIo): void {
  program
    .command('apply')
    .description('change the model of the running cluster, all or nothing')
    .argument('<model>', 'path of a cluster.yaml')
    .option('-n, --dry-run', 'say what would change, or why it would be refused')
    .addHelpText('after', HELP)
    .action((path: string, _options: unknown, command: Command) =>
      runApply(io, optionsOf<ApplyOptions>(command), path),
    )
}

async function runApply(io: CliIo, options: ApplyOptions, file: string): Promise<void> {
  const path = resolve(file)
  const dryRun = options.dryRun === true
  // One id for all attempts: the director that answers last may not be the one that was asked first.
  const request = { id: randomUUID(), text: readModel(path), path }
  const { version, changes } = await withLink(io, options, (link) =>
    untilDone(
      async (timeoutMs) => {
        const preview = await link.management.applyModel(
          { ...request, dryRun: true },
          { timeoutMs },
        )
        if (dryRun) return preview
        const { version } = await link.management.applyModel(
          { ...request, dryRun: false },
          { timeoutMs },
        )
        return { ...preview, version }
      },
      { timeoutMs: timeoutMsOf(options), what: `apply of ${file}`, signal: io.signal },
    ),
  )
  const done = dryRun
    ? 'would be applied; nothing was changed'
    : `applied: model ${String(version)}`
  const text = changes.length === 0 ? `${file}: the model is the same` : `${file}: ${done}`
  print(io, options, {
    document: { version, dryRun, changes },
    text: [...changes, text].join('\n'),
  })
}

function readModel(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new SdkError('NOT_EXIST', `cannot read the model ${path}: ${String(cause)}`, { cause })
  }
}
