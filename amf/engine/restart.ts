import type { AdminResult } from './contract.ts'
import type { Draft } from './draft.ts'
import { unitsInScope } from './entities.ts'
import { restartComponent } from './presence.ts'
import { componentState, unitOperational } from './readiness.ts'
import type { ComponentModel } from '../model/model.ts'
import { CLASS_WORDS, refuse, type Refusal } from './refusal.ts'
import { isSettled } from './roles.ts'
import type { EntityClass, OperationState } from './state.ts'

/** Administrative restart in place: processes end in good order and start again with the assignments they had. */

export function checkRestart(draft: Draft, kind: EntityClass, entity: string): Refusal | null {
  if (kind !== 'serviceUnit' && kind !== 'component') {
    return refuse('NOT_SUPPORTED', `restart is not defined for ${CLASS_WORDS[kind]} ${entity}`)
  }
  for (const model of componentsInScope(draft, entity)) {
    const component = componentState(draft.peekGroup(model.serviceGroup), model)
    if (component.presence === 'RESTARTING') {
      return refuse('TRY_AGAIN', `${model.name} is restarting already`)
    }
    if (component.presence !== 'INSTANTIATED' || component.failed) {
      const message = `${model.name} is ${component.presence}: only what runs can be restarted`
      return refuse('BAD_OPERATION', message)
    }
    if (model.disableRestart) {
      return refuse(
        'NOT_SUPPORTED',
        `${model.name} may not be restarted in place; swap or lock first`,
      )
    }
  }
  return null
}

function componentsInScope(draft: Draft, entity: string): readonly ComponentModel[] {
  const all = unitsInScope(draft.model, entity).flatMap((unit) => unit.components)
  const own = all.filter((model) => model.name === entity)
  return own.length > 0 ? own : all
}

/** Process lives now: the restart is done when all are newer. */
export function livesOf(draft: Draft, entity: string): Record<string, number> {
  return Object.fromEntries(
    componentsInScope(draft, entity).map((model) => {
      const component = componentState(draft.peekGroup(model.serviceGroup), model)
      return [model.name, component.incarnation]
    }),
  )
}

/** Orders what was not ordered yet (a new director begins again where the old one stopped), or says how it ended. */
export function continueRestart(draft: Draft, operation: OperationState): AdminResult | null {
  const models = componentsInScope(draft, operation.entity)
  const unit = unitsInScope(draft.model, operation.entity)[0]
  if (!unit) return refuse('NOT_EXIST', `${operation.entity} is gone`)
  const group = draft.peekGroup(unit.serviceGroup)
  if (unitOperational(group, unit) === 'DISABLED') {
    return refuse('FAILED_OPERATION', `${unit.name} failed while it was restarted`)
  }
  const isOld = (model: ComponentModel): boolean =>
    componentState(group, model).incarnation <= (operation.lives[model.name] ?? 0)
  const old = models.filter(isOld)
  const state = group.units.get(unit.name)
  if (operation.entity === unit.name) {
    const fresh = old.length === models.length && models.every((m) => isIdle(draft, m))
    if (fresh && state?.restart === null) {
      const units = draft.group(unit.serviceGroup).units
      const own = units.get(unit.name)
      if (own) own.restart = 'down'
      return null
    }
  } else {
    for (const model of old) {
      if (!isIdle(draft, model)) continue
      restartComponent(
        draft,
        draft.group(model.serviceGroup),
        model,
        `operator restarts ${model.name}`,
      )
    }
  }
  const isBack = old.length === 0 && models.every((model) => isIdle(draft, model))
  return isBack && isSettled(group) ? { ok: true } : null
}

function isIdle(draft: Draft, model: ComponentModel): boolean {
  const component = componentState(draft.peekGroup(model.serviceGroup), model)
  return component.presence === 'INSTANTIATED' && component.work === null
}
