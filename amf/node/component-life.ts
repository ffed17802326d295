import type { CsiDescriptor, HaReadiness, HaState, Recovery } from '../../runtime/internal.ts'
import type { StandbyPlace } from '../engine/contract.ts'
import type { ComponentProcess } from './component-ports.ts'

/** One CSI that the component has, or was asked to take. */
export interface Assignment {
  haState: HaState
  epoch: number
  confirmed: boolean
  /** This node's replica was made primary for it, and not released since. */
  isPrimary: boolean
  /** The callback that brought it here. */
  invocation: number
  /** What it was told of its place, as a STANDBY. */
  told: StandbyPlace | null
}

/** A callback that has not been answered. */
export interface Pending {
  readonly kind:
    'csiSet' | 'quiescing' | 'csiRemove' | 'terminate' | 'healthCheck' | 'instantiate' | 'cleanup'
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
  /** Newest invocation of the director by CSI: a repeated batch must not bring back an older one. */
  readonly newest: Map<string, number>
  /** What it said, by CSI; null: all others. */
  readonly haReadiness: Map<string | null, HaReadiness>
  /** What a component that is not pre-instantiable runs for. */
  readonly assigned: CsiDescriptor | null
  /** Who acts for a component without a process of its own. */
  readonly mediator: string | null
}

type Origin = Pick<Life, 'assigned' | 'mediator'>

/** A fresh life: nothing said, nothing assigned. */
export function startLife(incarnation: number, process: ComponentProcess, origin: Origin): Life {
  const nothing = { caller: null, address: null }
  const maps = {
    assignments: new Map(),
    pending: new Map(),
    newest: new Map(),
    haReadiness: new Map(),
  }
  return { incarnation, process, ...nothing, ...maps, ...origin }
}

/** True for a command about a CSI that a newer one has overtaken; else notes it as the newest. */
export function isOvertaken(life: Life, csi: string, invocation: number): boolean {
  if (invocation < (life.newest.get(csi) ?? 0)) return true
  life.newest.set(csi, invocation)
  return false
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

/** What happens when the process of the present life has ended. */
export type End =
  /** `clean`: it said itself that nothing of it is left. */
  | { readonly kind: 'terminated'; readonly clean?: true }
  | { readonly kind: 'failed'; readonly recovery: Recovery; readonly cause: string | null }
  /** `final`: there is no sense in another attempt. */
  | {
      readonly kind: 'retry'
      readonly attempt: number
      readonly cause: string | null
      readonly final?: boolean
    }

export type Phase =
  | {
      readonly kind: 'idle'
      readonly presence: 'UNINSTANTIATED' | 'INSTANTIATION_FAILED' | 'TERMINATION_FAILED'
    }
  /** Launched and not registered. */
  | { readonly kind: 'starting'; readonly life: Life; readonly attempt: number }
  /** Between two attempts. */
  | { readonly kind: 'pausing'; readonly attempt: number; readonly timer: NodeJS.Timeout }
  | { readonly kind: 'running'; readonly life: Life }
  /** Being ended: by its terminate callback, or by SIGKILL. */
  | { readonly kind: 'ending'; readonly life: Life; readonly end: End }
  /** Its process is gone, and its clean-up runs, or has failed and waits for a repair. */
  | { readonly kind: 'cleaning'; readonly life: Life; readonly end: End; readonly failed?: true }
