import type { ComponentModel, ServiceUnitModel } from '../model/model.ts'
import type { AdminResult } from './contract.ts'
import type { Draft } from './draft.ts'
import { componentsInScope, unitsInScope } from './entities.ts'
import { hasFailedPresence, restartComponent } from './presence.ts'
import { componentState, unitOperational } from './readiness.ts'
import { CLASS_WORDS, refuse, type Refusal } from './refusal.ts'
import { holdsAnything, isSettled } from './roles.ts'
import type { ComponentState, EntityClass, OperationState, UnitState } from './state.ts'

/**
 * Restarts: processes end in good order and start again with the assignments they had. What may not be restarted in
 * place gives up its assignments first. SAF AMF B.04.01 sections 3.11.1.3 (application restart) and 9.
 */

export function checkRestart(draft: Draft, { kind, entity }: OperationState): Refusal | null {
  if (!RESTARTABLE.has(kind)) {
    return refuse('NOT_SUPPORTED', `restart is not defined for ${CLASS_WORDS[kind]} ${entity}`)
  }
  const models = componentsInScope(draft.model, entity, kind)
  const states = models.map((model) => stateOf(draft, model))
  const moving = states.find(({ presence, work }) => TRANSITIONAL.has(presence) || work !== null)
  if (moving) return refuse('TRY_AGAIN', `${moving.name} is ${moving.presence}`)
  const isUp = (c: ComponentState): boolean => c.presence === 'INSTANTIATED' && !c.failed
  const down = states.find((component) => !isUp(component))
  const isWide = kind === 'application' || kind === 'cluster'
  if (isWide ? states.some(isUp) : !down) return null
  const what = down ? `${down.name} is ${down.presence}` : `${entity} has no component`
  return refuse('BAD_OPERATION', `${what}: only what runs can be restarted`)
}

const RESTARTABLE: ReadonlySet<EntityClass> = new Set([
  'serviceUnit',
  'component',
  'application',
  'cluster',
])

const TRANSITIONAL: ReadonlySet<string> = new Set(['INSTANTIATING', 'TERMINATING', 'RESTARTING'])

function stateOf(draft: Draft, model: ComponentModel): ComponentState {
  return componentState(draft.peekGroup(model.serviceGroup), model)
}

/** Process lives now: the restart is done when all are over and what should run is back. */
export function livesOf(draft: Draft, entity: string, kind: EntityClass): Record<string, number> {
  const up = componentsInScope(draft.model, entity, kind).flatMap((model) => {
    const component = stateOf(draft, model)
    return component.presence === 'INSTANTIATED' ? [component] : []
  })
  return Object.fromEntries(up.map(({ name, incarnation }) => [name, incarnation]))
}

/** Orders what was not ordered yet (a new director begins again where the old one stopped), or says how it ended. */
export function continueRestart(draft: Draft, operation: OperationState): AdminResult | null {
  const { kind, entity } = operation
  if (kind === 'application' || kind === 'cluster') return continueWide(draft, operation)
  const models = componentsInScope(draft.model, entity, kind)
  const unit = unitsInScope(draft.model, entity, kind)[0]
  if (!unit) return refuse('NOT_EXIST', `${entity} is gone`)
  const group = draft.peekGroup(unit.serviceGroup)
  const broken = models.find((model) => hasFailedPresence(stateOf(draft, model)))
  if (broken) return repairPending(draft, broken)
  if (unitOperational(group, unit) === 'DISABLED') {
    return refuse('FAILED_OPERATION', `${unit.name} failed while it was restarted`)
  }
  const old = models.filter((model) => !isOver(draft, operation, model))
  const restart = group.units.get(unit.name)?.restart ?? null
  const isFresh = old.length === models.length && models.every((m) => isIdle(draft, m))
  // With a part of the unit back already, the rest goes on as it was ordered.
  if (isFresh && (restart === null || restart === 'move')) {
    const mayStay = models.every((model) => !model.disableRestart)
    const mustMove = !mayStay && holdsAnything(group, unit)
    if (mustMove) setRestart(draft, unit.name, 'move')
    else if (kind === 'serviceUnit') setRestart(draft, unit.name, 'down')
    else {
      if (restart === 'move') setRestart(draft, unit.name, null)
      for (const model of old) {
        const own = draft.group(model.serviceGroup)
        restartComponent(draft, own, model, `operator restarts ${model.name}`)
      }
    }
    return null
  }
  if (old.length > 0 || !isSettled(group)) return null
  if (models.every((model) => isIdle(draft, model))) return { ok: true }
  const unassigned = models.find((model) => isUnassigned(draft, model))
  const isRest = models.every((model) => isIdle(draft, model) || isUnassigned(draft, model))
  if (!unassigned || !isRest) return null
  return refuse('INTERRUPT', `${unassigned.name} lost its assignment and runs with one only`)
}

/** What is not pre-instantiable and has nothing to run for. */
function isUnassigned(draft: Draft, model: ComponentModel): boolean {
  const { presence, work, assignments } = stateOf(draft, model)
  if (model.preInstantiable || work !== null || presence !== 'UNINSTANTIATED') return false
  return assignments.size === 0
}

function setRestart(draft: Draft, unit: string, restart: UnitState['restart']): void {
  const groupName = draft.model.serviceUnits.get(unit)?.serviceGroup ?? ''
  if (draft.peekGroup(groupName).units.get(unit)?.restart === restart) return
  const state = draft.group(groupName).units.get(unit)
  if (state) state.restart = restart
}

/**
 * Everything of the scope goes down before anything of it comes up again; what others act for goes before them. Without
 * its proxy it waits for the next one, which comes up first and cleans it up.
 */
function continueWide(draft: Draft, operation: OperationState): AdminResult | null {
  const { entity, kind } = operation
  const models = componentsInScope(draft.model, entity, kind)
  const units = unitsInScope(draft.model, entity, kind)
  if (units.some((unit) => draft.peekNode(unit.node).membership === 'UNKNOWN')) return null
  const old = stillOld(draft, operation)
  if (old.length > 0) {
    const mediated = old.filter((model) => model.mediation !== null)
    const next = mediated.length > 0 ? mediated : old
    for (const unit of units) {
      const { restart } = draft.peekGroup(unit.serviceGroup).units.get(unit.name) ?? {}
      // Not to wait for a successor either: that one is held as well.
      const isFree = restart === null || restart === 'move'
      if (isFree && unit.components.some((model) => next.includes(model))) {
        setRestart(draft, unit.name, 'held')
      }
    }
    return null
  }
  for (const unit of units) {
    const { restart } = draft.peekGroup(unit.serviceGroup).units.get(unit.name) ?? {}
    if (restart === 'held' && !isHeldFor(draft, unit, operation)) {
      setRestart(draft, unit.name, null)
    }
  }
  const groups = new Set(units.map((unit) => unit.serviceGroup))
  if (draft.hasTouched() || ![...groups].every((name) => isSettled(draft.peekGroup(name)))) {
    return null
  }
  const broken = models.find(
    (model) => model.name in operation.lives && hasFailedPresence(stateOf(draft, model)),
  )
  return broken ? repairPending(draft, broken) : { ok: true }
}

/** What lives on in the scope of a wide restart and has to go down first. */
function stillOld(draft: Draft, operation: OperationState): readonly ComponentModel[] {
  return componentsInScope(draft.model, operation.entity, operation.kind).filter(
    (model) =>
      !isOver(draft, operation, model) &&
      !hasFailedPresence(stateOf(draft, model)) &&
      !waitsForProxy(draft, model),
  )
}

/** Another restart around the unit is not that far: it lets go of it itself. */
function isHeldFor(draft: Draft, unit: ServiceUnitModel, than: OperationState): boolean {
  return draft.operations.some(
    (other) =>
      other.operation === 'restart' &&
      other.result === null &&
      other.id !== than.id &&
      (other.kind === 'application' || other.kind === 'cluster') &&
      unitsInScope(draft.model, other.entity, other.kind).includes(unit) &&
      stillOld(draft, other).length > 0,
  )
}

function waitsForProxy(draft: Draft, model: ComponentModel): boolean {
  const { mediator, work } = stateOf(draft, model)
  return model.mediation !== null && mediator === null && work?.kind === 'cleanup'
}

/** The life that the restart found is proven gone, or there was none. Another life is always a later one. */
function isOver(draft: Draft, { lives }: OperationState, model: ComponentModel): boolean {
  const component = stateOf(draft, model)
  const life = lives[model.name] ?? 0
  return component.incarnation !== life || component.endedIncarnation >= life
}

function isIdle(draft: Draft, model: ComponentModel): boolean {
  const { presence, work } = stateOf(draft, model)
  return presence === 'INSTANTIATED' && work === null
}

export function repairPending(draft: Draft, model: ComponentModel): Refusal {
  const { presence } = stateOf(draft, model)
  return refuse('REPAIR_PENDING', `${model.name} is ${presence}; repair it`)
}
