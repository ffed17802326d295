import type { AgentCommand } from './interface.ts'
import type { OutgoingCommand } from './engine-loop.ts'

/** Commands of the engine that go to one agent. */
export type NodeCommand = Extract<OutgoingCommand, { readonly node: string }>

/** The form in which a command travels: without its node, lists copied. */
export function agentCommandOf(command: NodeCommand): AgentCommand {
  switch (command.kind) {
    case 'instantiate': {
      const { kind, component, why } = command
      return { kind, component, why }
    }
    case 'terminate':
    case 'cleanup': {
      const { kind, component, incarnation, why } = command
      return { kind, component, incarnation, why }
    }
    case 'csiSet': {
      const { node: _, replicas, inSync, ...rest } = command
      return { ...rest, replicas: [...replicas], inSync: inSync === null ? null : [...inSync] }
    }
    case 'csiRemove': {
      const { node: _, ...rest } = command
      return rest
    }
    case 'setReplicas': {
      const { node: _, replicas, inSync, ...rest } = command
      return { ...rest, replicas: [...replicas], inSync: inSync === null ? null : [...inSync] }
    }
    case 'restartNode':
      return { kind: 'restartNode', why: command.why }
  }
}
