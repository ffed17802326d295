import type { Epoch } from '../../ioc/index.ts'
import type { HaState } from '../cpm/interface.ts'
import type { CsiBinding } from './client-table.ts'

/**
 * Where a component stands with one CSI. `promoting`: csiSet(ACTIVE) is running in the component and not answered yet.
 * The others are the standard's states, as last confirmed or, for states that serve nothing, as last asked for.
 */
export type RoleState = HaState | 'promoting'

/** What happens to a call for a CSI, by the role of this component. */
export type Admission =
  /** Run it, and put this epoch on the reply. `csi` is the CSI that lets it run; null when none is needed. */
  | { readonly kind: 'run'; readonly epoch: Epoch; readonly csi: string | null }
  /** The role may come at any moment: keep it until then, or until its deadline. */
  | { readonly kind: 'park' }
  /** The role is being given up: surely not run. */
  | { readonly kind: 'refuse'; readonly state: RoleState }

interface Role {
  readonly state: RoleState
  /** The last confirmed state in the standard's words: what a `promoting` one still is. */
  readonly haState: HaState | null
  readonly epoch: Epoch
}

/**
 * The roles of a component, one for each CSI it was assigned. A core.
 *
 * I1 A call runs only while the CSI it is bound to is ACTIVE, unless it is bound to none. I2 The name of an active is
 * published before its role is confirmed, so a call that reaches a standby waits. I3 Who gives the role up refuses.
 */
export class RoleTable {
  readonly #roles = new Map<string, Role>()

  /** Sets the state of a CSI; null forgets it. */
  set(csi: string, state: RoleState | null, epoch: Epoch): void {
    if (state === null) this.#roles.delete(csi)
    else {
      const haState = state === 'promoting' ? this.haState(csi) : state
      this.#roles.set(csi, { state, haState, epoch })
    }
  }

  state(csi: string): RoleState | null {
    return this.#roles.get(csi)?.state ?? null
  }

  /** The state in the standard's words: while promoting, the one before. */
  haState(csi: string): HaState | null {
    return this.#roles.get(csi)?.haState ?? null
  }

  csis(): string[] {
    return [...this.#roles.keys()]
  }

  /** True from a grant on until the role is given up for good: while the process may do an active's work. */
  holdsActive(): boolean {
    for (const { state } of this.#roles.values()) {
      if (state === 'ACTIVE' || state === 'promoting' || state === 'QUIESCING') return true
    }
    return false
  }

  /** The highest epoch under which this component is ACTIVE, 0 when it is not. */
  epoch(): Epoch {
    let epoch = 0
    for (const role of this.#roles.values()) {
      if (role.state === 'ACTIVE' && role.epoch > epoch) epoch = role.epoch
    }
    return epoch
  }

  /** The epoch under which this component is, or is becoming, ACTIVE for a CSI; 0 when it is not. */
  epochOf(csi: string): Epoch {
    const role = this.#roles.get(csi)
    const isActive = role !== undefined && ['ACTIVE', 'promoting', 'QUIESCING'].includes(role.state)
    return isActive ? role.epoch : 0
  }

  admit(binding: CsiBinding): Admission {
    switch (binding.kind) {
      case 'none':
        return UNBOUND
      case 'csi':
        return admitByRole(binding.csi, this.#roles.get(binding.csi))
      case 'any':
        return this.#admitByAny()
    }
  }

  /**
   * With one ACTIVE CSI the reply carries its epoch. With several it carries none: epochs are compared name by name at
   * the caller, and that of another CSI would make it drop what comes later.
   */
  #admitByAny(): Admission {
    const active: Extract<Admission, { kind: 'run' }>[] = []
    let giving: RoleState | null = null
    let hoping = this.#roles.size === 0
    for (const [csi, role] of this.#roles) {
      const admission = admitByRole(csi, role)
      if (admission.kind === 'run') active.push(admission)
      else if (admission.kind === 'refuse') giving = role.state
      else hoping = true
    }
    const [first] = active
    if (first !== undefined) return active.length === 1 ? first : { ...first, epoch: 0 }
    return hoping || giving === null ? { kind: 'park' } : { kind: 'refuse', state: giving }
  }
}

const UNBOUND: Admission = { kind: 'run', epoch: 0, csi: null }

function admitByRole(csi: string, role: Role | undefined): Admission {
  switch (role?.state) {
    case 'ACTIVE':
      return { kind: 'run', epoch: role.epoch, csi }
    case 'QUIESCING':
    case 'QUIESCED':
      return { kind: 'refuse', state: role.state }
    case 'STANDBY':
    case 'promoting':
    case undefined:
      return { kind: 'park' }
  }
}
