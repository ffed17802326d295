import type { ComponentModel } from '../model/model.ts'
import type { MediationOrder } from './contract.ts'
import type { Draft } from './draft.ts'
import type { ComponentState } from './state.ts'

/** What is remembered of components that others act for. */

/** The next life under the present mediator: agents tell lives of such a component apart by this number. */
export function renewLife(draft: Draft, component: ComponentState): void {
  const { mediator } = component
  if (mediator) component.mediator = { ...mediator, life: draft.nextInvocation() }
}

export function mediationOrder(
  component: ComponentState,
  kept: MediationOrder['kept'],
): MediationOrder | null {
  const { mediator } = component
  if (!mediator) return null
  return { mediator: mediator.component, incarnation: mediator.life, kept }
}

/** A proxied component lives longer than a director and its proxies: that it may live is recorded. */
export function persistAlive(
  draft: Draft,
  model: ComponentModel,
  presence: 'INSTANTIATING' | 'INSTANTIATED' | null,
): void {
  if (model.mediation?.kind !== 'proxied') return
  const why = presence ? `${model.name} is ${presence}` : `nothing of ${model.name} is left`
  draft.persist(`proxied/${model.name}`, presence && { presence }, why)
}
