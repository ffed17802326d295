import type { Model } from '../model/model.ts'

/** A time in which nobody served an instance that had been served before. `toMs` null: it never came back. */
export interface Outage {
  readonly fromMs: number
  readonly toMs: number | null
}

interface Reading {
  readonly isServed: boolean
  readonly firstServedMs: number | null
  readonly outages: readonly Outage[]
}

/** Sums up what a service instance went through. */
export interface Service {
  readonly serviceInstance: string
  readonly isServed: boolean
  /** Null: it never was. */
  readonly firstServedMs: number | null
  readonly outages: readonly Outage[]
  readonly totalMs: number
  readonly longestMs: number
}

/**
 * Reads when service instances are served: some component answers for each CSI. The wait for the first service is
 * start-up, no outage.
 */
export class ServiceMeter {
  readonly #model: Model
  readonly #readings = new Map<string, Reading>()

  constructor(model: Model) {
    this.#model = model
  }

  measure(group: string, nowMs: number, serves: (component: string, csi: string) => boolean): void {
    const sg = this.#model.serviceGroups.get(group)
    for (const instance of sg?.serviceInstances ?? []) {
      const isServed = instance.csis.every((csi) =>
        sg?.serviceUnits.some((unit) => unit.components.some((c) => serves(c.name, csi.name))),
      )
      this.#put(instance.name, isServed, nowMs)
    }
  }

  #put(instance: string, isServed: boolean, nowMs: number): void {
    const before = this.#reading(instance)
    if (before.isServed === isServed) return
    const { outages, firstServedMs } = before
    const last = outages.at(-1)
    if (!isServed) {
      this.#readings.set(instance, {
        isServed,
        firstServedMs,
        outages: [...outages, { fromMs: nowMs, toMs: null }],
      })
      return
    }
    const ended = last?.toMs === null ? { fromMs: last.fromMs, toMs: nowMs } : null
    // What lasted no time at all nobody noticed.
    const kept = ended && ended.fromMs < nowMs ? [ended] : []
    this.#readings.set(instance, {
      isServed,
      firstServedMs: firstServedMs ?? nowMs,
      outages: ended ? [...outages.slice(0, -1), ...kept] : outages,
    })
  }

  /** Outages up to now; one that still lasts counts up to now. */
  services(nowMs: number): readonly Service[] {
    return [...this.#model.serviceInstances.keys()].map((name) => {
      const { isServed, firstServedMs, outages } = this.#reading(name)
      const lengths = outages.map(({ fromMs, toMs }) => (toMs ?? nowMs) - fromMs)
      return {
        serviceInstance: name,
        isServed,
        firstServedMs,
        outages,
        totalMs: lengths.reduce((sum, length) => sum + length, 0),
        longestMs: Math.max(0, ...lengths),
      }
    })
  }

  #reading(instance: string): Reading {
    return this.#readings.get(instance) ?? { isServed: false, firstServedMs: null, outages: [] }
  }
}
