import {
  type ChangedEntity,
  changedGroups,
  compareModels,
  fixedProblems,
  groupOfEntity,
  instanceOfCsi,
  isNoChange,
  type ModelChange,
  unitOfComponent,
} from '../model/change.ts'
import type {
  Model,
  ServiceGroupModel,
  ServiceInstanceModel,
  ServiceUnitModel,
} from '../model/model.ts'
import { pathText, type Problem } from '../model/problem.ts'
import { groupOf, nodeOf } from './explain.ts'
import { groupAdmin, strictest, unitAdmin } from './readiness.ts'
import { refuse, type Refusal } from './refusal.ts'
import { holdsAnything, holdsInstance, unitRole } from './roles.ts'
import type { EngineState, GroupState } from './state.ts'

/**
 * Which changes of the model a running cluster takes (SAF AMF B.04.01 section 4, as far as a change can be told from
 * one that harms). An entity leaves when nothing of it runs or serves; everything else is left to the planner, which
 * moves roles safely towards any model.
 */
export interface CheckedChange {
  readonly change: ModelChange
  /** Every reason why the change is not taken; empty: it may be made. */
  readonly problems: readonly Problem[]
  /** A reason that passes by itself. */
  readonly passing: string | null
}

export function checkChange(before: Model, state: EngineState, after: Model): CheckedChange {
  const change = compareModels(before, after)
  if (isNoChange(change)) return { change, problems: [], passing: null }
  const problems = [
    ...fixedProblems(change, before, after),
    ...unitProblems(change, before, after, state),
    ...instanceProblems(change, before, after, state),
    ...limitProblems(change, before, after, state),
    ...copyProblems(change, before, after, state),
  ]
  return { change, problems, passing: passingReason(change, before, state) }
}

/** Null: the change may be made. */
export function refusalOf({ problems, passing }: CheckedChange): Refusal | null {
  if (passing !== null) return refuse('TRY_AGAIN', passing)
  if (problems.length === 0) return null
  const count = problems.length === 1 ? '1 problem' : `${String(problems.length)} problems`
  const lines = problems.map(({ path, message }) => `\n  ${pathText(path)}: ${message}`)
  return refuse(
    'BAD_OPERATION',
    `the change is refused, nothing of it was made: ${count}${lines.join('')}`,
  )
}

/** What is decided soon: nodes that a new director has not heard of, operations on what is to go. */
function passingReason(change: ModelChange, before: Model, state: EngineState): string | null {
  const gone = new Set([...change.removed, ...change.modified].map(({ name }) => name))
  const pending = state.operations.find((o) => o.result === null && gone.has(o.entity))
  if (pending) return `${pending.operation} of ${pending.entity} is not finished`
  for (const { class: kind, name } of [...change.removed, ...change.modified]) {
    const group = groupOfEntity(before, kind, name)
    const sg = group === undefined ? undefined : before.serviceGroups.get(group)
    const unheard = sg?.serviceUnits.find((u) => nodeOf(state, u.node).membership === 'UNKNOWN')
    if (unheard) return `node ${unheard.node} has not been heard of by this director yet`
    if (sg && groupOf(state, sg.name).swap) return `a swap in ${sg.name} is not finished`
  }
  return null
}

/** Keys of a component that say what it is: its unit must be down when they change. */
const COMPONENT_NATURE: readonly string[] = ['category', 'serviceUnit', 'serviceGroup', 'node']
const UNIT_PLACE: readonly string[] = ['serviceGroup', 'node']

/** Units that change in a way that nothing of them may run meanwhile, each with the place of a first reason. */
function unitsThatMustBeDown(
  change: ModelChange,
  before: Model,
  after: Model,
): Map<ServiceUnitModel, Problem> {
  const down = new Map<ServiceUnitModel, Problem>()
  const add = (unit: ServiceUnitModel | undefined, path: readonly string[], what: string): void => {
    if (unit && !down.has(unit)) down.set(unit, { path, message: what })
  }
  for (const { class: kind, name, path } of change.removed) {
    if (kind === 'serviceUnit') add(before.serviceUnits.get(name), path, 'cannot be removed')
    if (kind === 'component') add(unitOfComponent(before, name), path, 'cannot be removed')
  }
  for (const { class: kind, name, path } of change.added) {
    const unit = kind === 'component' ? unitOfComponent(after, name) : undefined
    add(before.serviceUnits.get(unit?.name ?? ''), path, 'cannot be added')
  }
  for (const { class: kind, name, path, keys } of change.modified) {
    const key = keys.find((each) =>
      (kind === 'serviceUnit' ? UNIT_PLACE : COMPONENT_NATURE).includes(each),
    )
    if (key === undefined) continue
    if (kind === 'serviceUnit') add(before.serviceUnits.get(name), [...path, key], 'cannot change')
    if (kind !== 'component') continue
    add(unitOfComponent(before, name), [...path, key], 'cannot change')
    const to = unitOfComponent(after, name)?.name ?? ''
    add(before.serviceUnits.get(to), [...path, key], 'cannot change')
  }
  return down
}

function unitProblems(
  change: ModelChange,
  before: Model,
  after: Model,
  state: EngineState,
): Problem[] {
  const problems: Problem[] = []
  for (const [unit, { path, message }] of unitsThatMustBeDown(change, before, after)) {
    const why = whyNotDown(state, unit)
    if (why !== null) problems.push({ path, message: `${message}: ${why}` })
  }
  return problems
}

function whyNotDown(state: EngineState, unit: ServiceUnitModel): string | null {
  const group = groupOf(state, unit.serviceGroup)
  const admin = unitAdmin(group, unit, nodeOf(state, unit.node))
  if (admin !== 'LOCKED_INSTANTIATION') {
    const { name } = unit
    return `${name} is ${admin}; "holdfast lock ${name}", then "holdfast lock-instantiation ${name}"`
  }
  const up = unit.components.find(({ name }) => {
    const component = group.components.get(name)
    const isDown = ['UNINSTANTIATED', 'INSTANTIATION_FAILED'].includes(component?.presence ?? '')
    return !isDown || component?.work !== null || component.assignments.size > 0
  })
  return up ? `${up.name} still runs; wait until ${unit.name} is UNINSTANTIATED` : null
}

/** Instances that change in a way that nobody may serve them meanwhile. */
function instanceProblems(
  change: ModelChange,
  before: Model,
  after: Model,
  state: EngineState,
): Problem[] {
  const problems = new Map<string, Problem>()
  const needsLock = (instance: ServiceInstanceModel | undefined, ref: ChangedEntity): void => {
    if (!instance || problems.has(instance.name)) return
    const why = whyServed(before, state, instance)
    if (why !== null) problems.set(instance.name, { path: ref.path, message: why })
  }
  for (const ref of change.removed) {
    if (ref.class === 'serviceInstance') needsLock(before.serviceInstances.get(ref.name), ref)
    if (ref.class === 'csi') needsLock(instanceOfCsi(before, ref.name), ref)
  }
  for (const ref of change.added) {
    if (ref.class !== 'csi') continue
    needsLock(before.serviceInstances.get(instanceOfCsi(after, ref.name)?.name ?? ''), ref)
  }
  for (const ref of change.modified) {
    if (ref.class === 'csi' && ref.keys.some((key) => key !== 'attributes')) {
      needsLock(instanceOfCsi(before, ref.name), ref)
      needsLock(before.serviceInstances.get(instanceOfCsi(after, ref.name)?.name ?? ''), ref)
    }
    if (ref.class !== 'serviceInstance') continue
    const instance = before.serviceInstances.get(ref.name)
    const isMoved = ref.keys.includes('serviceGroup')
    if (isMoved || takesUnservedSponsor(ref, before, after, state)) needsLock(instance, ref)
  }
  return [...problems.values()]
}

function whyServed(
  model: Model,
  state: EngineState,
  instance: ServiceInstanceModel,
): string | null {
  const group = groupOf(state, instance.serviceGroup)
  const own = group.instances.get(instance.name)?.admin ?? 'LOCKED'
  const admin = strictest([own, groupAdmin(group)])
  const { name } = instance
  if (admin === 'UNLOCKED' || admin === 'SHUTTING_DOWN') {
    return `${name} is ${admin} and may be served; "holdfast lock ${name}" first`
  }
  const units = model.serviceGroups.get(instance.serviceGroup)?.serviceUnits ?? []
  const isHeld =
    units.some((unit) => holdsInstance(group, unit, instance)) ||
    instance.csis.some((csi) => (group.csis.get(csi.name)?.grants.length ?? 0) > 0)
  return isHeld ? `${name} is still assigned; wait until it is UNASSIGNED` : null
}

/** A new dependency on somebody who is not served would take the work away from a serving instance. */
function takesUnservedSponsor(
  { name, keys }: ChangedEntity,
  before: Model,
  after: Model,
  state: EngineState,
): boolean {
  if (!keys.includes('dependsOn')) return false
  const old = new Set(before.serviceInstances.get(name)?.dependsOn.map((d) => d.serviceInstance))
  const added = after.serviceInstances.get(name)?.dependsOn ?? []
  return added.some(({ serviceInstance: sponsor }) => {
    if (old.has(sponsor)) return false
    const model = before.serviceInstances.get(sponsor)
    return !model || !isServed(before, groupOf(state, model.serviceGroup), model)
  })
}

function isServed(model: Model, group: GroupState, instance: ServiceInstanceModel): boolean {
  const units = model.serviceGroups.get(group.name)?.serviceUnits ?? []
  return units.some((unit) => unitRole(group, unit, instance, 'confirmed') === 'ACTIVE')
}

/** Limits of a serving group are not lowered below what it uses. Preferred numbers of instances may be. */
function limitProblems(
  change: ModelChange,
  before: Model,
  after: Model,
  state: EngineState,
): Problem[] {
  const problems: Problem[] = []
  for (const { class: kind, name, path, keys } of change.modified) {
    if (kind === 'component' && keys.includes('csTypes')) {
      const unit = unitOfComponent(before, name)
      if (unit && holdsAnything(groupOf(state, unit.serviceGroup), unit)) {
        const message = `${unit.name} has work by the old capabilities; "holdfast lock ${unit.name}" first`
        problems.push({ path: [...path, 'csTypes'], message })
      }
    }
    const sg = kind === 'serviceGroup' ? before.serviceGroups.get(name) : undefined
    const to = after.serviceGroups.get(name)
    if (!sg || !to) continue
    const used = usedOf(sg, groupOf(state, name))
    for (const [key, inUse] of Object.entries(used) as [keyof typeof used, number][]) {
      if (!keys.includes(key) || to[key] >= sg[key] || to[key] >= inUse) continue
      const message = `${String(inUse)} are in use; "holdfast lock ${name}" first, or not below that`
      problems.push({ path: [...path, key], message })
    }
  }
  return problems
}

type Limit =
  | 'maxActiveSIsPerSU'
  | 'maxStandbySIsPerSU'
  | 'preferredActiveSUs'
  | 'preferredStandbySUs'
  | 'preferredAssignedSUs'

function usedOf(sg: ServiceGroupModel, group: GroupState): Record<Limit, number> {
  const loads = sg.serviceUnits.map((unit) => {
    const roles = sg.serviceInstances.map((i) => unitRole(group, unit, i, 'effective'))
    const standby = roles.filter((role) => role === 'STANDBY').length
    return { standby, active: roles.filter((role) => role !== null).length - standby }
  })
  return {
    maxActiveSIsPerSU: Math.max(0, ...loads.map(({ active }) => active)),
    maxStandbySIsPerSU: Math.max(0, ...loads.map(({ standby }) => standby)),
    preferredActiveSUs: loads.filter(({ active }) => active > 0).length,
    preferredStandbySUs: loads.filter(({ standby }) => standby > 0).length,
    preferredAssignedSUs: loads.filter(({ active, standby }) => active + standby > 0).length,
  }
}

/** Every CSI keeps a node that holds all that was acknowledged, with a unit that may become ACTIVE there. */
function copyProblems(
  change: ModelChange,
  before: Model,
  after: Model,
  state: EngineState,
): Problem[] {
  const problems: Problem[] = []
  for (const name of changedGroups(change, before, after)) {
    const sg = after.serviceGroups.get(name)
    if (!sg || !before.serviceGroups.has(name)) continue
    const hosts = new Set(sg.serviceUnits.map(({ node }) => node))
    const group = groupOf(state, sg.name)
    for (const instance of sg.serviceInstances) {
      const lost = instance.csis.find((csi) => {
        const inSync = group.csis.get(csi.name)?.inSync
        return inSync != null && inSync.length > 0 && !inSync.some((node) => hosts.has(node))
      })
      if (!lost) continue
      const where = group.csis.get(lost.name)?.inSync?.join(', ') ?? ''
      const message = `what was acknowledged is only on ${where}, which has no service unit any more; let another node catch up first`
      const path = ['serviceGroups', sg.name, 'serviceInstances', instance.name]
      problems.push({ path, message })
    }
  }
  return problems
}
