/** One line of a benchmark's result. Each bench has these two members and columns of its own. */
export interface BenchRow {
  readonly bench: string
  /** Ours start with `holdfast`. */
  readonly system: string
  readonly [column: string]: string | number
}

/** What a bench is given. */
export interface BenchContext {
  /** Fewer and shorter rounds: to see that it runs. */
  readonly quick: boolean
  /** Takes a finished row. */
  report(row: BenchRow): void
  /** Tells a person how far it is. */
  progress(text: string): void
}

/** A bench: `test/bench/NAME.ts` exports `bench`. */
export type Bench = (context: BenchContext) => Promise<void>

/** The middle one; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The value below which `share` (0 to 1) of the values lie. Sorts in place. */
export function quantile(values: Float64Array, share: number): number {
  values.sort()
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
}
