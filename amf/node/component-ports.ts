import type { ClientOf } from '../../idl/index.ts'
import type { RmdCallOptions } from '../../ioc/index.ts'
import type { CpmCallbacks } from '../../runtime/internal.ts'
import type { AgentCommand, AgentEvent } from '../director/interface.ts'
import type { CommandModel, ComponentModel } from '../model/model.ts'

/** How a process ended; exactly one of both is set. */
export interface ProcessExit {
  readonly code: number | null
  readonly signal: string | null
}

/** A component's process as its launcher sees it. */
export interface ComponentProcess {
  readonly pid: number
  /** Resolves when the process is reaped and its process group killed. Never rejects. */
  readonly exited: Promise<ProcessExit>
  /** Resolves a moment after `exited`, when its last words are read. Never rejects. */
  readonly drained: Promise<void>
  /** SIGKILL to the whole process group; harmless when it is gone. */
  kill(): void
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
export type CsiRemoveCommand = Extract<AgentCommand, { kind: 'csiRemove' }>

/** What the runner of a component needs from its node. */
export interface RunnerPorts {
  readonly nodeId: number
  /** @throws SdkError when the program cannot be started. */
  launch(component: ComponentModel): ComponentProcess
  runCommand(component: ComponentModel, command: CommandModel): Promise<CommandOutcome>
  /** Callbacks over the connection that the component opened. */
  callbacks(caller: string): CallbackClient
  /** Makes this node's replica of the CSI primary under the new epoch; durable when it resolves. */
  becomePrimary(command: CsiSetCommand): Promise<void>
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
