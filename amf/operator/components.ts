import { SdkError } from '../../idl/index.ts'
import type { ClusterStatus } from '../director/interface.ts'

/** A component that can be called. */
export interface ReachableComponent {
  readonly name: string
  /** Such as `1:130`. */
  readonly address: string
}

/**
 * The components that an operator means by the name of a component, a service unit, a service instance or a node; null
 * means all.
 * @throws SdkError NOT_EXIST for no such entity; INVALID_STATE when none of its components runs.
 */
export function componentsOf(
  status: ClusterStatus,
  entity: string | null,
): readonly ReachableComponent[] {
  const holders = new Set(
    status.serviceInstances
      .filter(({ name }) => name === entity)
      .flatMap(({ assignments }) => assignments.map(({ serviceUnit }) => serviceUnit)),
  )
  const isKnown =
    entity === null ||
    status.nodes.some(({ name }) => name === entity) ||
    status.serviceInstances.some(({ name }) => name === entity)
  let isFound = isKnown
  const found = status.serviceUnits.flatMap((unit) => {
    const isWhole =
      entity === null || unit.name === entity || unit.node === entity || holders.has(unit.name)
    const meant = unit.components.filter(({ name }) => isWhole || name === entity)
    isFound ||= meant.length > 0 || unit.name === entity
    return meant
  })
  if (!isFound) {
    const message = `there is no component, service unit, service instance or node ${entity}`
    throw new SdkError('NOT_EXIST', message)
  }
  const reachable = found.flatMap(({ name, address }) => (address ? [{ name, address }] : []))
  if (reachable.length > 0) return reachable
  throw new SdkError('INVALID_STATE', `no component of ${entity ?? 'the cluster'} is running`)
}
