import type { AdminResult, EngineEvent } from './contract.ts'
import { chain, withCause, type Draft } from './draft.ts'
import { componentState } from './readiness.ts'
import { CLASS_WORDS, refuse, type Refusal } from './refusal.ts'
import type { OperationState } from './state.ts'

/**
 * External active monitoring of a component, by its AM_START and AM_STOP commands. Its agent starts it with each life
 * and stops it before the component's orderly end; operators may stop and start it in between. SAF AMF B.04.01 sections
 * 4.8, 4.9 and 9 (EAM_START, EAM_STOP).
 */

export function checkMonitoring(
  draft: Draft,
  { kind, entity, operation }: OperationState,
): Refusal | null {
  const model = draft.model.components.get(entity)
  if (kind !== 'component' || !model) {
    return refuse('NOT_SUPPORTED', `${operation} is for a component, not a ${CLASS_WORDS[kind]}`)
  }
  const key = operation === 'eam-start' ? 'amStart' : 'amStop'
  if (model[key] === null) {
    return refuse('NOT_SUPPORTED', `${entity} has no ${key} command in the model`)
  }
  const { presence, work, monitored } = componentState(draft.peekGroup(model.serviceGroup), model)
  if (presence !== 'INSTANTIATED' || work !== null) {
    return refuse('BAD_OPERATION', `${entity} is ${presence}: only what runs is monitored`)
  }
  if (monitored !== isStart(operation)) return null
  return refuse('NO_OP', `${entity} is ${monitored ? 'monitored already' : 'not monitored'}`)
}

function isStart(operation: OperationState['operation']): boolean {
  return operation === 'eam-start'
}

/** Orders it from the component's agent, once under each director, until the agent says that it is so. */
export function continueMonitoring(draft: Draft, operation: OperationState): AdminResult | null {
  const { entity, lives } = operation
  const model = draft.model.components.get(entity)
  if (!model) return refuse('NOT_EXIST', `${entity} is gone`)
  if (draft.peekNode(model.node).membership === 'UNKNOWN') return null
  const { presence, incarnation } = componentState(draft.peekGroup(model.serviceGroup), model)
  if (presence !== 'INSTANTIATED' || incarnation !== lives[entity]) {
    return refuse(
      'FAILED_OPERATION',
      `${entity} ended meanwhile; with its next life it is monitored`,
    )
  }
  const wanted = isStart(operation.operation)
  const group = draft.peekGroup(model.serviceGroup)
  const { monitored, monitorAsked } = componentState(group, model)
  if (monitored === wanted) return { ok: true }
  if (monitorAsked === wanted) return null
  componentState(draft.group(model.serviceGroup), model).monitorAsked = wanted
  const why = chain(withCause(group.causes, `${wanted ? 'AM_START' : 'AM_STOP'} of ${entity}`))
  const order = { component: entity, incarnation, monitored: wanted }
  draft.send({ kind: 'monitor', node: model.node, ...order, why })
  return null
}

/** An agent says that monitoring began or ended. */
export function monitoringChanged(
  draft: Draft,
  { component: name, incarnation, monitored }: Extract<EngineEvent, { kind: 'monitoring' }>,
): void {
  const model = draft.model.components.get(name)
  if (!model) return
  const component = componentState(draft.group(model.serviceGroup), model)
  if (component.incarnation !== incarnation || component.presence !== 'INSTANTIATED') return
  component.monitored = monitored
  component.monitorAsked = null
}
