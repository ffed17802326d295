import { z } from 'zod'

/** Environment variable with the path of a fault file. Set by the testkit for its processes, by nobody else. */
export const FAULT_FILE_ENV = 'HOLDFAST_FAULT_FILE'

/** Longest delay, one way. */
export const FAULT_DELAY_MS_MAX = 60_000

/**
 * What is wrong between nodes: a small file that a test replaces as a whole while the cluster runs. Node 0 is every
 * program that listens nowhere. A pair of nodes is named once at most, and both of its directions have the same.
 */
export const faultTableSchema = z.strictObject({
  /** Grows with each change. */
  version: z.int().min(0),
  /** Numbers of nodes by name, for what knows nodes by name only. */
  nodes: z.record(z.string(), z.int().min(1).max(1023)),
  faults: z.array(
    z.strictObject({
      between: z.tuple([z.int().min(0).max(1023), z.int().min(0).max(1023)]),
      /** Nothing passes, and nobody is told: connections stand still, ends of connections stay unknown. */
      cut: z.boolean(),
      /** One way, in both directions. */
      delayMs: z.number().min(0).max(FAULT_DELAY_MS_MAX),
    }),
  ),
})
export type FaultTable = z.infer<typeof faultTableSchema>

/** How bytes pass between two nodes. */
export interface Passage {
  readonly cut: boolean
  readonly delayMs: number
}

/** Nothing is wrong. */
export const FREE_PASSAGE: Passage = { cut: false, delayMs: 0 }

/** How bytes pass between two nodes, in either direction. */
export function passageBetween({ faults }: FaultTable, a: number, b: number): Passage {
  const isPair = ([one, other]: readonly [number, number]): boolean =>
    (one === a && other === b) || (one === b && other === a)
  return faults.find(({ between }) => isPair(between)) ?? FREE_PASSAGE
}
