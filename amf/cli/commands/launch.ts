import { Option, type Command } from 'commander'
import { loadModel } from '../../model/load.ts'
import { runDirOfCluster } from '../../operator/run-dir.ts'
import { optionsOf, type CliIo, type GlobalOptions } from '../context.ts'

interface NodeOptions extends GlobalOptions {
  readonly model: string
  readonly backplane?: string
}

const NODE_HELP = `
Runs until SIGTERM, which stops the components of this node in order. Logs JSON lines to standard output.
"holdfast up" starts one of these for every node of the model.

Examples:
  holdfast node node1 --model cluster.yaml
  holdfast node node1 --model cluster.yaml --run-dir /run/holdfast/billing`

const COMPONENT_HELP = `
Agents start components; by hand it ends with a message that says how. The module exports clEoConfig, and
clEoBasicLibs and clEoClientLibs where it needs others than the default.

Example:
  holdfast component ./component.js`

/** `node` and `component`: the processes that a cluster is made of. */
export function addLaunchCommands(program: Command, io: CliIo): void {
  program
    .command('node')
    .description('run one node of a model (in production one on each machine)')
    .argument('<name>', 'name of the node in the model')
    .requiredOption('--model <file>', 'path of the cluster.yaml')
    .addOption(new Option('--backplane <url>', 'what nodes share').choices(['embedded']))
    .addHelpText('after', NODE_HELP)
    .action((name: string, _options: unknown, command: Command) =>
      runNodeCommand(io, optionsOf<NodeOptions>(command), name),
    )
  program
    .command('component')
    .description('run one component (what agents start)')
    .argument('<file>', 'path of the module')
    .addHelpText('after', COMPONENT_HELP)
    .action(async (file: string) => {
      const { runComponentCommand } = await import('../component-command.ts')
      await runComponentCommand([file])
    })
}

async function runNodeCommand(io: CliIo, options: NodeOptions, name: string): Promise<void> {
  // The file tells where the cluster is; which model it goes by is for the run directory to say.
  const isNamed = (options.runDir ?? io.env['HOLDFAST_RUN_DIR'] ?? '') !== ''
  const cluster = isNamed ? '' : loadModel(options.model).cluster
  const runDir = runDirOfCluster({ option: options.runDir, env: io.env }, cluster)
  const { runNode } = await import('../../node/node-process.ts')
  // Told to stop while its modules were loaded: from here on it hears that itself.
  if (io.signal.aborted) return
  await runNode({ modelPath: options.model, node: name, runDir })
  // It runs now, and ends the process by itself.
  await new Promise<never>(() => undefined)
}
