import type { EngineEvent } from '../engine/contract.ts'
import type { Model } from '../model/model.ts'

/** Stands for "whatever life there is" in `terminate` and `cleanup`: no launch ever has this number. */
export const ANY_INCARNATION = 0

/** Which components may have a process, by what agents reported: what stopping the cluster has to wait for. */
export class RunningTable {
  #model: Model
  readonly #running = new Map<string, number>()

  constructor(model: Model) {
    this.#model = model
  }

  /** Components that may have a process, with their incarnation as far as it is known. */
  get components(): ReadonlyMap<string, number> {
    return this.#running
  }

  /** Components that left had no process. */
  useModel(model: Model): void {
    this.#model = model
  }

  /** An agent was told to launch. */
  launching(component: string): void {
    if (!this.#running.has(component)) this.#running.set(component, ANY_INCARNATION)
  }

  observe(event: EngineEvent): void {
    switch (event.kind) {
      case 'nodeJoined':
        this.#forgetNode(event.node)
        for (const facts of event.facts) {
          if (facts.pid !== null) this.#running.set(facts.component, facts.incarnation)
        }
        return
      case 'nodeGone':
        this.#forgetNode(event.node)
        return
      case 'componentRegistered':
        this.#running.set(event.component, event.incarnation)
        return
      case 'componentFailed':
      case 'componentTerminated':
      case 'instantiationFailed':
      case 'cleanupFailed':
        this.#running.delete(event.component)
        return
      default:
        return
    }
  }

  #forgetNode(node: string): void {
    for (const component of [...this.#running.keys()]) {
      if (this.#model.components.get(component)?.node === node) this.#running.delete(component)
    }
  }
}
