import type { AgentEvent } from '../director/interface.ts'
import type { ComponentModel } from '../model/model.ts'
import {
  forgetPending,
  forgetPendingOf,
  isOvertaken,
  type Life,
  type Pending,
} from './component-life.ts'
import type {
  CallbackClient,
  CsiRemoveCommand,
  CsiSetCommand,
  RunnerPorts,
} from './component-ports.ts'
import { textOf } from './exit-text.ts'

type Ports = Pick<
  RunnerPorts,
  'callbacks' | 'becomePrimary' | 'releasePrimary' | 'roleEnded' | 'emit'
>

const oneWay = { oneWay: true } as const

/**
 * Passes roles on to a registered component and reports its answers. An answer with an error, a late one, or a callback
 * that cannot be delivered means that the component has failed.
 */
export class ComponentRoles {
  #model: ComponentModel
  readonly #ports: Ports
  readonly #fail: (life: Life, cause: string) => void

  constructor(model: ComponentModel, ports: Ports, fail: (life: Life, cause: string) => void) {
    this.#model = model
    this.#ports = ports
    this.#fail = fail
  }

  useModel(model: ComponentModel): void {
    this.#model = model
  }

  set(life: Life, command: CsiSetCommand): void {
    const { haState, descriptor, invocation } = command
    const { csi, epoch } = descriptor
    if (life.pending.has(invocation) || isOvertaken(life, csi, invocation)) return
    const known = life.assignments.get(csi)
    if (known?.invocation === invocation && known.confirmed) {
      this.#report(life, { invocation, haState, csi })
      return
    }
    forgetPendingOf(life, csi)
    const takesCheckpoint = haState === 'ACTIVE' && command.replicas.length > 0
    const isPrimary = takesCheckpoint || known?.isPrimary === true
    const { standbyRank, activeComponent } = descriptor
    const told = haState === 'STANDBY' ? { standbyRank, activeComponent } : null
    life.assignments.set(csi, { haState, epoch, confirmed: false, isPrimary, invocation, told })
    const kind = haState === 'QUIESCING' ? 'quiescing' : 'csiSet'
    const what = `csiSet ${haState} of ${csi}`
    this.#await(life, invocation, { kind, csi }, { timeoutMs: this.#model.csiSetTimeoutMs, what })
    try {
      if (takesCheckpoint) this.#ports.becomePrimary(command)
    } catch (error) {
      this.#fail(life, `the checkpoint of ${csi} could not change hands: ${textOf(error)}`)
      return
    }
    this.#sendSet(life, command)
  }

  remove(life: Life, command: CsiRemoveCommand): void {
    const { csi, invocation } = command
    if (life.pending.has(invocation) || isOvertaken(life, csi, invocation)) return
    if (!life.assignments.has(csi)) {
      this.#removed(life, csi, invocation)
      return
    }
    forgetPendingOf(life, csi)
    const what = `csiRemove of ${csi}`
    const timeoutMs = this.#model.csiRemoveTimeoutMs
    this.#await(life, invocation, { kind: 'csiRemove', csi }, { timeoutMs, what })
    const component = this.#model.name
    const flags = 'TARGET_ONE'
    this.#deliver(life, what, (client) =>
      client.csiRemove({ invocation, component, csi, flags, timeoutMs }, oneWay),
    )
  }

  /** A callback was answered with OK. */
  answered(life: Life, invocation: number, { kind, csi }: Pending): void {
    if (kind === 'csiSet') this.#confirm(life, csi, invocation)
    else if (kind === 'csiRemove') this.#removed(life, csi, invocation)
    else if (kind === 'quiescing') {
      const what = `quiescing of ${csi}`
      const timeoutMs = this.#model.quiescingTimeoutMs
      this.#await(life, invocation, { kind, csi }, { timeoutMs, what })
      this.#report(life, { invocation, haState: 'QUIESCING', csi }, false)
    }
  }

  quiesced(life: Life, invocation: number, rc: number): void {
    if (life.pending.get(invocation)?.kind !== 'quiescing') return
    const csi = forgetPending(life, invocation)?.csi ?? ''
    if (rc !== 0) return this.#fail(life, `quiescing of ${csi} failed with ${rc}`)
    const assignment = life.assignments.get(csi)
    if (assignment === undefined) return
    assignment.haState = 'QUIESCED'
    assignment.confirmed = true
    this.#release(life, csi)
    this.#ports.roleEnded(this.#model.name, csi)
    this.#report(life, { invocation, haState: 'QUIESCING', csi })
  }

  #sendSet(life: Life, command: CsiSetCommand): void {
    const { invocation, haState, descriptor } = command
    const component = this.#model.name
    const { csiSetTimeoutMs, quiescingTimeoutMs } = this.#model
    const timeoutMs = haState === 'QUIESCING' ? quiescingTimeoutMs : csiSetTimeoutMs
    const set = { invocation, component, haState, descriptor, timeoutMs }
    this.#deliver(life, `csiSet ${haState} of ${descriptor.csi}`, (client) =>
      client.csiSet(set, oneWay),
    )
  }

  #confirm(life: Life, csi: string, invocation: number): void {
    const assignment = life.assignments.get(csi)
    if (assignment === undefined) return
    assignment.confirmed = true
    const { haState } = assignment
    if (haState !== 'ACTIVE') {
      this.#release(life, csi)
      this.#ports.roleEnded(this.#model.name, csi)
    }
    this.#report(life, { invocation, haState, csi })
  }

  #removed(life: Life, csi: string, invocation: number): void {
    this.#release(life, csi)
    life.assignments.delete(csi)
    this.#ports.roleEnded(this.#model.name, csi)
    const { incarnation } = life
    const component = this.#model.name
    this.#ports.emit({ kind: 'csiRemoveDone', component, incarnation, csi, invocation })
  }

  #release(life: Life, csi: string): void {
    const assignment = life.assignments.get(csi)
    if (assignment?.isPrimary !== true) return
    assignment.isPrimary = false
    this.#ports.releasePrimary(csi)
  }

  /** Expects the answer to a callback; without one in time the component has failed. */
  #await(
    life: Life,
    invocation: number,
    about: Pick<Pending, 'kind' | 'csi'>,
    wait: { readonly timeoutMs: number; readonly what: string },
  ): void {
    const { timeoutMs, what } = wait
    const timer = setTimeout(() => {
      this.#fail(life, `no answer to ${what} within ${timeoutMs} ms`)
    }, timeoutMs)
    life.pending.set(invocation, { ...about, timer })
  }

  #deliver(life: Life, what: string, send: (client: CallbackClient) => Promise<unknown>): void {
    if (life.caller === null) return
    send(this.#ports.callbacks(life.caller)).catch((error: unknown) => {
      this.#fail(life, `${what} could not be delivered: ${textOf(error)}`)
    })
  }

  #report(
    life: Life,
    set: Pick<CsiSetCommand, 'invocation' | 'haState'> & { readonly csi: string },
    complete = true,
  ): void {
    const component = this.#model.name
    const { incarnation } = life
    const event: AgentEvent = { kind: 'csiSetDone', component, incarnation, ...set, complete }
    this.#ports.emit(event)
  }
}
