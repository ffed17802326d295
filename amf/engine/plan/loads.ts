import type { ServiceInstanceModel } from '../../model/model.ts'
import type { Plan, PlannedInstance, PlanInput, PlanUnit } from './planner.ts'

/** A plan in the making: who carries what so far. */
export class Loads {
  readonly #active = new Map<string, PlanUnit[]>()
  readonly #standby = new Map<string, PlanUnit[]>()

  activesOf(instance: ServiceInstanceModel): readonly PlanUnit[] {
    return this.#active.get(instance.name) ?? []
  }

  standbysOf(instance: ServiceInstanceModel): readonly PlanUnit[] {
    return this.#standby.get(instance.name) ?? []
  }

  addActive(instance: ServiceInstanceModel, unit: PlanUnit): void {
    this.#active.set(instance.name, [...this.activesOf(instance), unit])
  }

  addStandby(instance: ServiceInstanceModel, unit: PlanUnit): void {
    this.#standby.set(instance.name, [...this.standbysOf(instance), unit])
  }

  drop(instance: ServiceInstanceModel, unit: PlanUnit): void {
    const without = (units: readonly PlanUnit[]): PlanUnit[] => units.filter((u) => u !== unit)
    this.#active.set(instance.name, without(this.activesOf(instance)))
    this.#standby.set(instance.name, without(this.standbysOf(instance)))
  }

  /** Every standby of the unit goes. */
  dropStandbys(unit: PlanUnit): void {
    for (const [name, units] of this.#standby) {
      this.#standby.set(
        name,
        units.filter((u) => u !== unit),
      )
    }
  }

  holds(instance: ServiceInstanceModel, unit: PlanUnit): boolean {
    return this.activesOf(instance).includes(unit) || this.standbysOf(instance).includes(unit)
  }

  activeCount(unit: PlanUnit): number {
    return countOf(this.#active, unit)
  }

  standbyCount(unit: PlanUnit): number {
    return countOf(this.#standby, unit)
  }

  isAssigned(unit: PlanUnit): boolean {
    return this.activeCount(unit) + this.standbyCount(unit) > 0
  }

  /** The plan of everything that has an active one: without it there is no standby (I6). */
  plan(input: PlanInput): Plan {
    const plan = new Map<string, PlannedInstance>()
    for (const instance of input.instances) {
      const active = this.activesOf(instance).map((unit) => unit.name)
      if (active.length === 0) continue
      plan.set(instance.name, { active, standby: this.standbysOf(instance).map((u) => u.name) })
    }
    return plan
  }
}

function countOf(lists: ReadonlyMap<string, readonly PlanUnit[]>, unit: PlanUnit): number {
  let count = 0
  for (const units of lists.values()) if (units.includes(unit)) count += 1
  return count
}

/** The first one with the smallest value. */
export function leastBy<T>(items: readonly T[], value: (item: T) => number): T | undefined {
  let best: T | undefined
  for (const item of items) if (best === undefined || value(item) < value(best)) best = item
  return best
}

/** True when no unit is preferred by its rank: then loads are spread. */
export function haveEqualRanks({ group }: PlanInput): boolean {
  const [first, ...rest] = group.serviceUnits
  return rest.every((unit) => unit.rank === first?.rank)
}

/** In order of preference for the instance: its ranked units first, then the rest in their order. */
export function byPreference(
  units: readonly PlanUnit[],
  instance: ServiceInstanceModel,
): readonly PlanUnit[] {
  const ranked = instance.rankedSUs.flatMap((name) => units.filter((unit) => unit.name === name))
  return [...ranked, ...units.filter((unit) => !ranked.includes(unit))]
}
