import type { Findings, Place } from './findings.ts'

/** Keys and values of one entity of a `cluster.yaml`, in the order they are written in. */
export type Keys = Record<string, unknown>

/** A `cluster.yaml` in the making. */
export interface ClusterDraft {
  cluster: string
  adminState?: string
  startupTimeoutMs?: number
  readonly nodes: Record<string, Keys>
  readonly nodeGroups: Record<string, readonly string[]>
  readonly applications: Record<string, Keys>
  readonly componentTypes: Record<string, Keys>
  readonly serviceGroups: Record<string, GroupDraft>
}

export interface GroupDraft extends Keys {
  readonly serviceUnits: Record<string, UnitDraft>
  readonly serviceInstances: Record<string, InstanceDraft>
}

export interface UnitDraft extends Keys {
  readonly components: Record<string, Keys>
}

export interface InstanceDraft extends Keys {
  readonly csis: Record<string, Keys>
}

/** What an import makes its model in: the text, where each part of it came from, and what there is to say. */
export class Draft {
  readonly text: ClusterDraft = {
    cluster: '',
    nodes: {},
    nodeGroups: {},
    applications: {},
    componentTypes: {},
    serviceGroups: {},
  }
  readonly findings: Findings
  readonly #places = new Map<string, Place & { readonly label: string }>()

  constructor(findings: Findings) {
    this.findings = findings
  }

  /** Remembers which object a part of the text was made from. */
  from(path: readonly string[], source: Place & { readonly label: string }): void {
    this.#places.set(path.join(' '), source)
  }

  /** The object that the nearest part above `path` was made from. */
  sourceOf(path: readonly PropertyKey[]): (Place & { readonly label: string }) | null {
    for (let length = path.length; length > 0; length -= 1) {
      const found = this.#places.get(path.slice(0, length).map(String).join(' '))
      if (found) return found
    }
    return null
  }
}

/** Without the keys that have no value, so that they are not written. */
export function compact(keys: Keys): Keys {
  return Object.fromEntries(
    Object.entries(keys).filter(([, value]) => {
      if (value === undefined) return false
      if (Array.isArray(value)) return value.length > 0
      return typeof value !== 'object' || value === null || Object.keys(value).length > 0
    }),
  )
}

/**
 * Components of one type share what is equal: the type has the keys of its first component, the others only what
 * differs. A component that lacks a key of the type cannot share it, so such keys stay with the components.
 */
export function shareKeys(components: readonly Keys[]): { type: Keys; own: Keys[] } {
  const [first = {}] = components
  const type = Object.fromEntries(
    Object.entries(first).filter(([key]) => components.every((each) => Object.hasOwn(each, key))),
  )
  const own = components.map((each) =>
    Object.fromEntries(Object.entries(each).filter(([key, value]) => !isEqual(type[key], value))),
  )
  return { type, own }
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
