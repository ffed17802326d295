import type { Command } from 'commander'
import type { AdminOperation } from '../../engine/contract.ts'
import {
  optionsOf,
  print,
  timeoutMsOf,
  withLink,
  type CliIo,
  type GlobalOptions,
} from '../context.ts'

interface AdminHelp {
  readonly operation: AdminOperation
  readonly description: string
  readonly done: string
  readonly more: string
}

const OPERATIONS: readonly AdminHelp[] = [
  {
    operation: 'lock',
    description: 'take the roles away from an entity; its processes stay',
    done: 'locked',
    more:
      'Undo with "holdfast unlock". Works on a cluster, application, node, node group, SG, SU or SI.\n' +
      'Roles move before this returns.',
  },
  {
    operation: 'unlock',
    description: 'let an entity have roles again',
    done: 'unlocked',
    more: 'Undoes "lock" and "shutdown". Refused while the entity is locked for instantiation.',
  },
  {
    operation: 'shutdown',
    description: 'as lock, but let work in progress finish first',
    done: 'shut down and locked',
    more: 'The active drains (QUIESCING) before the role moves; the entity ends up LOCKED.',
  },
  {
    operation: 'restart',
    description: 'end the processes of an entity and start them again',
    done: 'restarted',
    more:
      'Works on a component, SU, application or the cluster. Roles are kept; what may not be restarted in\n' +
      'place gives them up first. Of an application all goes down before anything comes up again.',
  },
  {
    operation: 'swap',
    description: 'exchange ACTIVE and STANDBY of a service instance, losing no call',
    done: 'swapped',
    more: 'Works on an SI. Refused when there is no STANDBY that holds every acknowledged write.',
  },
  {
    operation: 'adjust',
    description: 'go to the most preferred assignment of a service group now',
    done: 'adjusted',
    more: 'Works on an SG. What automatic adjustment does after its probation, at once.',
  },
  {
    operation: 'repair',
    description: 'declare a failed entity sound, so that it is tried again',
    done: 'repaired',
    more: 'For an SU, component or node that was given up (DISABLED, INSTANTIATION_FAILED).',
  },
  {
    operation: 'lock-instantiation',
    description: 'end the processes of a locked entity and keep them away',
    done: 'locked for instantiation',
    more: 'The entity must be LOCKED first. Undo with "holdfast unlock-instantiation".',
  },
  {
    operation: 'unlock-instantiation',
    description: 'let the processes of an entity be started again',
    done: 'unlocked for instantiation (still LOCKED: use "holdfast unlock")',
    more: 'Undoes "lock-instantiation"; the entity is LOCKED then.',
  },
  {
    operation: 'eam-start',
    description: 'start the external monitor of a component (amStart)',
    done: 'monitored',
    more: 'Works on a component with an amStart command. Needed after "eam-stop" only: each life begins monitored.',
  },
  {
    operation: 'eam-stop',
    description: 'stop the external monitor of a component (amStop)',
    done: 'not monitored',
    more: 'Works on a component with an amStop command. Until "eam-start", or until the component starts again.',
  },
]

/** The administrative operations, one command each. They return when the operation is finished. */
export function addAdminCommands(program: Command, io: CliIo): void {
  for (const help of OPERATIONS) {
    program
      .command(help.operation)
      .description(help.description)
      .argument('<entity>', 'name as in the model')
      .addHelpText('after', helpText(help))
      .action((entity: string, _options: unknown, command: Command) =>
        runAdmin(io, optionsOf(command), help, entity),
      )
  }
}

const EXAMPLES: ReadonlyMap<AdminOperation, string> = new Map([
  ['swap', 'sequenceSI'],
  ['adjust', 'sequenceSG'],
  ['eam-start', 'sequence1'],
  ['eam-stop', 'sequence1'],
])

function helpText({ operation, more }: AdminHelp): string {
  const entity = EXAMPLES.get(operation) ?? 'sequenceSU1'
  return `
${more}
Returns when it is finished. "Try again later" is retried until --timeout (60 s by default).
Exit codes: 1 done, but a component has to be repaired; 3 no such entity, 4 refused (already so, or not
possible now), 5 timed out.

Examples:
  holdfast ${operation} ${entity}
  holdfast ${operation} ${entity} --timeout 10 --json`
}

async function runAdmin(
  io: CliIo,
  options: GlobalOptions,
  help: AdminHelp,
  entity: string,
): Promise<void> {
  await withLink(io, options, (link) => link.admin(help.operation, entity, timeoutMsOf(options)))
  print(io, options, {
    document: { entity, operation: help.operation, result: 'OK' },
    text: `${entity}: ${help.done}`,
  })
}
