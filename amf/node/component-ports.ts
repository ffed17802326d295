import type { ClientOf } from '../../idl/index.ts'
import type { RmdCallOptions } from '../../ioc/index.ts'
import type { CpmCallbacks, CsiDescriptor } from '../../runtime/internal.ts'
import type { AgentCommand, AgentEvent } from '../director/interface.ts'
import type { CommandModel, ComponentModel } from '../model/model.ts'
import type { Life } from './component-life.ts'

/** How a process ended; exactly one of both is set. */
export interface ProcessExit {
  readonly code: number | null
  readonly signal: string | null
}

/** A component's process as its launcher sees it. */
export interface ComponentProcess {
  /** Null where there is no process to look at. */
  readonly pid: number | null
  /** Resolves when a command that leaves the component running has ended; null: the process is the component. */
  readonly started: Promise<ProcessExit> | null
  /** Resolves when the process is reaped and its process group killed. Never rejects. */
  readonly exited: Promise<ProcessExit>
  /** Resolves a moment after `exited`, when its last words are read. Never rejects. */
  readonly drained: Promise<void>
  /** SIGKILL to the whole process group; harmless when it is gone. */
  kill(): void
  /** SIGTERM to the process alone; its end is what is waited for. */
  terminate(): void
  /** Last 8 KiB of standard error. */
  stderrTail(): string
}

/** How a life-cycle command ended. */
export interface CommandOutcome extends ProcessExit {
  readonly timedOut: boolean
  readonly stderrTail: string
}

export type CallbackClient = ClientOf<(typeof CpmCallbacks)['spec'], RmdCallOptions>

/** Command to a component's process: the roles. */
export type CsiSetCommand = Extract<AgentCommand, { kind: 'csiSet' }>
export type InstantiateCommand = Extract<AgentCommand, { kind: 'instantiate' }>
export type MediationOrder = NonNullable<InstantiateCommand['mediation']>
export type CsiRemoveCommand = Extract<AgentCommand, { kind: 'csiRemove' }>

export interface MediatorProcess {
  readonly caller: string
  readonly address: { readonly node: number; readonly port: number } | null
}

/** What the runner of a component needs from its node. */
export interface RunnerPorts {
  readonly nodeId: number
  /** @throws SdkError when the program cannot be started. */
  launch(component: ComponentModel, assigned: CsiDescriptor | null): ComponentProcess
  /** Environment: the component's, with the CSI that it is ACTIVE for. Never rejects. */
  runCommand(
    component: ComponentModel,
    command: CommandModel,
    options: { readonly assigned: CsiDescriptor | null; readonly leavesProcesses: boolean },
  ): Promise<CommandOutcome>
  /** The process that acts for others, when it is registered on this node. */
  mediator(component: string): MediatorProcess | null
  /** The component is not ACTIVE for the CSI any more: what it acted for has to wait for the next one. */
  roleEnded(component: string, csi: string): void
  /** A component was registered: its health checks begin. */
  running(component: string, life: Life): void
  /** Callbacks over the connection that the component opened. */
  callbacks(caller: string): CallbackClient
  /** Makes this node's replica of the CSI primary under the new epoch; durable when it returns. */
  becomePrimary(command: CsiSetCommand): void
  /** The component writes the CSI's checkpoint no more. */
  releasePrimary(csi: string): void
  /** True when the process is a zombie or not there. */
  isDead(pid: number): boolean
  /** What the dying process wrote about itself, in one line; null when it wrote nothing. */
  crashText(component: string, pid: number): string | null
  /** Numbers of lives: grow over all lives of this node. */
  nextIncarnation(): number
  /** Numbers of callbacks that the agent makes by itself: below zero, so that they never meet the director's. */
  nextInvocation(): number
  /** False while no director is there. */
  isDirected(): boolean
  emit(event: AgentEvent): void
  /** A life is over: its connection counts no more. Called after the event that says so. */
  ended(caller: string | null): void
}
