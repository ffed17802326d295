import { join } from 'node:path'
import { isFinished, readProcessStat } from '../../ioc/backplane/internal.ts'
import { COMPONENT_ENV } from '../../runtime/internal.ts'
import type { CommandModel, ComponentModel, NodeModel } from '../model/model.ts'
import type { AgentSystem } from './agent.ts'
import { crashText, type NodeDirectory } from './node-directory.ts'
import { childrenOf, lookAt } from './process-table.ts'
import { launchProcess, type LaunchOptions, runCommand } from './process-launcher.ts'

export interface AgentSystemOptions {
  readonly directory: NodeDirectory
  readonly node: NodeModel
  readonly nowMs: () => number
  /** Silence of a node process after which the director fences it. */
  readonly nodeSilenceMs: number
}

/** A component that is ACTIVE and hears nothing of its agent ends within this share of the node's silence. */
const LEASE_SHARE = 0.8

/** The operating system as one node's agent uses it. */
export function agentSystem(options: AgentSystemOptions): AgentSystem {
  const { directory, node, nowMs } = options
  const leaseMs = Math.floor(options.nodeSilenceMs * LEASE_SHARE)
  const { runDir } = directory
  const launchOptions = (component: ComponentModel, command: CommandModel): LaunchOptions => ({
    argv: command.argv,
    env: {
      ...process.env,
      ...component.env,
      [COMPONENT_ENV.runDir]: runDir,
      [COMPONENT_ENV.component]: component.name,
      [COMPONENT_ENV.node]: node.name,
      [COMPONENT_ENV.nodeId]: String(node.id),
      [COMPONENT_ENV.hungMs]: String(component.hungMs),
      [COMPONENT_ENV.leaseMs]: String(leaseMs),
    },
    cwd: component.workingDir,
    logFile: join(directory.components, `${component.name.replaceAll('/', '_')}.log`),
  })
  return {
    launch: (component) => {
      const options = launchOptions(component, component.instantiate)
      return launchProcess({ ...options, argv: withRunDir(options.argv, runDir) })
    },
    runCommand: async (component, command) => {
      const { timeoutMs } = command
      try {
        return await runCommand({ ...launchOptions(component, command), timeoutMs })
      } catch (error) {
        const stderrTail = error instanceof Error ? error.message : String(error)
        return { code: 127, signal: null, timedOut: false, stderrTail }
      }
    },
    isDead: (pid) => {
      const stat = readProcessStat(pid)
      return stat === undefined || isFinished(stat)
    },
    crashText: (component, pid) => crashText(directory, node.name, component, pid),
    processState: (pid) => readProcessStat(pid)?.state,
    nowMs,
    processes: { look: lookAt, childrenOf },
  }
}

/** `run:` modules show their run directory in the process list; other programs get no argument they do not know. */
function withRunDir(argv: readonly string[], runDir: string): readonly string[] {
  const isModule = argv[0] === process.execPath && argv[2] === 'component'
  return isModule ? [...argv, '--run-dir', runDir] : argv
}
