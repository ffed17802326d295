import type { ComponentModel, ServiceGroupModel } from '../model/model.ts'
import { chain, type Draft } from './draft.ts'
import { componentState } from './readiness.ts'
import type { ComponentState, EngineState, GroupState } from './state.ts'

/**
 * Alarms: each is raised once and cleared once, over changes of director too, because which ones are raised is
 * recorded. SAF AMF B.04.01 section 11; `busy` is this project's own.
 */
export const ALARMS = [
  'INSTANTIATION_FAILED',
  'TERMINATION_FAILED',
  'CLUSTER_RESET',
  'UNASSIGNED',
  'UNPROXIED',
  'busy',
] as const
export type Alarm = (typeof ALARMS)[number]

/** What an alarm is about, and why it is raised or cleared. */
export interface AlarmNews {
  readonly entity: string
  readonly alarm: Alarm
  readonly serviceUnit?: string
  readonly serviceInstance?: string
  readonly causes: readonly string[]
}

export function isRaised(group: GroupState, entity: string, alarm: Alarm): boolean {
  return group.alarms.get(entity)?.includes(alarm) === true
}

/** Nothing happens when it is raised already. */
export function raiseAlarm(draft: Draft, group: GroupState, news: AlarmNews): void {
  const { entity, alarm, ...rest } = news
  if (isRaised(group, entity, alarm)) return
  group.alarms = new Map(group.alarms).set(entity, [...(group.alarms.get(entity) ?? []), alarm])
  draft.persist(`alarm/${entity}/${alarm}`, true, chain(news.causes))
  draft.notify(group, { kind: 'alarmRaised', entity, from: null, to: alarm, ...rest })
}

/** @param to - what holds instead. Nothing happens when it is not raised. */
export function clearAlarm(draft: Draft, group: GroupState, to: string, news: AlarmNews): void {
  const { entity, alarm, ...rest } = news
  if (!isRaised(group, entity, alarm)) return
  const left = (group.alarms.get(entity) ?? []).filter((other) => other !== alarm)
  const alarms = new Map(group.alarms)
  if (left.length === 0) alarms.delete(entity)
  else alarms.set(entity, left)
  group.alarms = alarms
  draft.persist(`alarm/${entity}/${alarm}`, null, chain(news.causes))
  draft.notify(group, { kind: 'alarmCleared', entity, from: alarm, to, ...rest })
}

/** Those who wait for the last node to come back plan again: it need not be one of theirs. */
export function touchClusterReset(draft: Draft): void {
  for (const { name, alarms } of draft.groups()) {
    if ([...alarms.values()].some((raised) => raised.includes('CLUSTER_RESET'))) draft.touch(name)
  }
}

/** Of entities that left the model nothing more will be said: their alarms are cleared, and their records go. */
export function forgetAlarms(
  draft: Draft,
  before: EngineState,
  removed: ReadonlySet<string>,
): void {
  for (const { alarms } of before.groups) {
    for (const [entity, raised] of alarms) {
      if (!removed.has(entity)) continue
      for (const alarm of raised) {
        const causes = [`${entity} left the model`]
        draft.persist(`alarm/${entity}/${alarm}`, null, chain(causes))
        draft.notify(null, { kind: 'alarmCleared', entity, from: alarm, to: 'removed', causes })
      }
    }
  }
}

/** Alarms of components follow from what is true of them; nothing is known of those whose node is not heard of. */
export function updateComponentAlarms(
  draft: Draft,
  sg: ServiceGroupModel,
  group: GroupState,
): void {
  for (const unit of sg.serviceUnits) {
    if (draft.peekNode(unit.node).membership === 'UNKNOWN') continue
    for (const model of unit.components) {
      const component = componentState(group, model)
      if (component.busy) raiseBusy(draft, group, model)
      if (component.orphaned) raiseUnproxied(draft, group, model)
      if (component.presence.endsWith('_FAILED')) raiseFailed(draft, group, model, component)
      if (group.alarms.has(model.name)) clearOver(draft, group, model, component)
    }
  }
}

function raiseBusy(draft: Draft, group: GroupState, model: ComponentModel): void {
  const { name: entity, serviceUnit } = model
  const causes = [`${entity} answers late`]
  raiseAlarm(draft, group, { entity, alarm: 'busy', serviceUnit, causes })
}

/** It may live, and nobody acts for it. */
function raiseUnproxied(draft: Draft, group: GroupState, model: ComponentModel): void {
  const { name: entity, serviceUnit } = model
  raiseAlarm(draft, group, { entity, alarm: 'UNPROXIED', serviceUnit, causes: group.causes })
}

function raiseFailed(
  draft: Draft,
  group: GroupState,
  { name: entity, serviceUnit }: ComponentModel,
  { presence }: ComponentState,
): void {
  const alarm = presence === 'TERMINATION_FAILED' ? presence : 'INSTANTIATION_FAILED'
  raiseAlarm(draft, group, { entity, alarm, serviceUnit, causes: group.causes })
}

function clearOver(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  component: ComponentState,
): void {
  const { name: entity, serviceUnit } = model
  const { presence, busy, pid } = component
  for (const alarm of ['INSTANTIATION_FAILED', 'TERMINATION_FAILED'] as const) {
    if (presence === alarm) continue
    clearAlarm(draft, group, 'repaired', { entity, alarm, serviceUnit, causes: group.causes })
  }
  // The cluster is up again when every node that was told to restart has come back.
  if (draft.nodes().every(({ recovery }) => recovery !== 'restart')) {
    const alarm = 'CLUSTER_RESET'
    clearAlarm(draft, group, 'reset', { entity, alarm, serviceUnit, causes: group.causes })
  }
  if (!component.orphaned) {
    const alarm = 'UNPROXIED'
    clearAlarm(draft, group, 'PROXIED', { entity, alarm, serviceUnit, causes: group.causes })
  }
  if (busy) return
  const to = pid === null ? 'gone' : 'in time'
  const causes = pid === null ? group.causes : [`${entity} answers in time`]
  clearAlarm(draft, group, to, { entity, alarm: 'busy', serviceUnit, causes })
}
