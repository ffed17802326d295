import type { Command } from 'commander'
import { untilDone } from '../../operator/retry.ts'
import {
  optionsOf,
  print,
  timeoutMsOf,
  withLink,
  type CliIo,
  type GlobalOptions,
  type Result,
} from '../context.ts'
import { renderState, renderStatus, renderWhy } from '../render.ts'

/** `status`, `state`, `why`: questions that change nothing. */
export function addQueryCommands(program: Command, io: CliIo): void {
  program
    .command('status')
    .description('who is active, standby, out of service; what is wrong and whom it waits for')
    .addHelpText('after', STATUS_HELP)
    .action((_options: unknown, command: Command) => runStatus(io, optionsOf(command)))
  program
    .command('state')
    .description('every state of one entity (node, SU, component, SG, SI, CSI)')
    .argument('<entity>', 'name as in the model')
    .addHelpText('after', STATE_HELP)
    .action((entity: string, _options: unknown, command: Command) =>
      runState(io, optionsOf(command), entity),
    )
  program
    .command('why')
    .description('the chain of causes of the last role change of one entity')
    .argument('<entity>', 'name as in the model')
    .addHelpText('after', WHY_HELP)
    .action((entity: string, _options: unknown, command: Command) =>
      runWhy(io, optionsOf(command), entity),
    )
}

const STATUS_HELP = `
Exit code 0 also when the cluster is degraded: the text (and --json) says what is missing.

Examples:
  holdfast status
  holdfast status --json | jq -r '.serviceInstances[].state'
  holdfast status --run-dir /run/holdfast/billing`

const STATE_HELP = `
Examples:
  holdfast state sequenceSU1
  holdfast state node1 --json`

const WHY_HELP = `
Reads from the first cause down to the effect; the newest change comes first.

Examples:
  holdfast why sequenceSI
  holdfast why sequence1 --json`

async function runStatus(io: CliIo, options: GlobalOptions): Promise<void> {
  const status = await withLink(io, options, ({ management }) =>
    untilDone((timeoutMs) => management.status({}, { timeoutMs }), {
      timeoutMs: timeoutMsOf(options),
      what: 'status of the cluster',
      signal: io.signal,
    }),
  )
  print(io, options, { document: status, text: renderStatus(status) })
}

async function runState(io: CliIo, options: GlobalOptions, entity: string): Promise<void> {
  const state = await withLink(io, options, ({ management }) =>
    untilDone((timeoutMs) => management.state({ entity }, { timeoutMs }), {
      timeoutMs: timeoutMsOf(options),
      what: `state of ${entity}`,
      signal: io.signal,
    }),
  )
  print(io, options, { document: state, text: renderState(state) } satisfies Result)
}

async function runWhy(io: CliIo, options: GlobalOptions, entity: string): Promise<void> {
  const why = await withLink(io, options, ({ management }) =>
    untilDone((timeoutMs) => management.why({ entity }, { timeoutMs }), {
      timeoutMs: timeoutMsOf(options),
      what: `history of ${entity}`,
      signal: io.signal,
    }),
  )
  print(io, options, { document: why, text: renderWhy(why) })
}
