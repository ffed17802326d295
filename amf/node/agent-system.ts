import { join } from 'node:path'
import { isFinished, readProcessStat } from '../../ioc/backplane/internal.ts'
import { COMPONENT_ENV, type CsiDescriptor } from '../../runtime/internal.ts'
import type { CommandModel, ComponentModel, NodeModel } from '../model/model.ts'
import type { AgentSystem } from './agent.ts'
import { DaemonProcess, type WatchedProcess } from './daemon-process.ts'
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
  const launchOptions = (
    component: ComponentModel,
    command: CommandModel,
    assigned: CsiDescriptor | null,
  ): LaunchOptions => ({
    argv: command.argv,
    env: {
      // Two places to take memory from instead of one for each thread: 1.2 MiB less of an idle component.
      MALLOC_ARENA_MAX: '2',
      ...process.env,
      ...component.env,
      ...assignedEnvironment(assigned),
      SA_AMF_COMPONENT_NAME: component.name,
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
    launch: (component, assigned) => {
      const options = launchOptions(component, component.instantiate, assigned)
      if (!component.foreground) {
        const launched = launchProcess({ ...options, leavesProcesses: true })
        return new DaemonProcess(launched, component.pidFile, watchPid)
      }
      const launched = launchProcess({ ...options, argv: withRunDir(options.argv, runDir) })
      return launched
    },
    runCommand: async (component, command, { assigned, leavesProcesses }) => {
      const { timeoutMs } = command
      const options = { ...launchOptions(component, command, assigned), leavesProcesses }
      try {
        return await runCommand({ ...options, timeoutMs })
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

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** What the component is to serve: SAF AMF B.04.01 section 4.3. Values of one attribute are joined by commas. */
function assignedEnvironment(assigned: CsiDescriptor | null): Record<string, string> {
  if (assigned === null) return {}
  const attributes = Object.entries(assigned.attributes).filter(([name]) => VARIABLE.test(name))
  const values = attributes.map(([name, list]) => [name, list.join(',')] as const)
  return { ...Object.fromEntries(values), [COMPONENT_ENV.csi]: assigned.csi }
}

/** A process that is no child, told apart from a later one with its pid by when it started. */
function watchPid(pid: number): WatchedProcess {
  const startTime = readProcessStat(pid)?.startTime
  const isDead = (): boolean => {
    const stat = readProcessStat(pid)
    return stat === undefined || isFinished(stat) || stat.startTime !== startTime
  }
  const kill = (): void => {
    if (isDead()) return
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  return { pid, isDead, kill }
}

/** `run:` modules show their run directory in the process list; other programs get no argument they do not know. */
function withRunDir(argv: readonly string[], runDir: string): readonly string[] {
  const isModule = argv[0] === process.execPath && argv[2] === 'component'
  return isModule ? [...argv, '--run-dir', runDir] : argv
}
