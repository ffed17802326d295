import type { AgentCommand } from './interface.ts'
import type { OutgoingCommand } from './engine-loop.ts'

/** Commands of the engine that go to one agent. */
export type NodeCommand = Extract<OutgoingCommand, { readonly node: string }>

/** The form in which a command travels: without its node, lists copied. */
export function agentCommandOf(command: NodeCommand): AgentCommand {
  switch (command.kind) {
    case 'instantiate': {
      const { node: _, mediation, ...rest } = command
      return { ...rest, mediation: mediationOf(mediation) }
    }
    case 'terminate':
    case 'monitor':
    case 'csiRemove': {
      const { node: _, ...rest } = command
      return rest
    }
    case 'cleanup': {
      const { node: _, mediation, ...rest } = command
      return { ...rest, mediation: mediationOf(mediation) }
    }
    case 'csiSet': {
      const { node: _, replicas, inSync, ...rest } = command
      return { ...rest, replicas: [...replicas], inSync: inSync === null ? null : [...inSync] }
    }
    case 'setReplicas': {
      const { node: _, replicas, inSync, ...rest } = command
      return { ...rest, replicas: [...replicas], inSync: inSync === null ? null : [...inSync] }
    }
    case 'restartNode':
      return { kind: 'restartNode', why: command.why }
  }
}

function mediationOf(
  order: Extract<NodeCommand, { kind: 'cleanup' }>['mediation'],
): Extract<AgentCommand, { kind: 'cleanup' }>['mediation'] {
  if (order === null) return null
  const { mediator, incarnation, kept } = order
  return { mediator, incarnation, kept: kept && kept.map((one) => ({ ...one })) }
}
