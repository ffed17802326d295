import type { HaState } from '../../runtime/internal.ts'
import type { ComponentFacts } from '../engine/engine.ts'

/** One role of a process as it really is. */
export interface VirtualRole {
  /** What it may still be doing: an ACTIVE counts from the asking to the confirmed end. */
  readonly haState: HaState
  readonly asked: HaState
  readonly epoch: number
  readonly confirmed: boolean
  /** It answers calls: from the confirmed ACTIVE until it is asked to stop. */
  readonly serves: boolean
}

/** One component as it really is on its node: the truth that the engine only hears of. */
export interface VirtualProcess {
  readonly presence: 'UNINSTANTIATED' | 'INSTANTIATING' | 'INSTANTIATED' | 'TERMINATING'
  readonly incarnation: number
  /** Who acts for it and where, for one without a process of its own. */
  readonly mediator: { readonly component: string; readonly node: string } | null
  readonly roles: ReadonlyMap<string, VirtualRole>
}

export const NO_PROCESS: VirtualProcess = {
  presence: 'UNINSTANTIATED',
  incarnation: 0,
  mediator: null,
  roles: new Map(),
}

export function withRole(
  actual: VirtualProcess,
  csi: string,
  role: VirtualRole | null,
): VirtualProcess {
  const roles = new Map(actual.roles)
  if (role) roles.set(csi, role)
  else roles.delete(csi)
  return { ...actual, roles }
}

/** What the agent of its node tells a director about it. */
export function factsOf(component: string, actual: VirtualProcess): ComponentFacts {
  const { presence, incarnation, roles } = actual
  const isUp = presence === 'INSTANTIATED' || presence === 'TERMINATING'
  return {
    component,
    presence,
    incarnation,
    pid: isUp ? incarnation : null,
    address: isUp ? addressOf(incarnation) : null,
    mediator: actual.mediator?.component ?? null,
    assignments: [...roles].map(([csi, { asked, epoch, confirmed }]) => ({
      csi,
      haState: asked,
      epoch,
      confirmed,
    })),
  }
}

export function addressOf(incarnation: number): { node: number; port: number } {
  return { node: 1, port: 1_024 + (incarnation % 60_000) }
}
