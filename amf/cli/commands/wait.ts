import type { Command } from 'commander'
import { isSdkError } from '../../../idl/index.ts'
import { CommandFailure, EXIT } from '../exit-code.ts'
import { untilDone } from '../../operator/retry.ts'
import {
  optionsOf,
  print,
  timeoutMsOf,
  withLink,
  type CliIo,
  type GlobalOptions,
} from '../context.ts'

const HELP = `
Any state name of the entity will do: HA states (ACTIVE, STANDBY), presence (INSTANTIATED), readiness
(IN_SERVICE), assignment (FULLY_ASSIGNED), administrative (LOCKED). Returns at once when it is so already.
Exit code 4 for a word that is no state of the entity, with those that are;
5 when it is not so within --timeout (60 s by default), 3 when there is no such entity.

Examples:
  holdfast wait sequenceSI FULLY_ASSIGNED
  holdfast wait sequenceSU2 ACTIVE STANDBY --timeout 10`

/** `wait`: blocks a script until an entity is in one of the states. */
export function addWaitCommand(program: Command, io: CliIo): void {
  program
    .command('wait')
    .description('wait until an entity is in one of the states')
    .argument('<entity>', 'name as in the model')
    .argument('<states...>', 'one or more states; any of them ends the wait')
    .addHelpText('after', HELP)
    .action((entity: string, states: string[], _options: unknown, command: Command) =>
      runWait(io, optionsOf(command), { entity, states: states.map((s) => s.toUpperCase()) }),
    )
}

async function runWait(
  io: CliIo,
  options: GlobalOptions,
  request: { readonly entity: string; readonly states: string[] },
): Promise<void> {
  const { state } = await withLink(io, options, ({ management }) =>
    untilDone((timeoutMs) => management.wait(request, { timeoutMs }), {
      timeoutMs: timeoutMsOf(options),
      what: `${request.entity} to become ${request.states.join(' or ')}`,
      signal: io.signal,
    }),
  ).catch((error: unknown) => {
    if (!isSdkError(error, 'INVALID_PARAMETER')) throw error
    throw new CommandFailure(error.code, error.message, EXIT.refused)
  })
  print(io, options, {
    document: { entity: request.entity, state },
    text: `${request.entity}: ${state}`,
  })
}
