import type { ClusterWatch } from '../operator/watch.ts'

/** One change of a role, as the director announced it. */
export interface RoleChange {
  readonly serviceInstance: string | null
  readonly serviceUnit: string | null
  /** What changed: a component, service unit or service instance. */
  readonly entity: string
  readonly from: string | null
  readonly to: string
  readonly epoch: number | null
  /** First cause first. */
  readonly causes: readonly string[]
  /** The director's clock. */
  readonly atMs: number
  /** This program's monotonic clock. */
  readonly seenAtMs: number
}

/** The role changes among everything that was seen. */
export function roleChangesOf(watch: ClusterWatch): readonly RoleChange[] {
  return watch.seen
    .filter((one) => one.kind === 'haState')
    .map((one) => ({
      serviceInstance: one.serviceInstance ?? null,
      serviceUnit: one.serviceUnit ?? null,
      entity: one.entity,
      from: one.from,
      to: one.to,
      epoch: one.epoch ?? null,
      causes: one.causes,
      atMs: one.atMs,
      seenAtMs: one.seenAtMs,
    }))
}
