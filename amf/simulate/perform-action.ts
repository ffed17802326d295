import type { AdminOperation } from '../engine/engine.ts'
import { classOf, componentsInScope } from '../engine/entities.ts'
import type { ActionKind } from './action.ts'
import type { VirtualCluster } from './virtual-cluster.ts'

/** What an action came to: an operator's request with the id of its answer, or words on what befell. */
export interface Performed {
  readonly text: string
  readonly id: string | null
}

/**
 * Does one action to a cluster. `fail` takes components, service units (all processes at once) and nodes; a node stays
 * away until `repair`, which else is the operator's.
 */
export function performAction(
  cluster: VirtualCluster,
  kind: ActionKind,
  entity: string,
): Performed {
  const { model } = cluster
  if (kind === 'fail') return { text: failText(cluster, entity), id: null }
  if (kind === 'repair' && model.nodes.has(entity) && !cluster.isUp(entity)) {
    const isNew = cluster.bringBack(entity)
    return { text: isNew ? `${entity} starts again` : `${entity} is there`, id: null }
  }
  const operation: AdminOperation = kind
  return { text: `operator: ${operation} ${entity}`, id: cluster.admin(operation, entity) }
}

function failText(cluster: VirtualCluster, entity: string): string {
  const { model } = cluster
  if (model.nodes.has(entity)) {
    return cluster.failNode(entity) ? `${entity} is lost` : `${entity} is lost already`
  }
  const dead = componentsInScope(model, entity)
    .map(({ name }) => name)
    .filter((name) => cluster.failComponent(name))
  if (dead.length === 0) return `nothing of ${entity} runs: nothing can fail`
  return `${dead.join(', ')} ${dead.length === 1 ? 'dies' : 'die'}`
}

/** Null when the action can be done to the entity; else why not. */
export function refusalOf(
  model: VirtualCluster['model'],
  kind: ActionKind,
  entity: string,
): { readonly isUnknown: boolean; readonly message: string } | null {
  const entityClass = classOf(model, entity)
  if (entityClass === null) {
    return { isUnknown: true, message: `there is no "${entity}" in the model` }
  }
  const canFail = ['node', 'serviceUnit', 'component'].includes(entityClass)
  if (kind !== 'fail' || canFail) return null
  const message = `a ${entityClass} cannot fail by itself; name a component, service unit or node`
  return { isUnknown: false, message }
}
