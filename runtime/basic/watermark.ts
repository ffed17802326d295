/** Two marks of one quantity, in percent: HIGH is told at `highPercent` and above, LOW at `lowPercent` and below. */
export interface Level {
  readonly name: string
  readonly highPercent: number
  readonly lowPercent: number
}

/** The marks of memory in the original. SAFplus, section 3.11. */
export const MEMORY_LEVELS: readonly Level[] = [
  { name: 'high', highPercent: 95, lowPercent: 90 },
  { name: 'medium', highPercent: 65, lowPercent: 60 },
  { name: 'low', highPercent: 35, lowPercent: 30 },
]

/** A quantity passed one of its marks. */
export interface Crossing {
  readonly level: string
  readonly type: 'HIGH' | 'LOW'
  readonly percent: number
}

/**
 * Which marks a quantity passed. Between its two marks a level stays what it was, so that a quantity that swings
 * around
 * one of them is told once.
 * @param above - names of the levels that were HIGH last time.
 */
export function crossings(
  levels: readonly Level[],
  above: ReadonlySet<string>,
  percent: number,
): { readonly above: ReadonlySet<string>; readonly news: readonly Crossing[] } {
  const news: Crossing[] = []
  const nowAbove = new Set(above)
  for (const { name, highPercent, lowPercent } of levels) {
    if (!above.has(name) && percent >= highPercent) {
      nowAbove.add(name)
      news.push({ level: name, type: 'HIGH', percent })
    }
    if (above.has(name) && percent <= lowPercent) {
      nowAbove.delete(name)
      news.push({ level: name, type: 'LOW', percent })
    }
  }
  return { above: nowAbove, news }
}
