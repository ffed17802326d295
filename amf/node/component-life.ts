import type { HaState } from '../../runtime/internal.ts'
import type { AgentEvent } from '../director/interface.ts'
import type { ComponentProcess, CsiSetCommand } from './component-ports.ts'

/** One CSI that the component has, or was asked to take. */
export interface Assignment {
  haState: HaState
  epoch: number
  confirmed: boolean
  /** The callback that brought it here. */
  invocation: number
}

/** A callback that has not been answered. */
export interface Pending {
  readonly kind: 'csiSet' | 'quiescing' | 'csiRemove' | 'terminate' | 'healthCheck'
  readonly csi: string
  readonly timer: NodeJS.Timeout | undefined
}

/** One launch of a component, from fork to exit. */
export interface Life {
  readonly incarnation: number
  readonly process: ComponentProcess
  /** The program behind the connection that said `initialize`; null before. */
  caller: string | null
  address: { readonly node: number; readonly port: number } | null
  readonly assignments: Map<string, Assignment>
  readonly pending: Map<number, Pending>
}

/** A fresh life: nothing said, nothing assigned. */
export function startLife(incarnation: number, process: ComponentProcess): Life {
  const nothing = { caller: null, address: null }
  return { incarnation, process, ...nothing, assignments: new Map(), pending: new Map() }
}

/** Forgets a callback: a later answer to it is a late one. */
export function forgetPending(life: Life, invocation: number): Pending | undefined {
  const pending = life.pending.get(invocation)
  if (pending === undefined) return undefined
  clearTimeout(pending.timer)
  life.pending.delete(invocation)
  return pending
}

/** Forgets the callbacks about one CSI (a newer command for it has come), or all. */
export function forgetPendingOf(life: Life, csi?: string): void {
  for (const [invocation, pending] of [...life.pending]) {
    if (csi === undefined || pending.csi === csi) forgetPending(life, invocation)
  }
}

/** Answer to a csiSet as it goes to the director. */
export function csiSetDone(
  component: string,
  life: Life,
  set: Pick<CsiSetCommand, 'invocation' | 'haState'> & { readonly csi: string },
  complete = true,
): AgentEvent {
  const { incarnation } = life
  const { invocation, haState, csi } = set
  return { kind: 'csiSetDone', component, incarnation, csi, haState, invocation, complete }
}
