import type { ComponentModel } from '../model/model.ts'
import { forgetPending, type Life, type Pending } from './component-life.ts'
import type { CallbackClient, RunnerPorts } from './component-ports.ts'
import { textOf } from './exit-text.ts'

const oneWay = { oneWay: true } as const

/**
 * The life-cycle of a component without a process of its own, as callbacks to its proxy or container. SAF AMF B.04.01
 * section 5: for one that is not pre-instantiable ACTIVE and removal of its CSI are instantiation and termination.
 */
export class MediatedLife {
  #model: ComponentModel
  readonly #ports: Pick<RunnerPorts, 'callbacks' | 'nextInvocation'>

  constructor(model: ComponentModel, ports: Pick<RunnerPorts, 'callbacks' | 'nextInvocation'>) {
    this.#model = model
    this.#ports = ports
  }

  /** Goes by another version of the component's model. */
  useModel(model: ComponentModel): void {
    this.#model = model
  }

  /** The answer, or the registration, is waited for by the instantiation's own time-out. */
  instantiate(life: Life, onFailure: (cause: string) => void): void {
    const component = this.#model.name
    const { assigned: descriptor } = life
    this.#ask(life, { kind: 'instantiate', onFailure }, (client, invocation) => {
      if (descriptor !== null) {
        const { haState } = descriptor
        return client.csiSet({ invocation, component, haState, descriptor }, oneWay)
      }
      return this.#model.mediation?.kind === 'contained'
        ? client.containedComponentInstantiate({ invocation, component }, oneWay)
        : client.proxiedComponentInstantiate({ invocation, component }, oneWay)
    })
  }

  /** The end is waited for by the time-out of the termination. */
  terminate(life: Life, onFailure: () => void): void {
    const component = this.#model.name
    const csi = life.assigned?.csi ?? [...life.assignments.keys()][0]
    this.#ask(life, { kind: 'terminate', onFailure }, (client, invocation) =>
      this.#model.preInstantiable || csi === undefined
        ? client.terminate({ invocation, component }, oneWay)
        : client.csiRemove({ invocation, component, csi, flags: 'TARGET_ONE' }, oneWay),
    )
  }

  /** `onFailure` also when there is no answer in time; an answer comes by `Cpm.response`. */
  cleanup(life: Life, onFailure: (cause: string) => void): void {
    const component = this.#model.name
    const timeoutMs = this.#model.terminateTimeoutMs
    this.#ask(life, { kind: 'cleanup', onFailure, timeoutMs }, (client, invocation) =>
      this.#model.mediation?.kind === 'contained'
        ? client.containedComponentCleanup({ invocation, component }, oneWay)
        : client.proxiedComponentCleanup({ invocation, component }, oneWay),
    )
  }

  #ask(
    life: Life,
    ask: {
      readonly kind: Pending['kind']
      readonly onFailure: (cause: string) => void
      readonly timeoutMs?: number
    },
    call: (client: CallbackClient, invocation: number) => Promise<unknown>,
  ): void {
    const { kind, onFailure, timeoutMs } = ask
    const what = `${kind} of ${this.#model.name} by ${life.mediator ?? 'nobody'}`
    if (life.caller === null) return onFailure(`${what}: that one is not here`)
    const invocation = this.#ports.nextInvocation()
    const fail = (how: string): void => {
      if (forgetPending(life, invocation)) onFailure(`${what} ${how}`)
    }
    const late = (): void => fail(`was not answered within ${timeoutMs ?? 0} ms`)
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs)
    life.pending.set(invocation, { kind, csi: '', timer })
    call(this.#ports.callbacks(life.caller), invocation).catch((error: unknown) =>
      fail(`could not be delivered: ${textOf(error)}`),
    )
  }
}
