import type { ClusterStatus } from '../director/interface.ts'

/** One component as the cluster's status shows it. */
export interface ComponentView {
  readonly name: string
  readonly node: string
  readonly serviceUnit: string
  /** null while no process runs. */
  readonly pid: number | null
  /** Role per service instance, for example `{ sequenceSI: 'ACTIVE' }`. */
  readonly roles: Readonly<Record<string, string>>
}

/** The cluster's status with the questions that tests and tools ask of it. */
export interface ClusterView {
  readonly status: ClusterStatus
  /** Name of the only service unit that is ACTIVE for the service instance; null when there is none or several. */
  active(serviceInstance: string): string | null
  /** Name of the first STANDBY service unit; null when there is none. */
  standby(serviceInstance: string): string | null
  /** Names of all service units that hold a role for the service instance. */
  holders(serviceInstance: string, haState: string): readonly string[]
  /** @throws RangeError when the model has no such component. */
  component(name: string): ComponentView
  /** The first component of the service unit that is ACTIVE; null when nobody is. */
  activeComponent(serviceInstance: string): ComponentView | null
  /** Node of the director; null while there is none. */
  readonly director: string | null
  /** True when every service instance is FULLY_ASSIGNED. */
  readonly settled: boolean
}

/** Wraps a status. Cheap: nothing is computed before it is asked for. */
export function viewOf(status: ClusterStatus): ClusterView {
  const holders = (serviceInstance: string, haState: string): readonly string[] =>
    (status.serviceInstances.find((si) => si.name === serviceInstance)?.assignments ?? [])
      .filter((assignment) => assignment.haState === haState)
      .map((assignment) => assignment.serviceUnit)
  const only = (names: readonly string[]): string | null =>
    names.length === 1 ? (names[0] ?? null) : null
  const view: ClusterView = {
    status,
    holders,
    active: (si) => only(holders(si, 'ACTIVE')),
    standby: (si) => holders(si, 'STANDBY')[0] ?? null,
    component: (name) => componentView(status, name),
    activeComponent: (si) => {
      const unitName = only(holders(si, 'ACTIVE'))
      const unit = status.serviceUnits.find((su) => su.name === unitName)
      const first = unit?.components[0]
      return first === undefined ? null : componentView(status, first.name)
    },
    director: status.director?.node ?? null,
    settled:
      status.director !== null &&
      status.serviceInstances.every((si) => si.state === 'FULLY_ASSIGNED'),
  }
  return view
}

function componentView(status: ClusterStatus, name: string): ComponentView {
  for (const unit of status.serviceUnits) {
    const found = unit.components.find((component) => component.name === name)
    if (found === undefined) continue
    const roles: Record<string, string> = {}
    for (const si of status.serviceInstances)
      for (const assignment of si.assignments)
        if (assignment.serviceUnit === unit.name) roles[si.name] = assignment.haState
    return { name, node: unit.node, serviceUnit: unit.name, pid: found.pid, roles }
  }
  const known = status.serviceUnits.flatMap((unit) => unit.components.map((c) => c.name))
  throw new RangeError(`no component "${name}"; the model has: ${known.join(', ') || 'none'}`)
}
