import type { Command } from 'commander'
import { Option } from 'commander'
import { optionsOf, type CliIo, type GlobalOptions } from '../context.ts'
import { runDown } from '../down.ts'
import { runUpDetached } from '../up-detached.ts'
import { runUp } from '../up-foreground.ts'

interface UpOptions extends GlobalOptions {
  readonly detach?: boolean
  readonly supervise?: boolean
}

const UP_HELP = `
In the foreground: shows who is active, until Ctrl-C stops everything in order (a second Ctrl-C kills).
The cluster lives as long as this program: whatever ends it ends the nodes and components too.

With --detach: starts the same in the background and returns 0 when everything that can be assigned is
assigned. When that takes longer than --timeout (60 s by default) it says what is missing and returns 5; the
cluster keeps running then, so that you can look ("holdfast status") or stop it ("holdfast down").

A node process that dies is started again. A second "up" on the same run directory is refused (exit code 4).
Logs: DIR/nodes/NODE/node.log, DIR/nodes/NODE/components/COMPONENT.log, DIR/up.log.

Examples:
  holdfast up samples/sequence/cluster.yaml
  holdfast up cluster.yaml --detach --timeout 30
  holdfast up cluster.yaml --run-dir /tmp/try`

const DOWN_HELP = `
Stops the components in order (actives, then standbys), then the nodes, then the supervisor. What does not
stop within --timeout (60 s by default) is named, with exit code 5. Acknowledged data stays in the run directory.

Examples:
  holdfast down
  holdfast down --run-dir /tmp/try --timeout 20`

/** `up` and `down`: a whole cluster on this machine. */
export function addUpCommands(program: Command, io: CliIo): void {
  program
    .command('up')
    .description('run every node of a model on this machine')
    .argument('<model>', 'path of a cluster.yaml')
    .option('-d, --detach', 'run in the background; return when all is assigned')
    .addOption(new Option('--supervise', 'be the background supervisor').hideHelp())
    .addHelpText('after', UP_HELP)
    .action((model: string, _options: unknown, command: Command) => {
      const options = optionsOf<UpOptions>(command)
      return options.detach === true
        ? runUpDetached(io, options, model)
        : runUp(io, options, { model, background: options.supervise === true })
    })
  program
    .command('down')
    .description('stop the cluster of this machine, in order')
    .addHelpText('after', DOWN_HELP)
    .action((_options: unknown, command: Command) => runDown(io, optionsOf(command)))
}
