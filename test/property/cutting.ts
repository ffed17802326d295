/** Where an operation is cut short, and how. `V`: who is killed. */
export interface Cut<V> {
  readonly victim: V
  readonly isBackSoon: boolean
  /** The node that hears everything last; 0: all are equally fast. */
  readonly slow: number
}

const SLOW = [0, 1, 2, 3]
/** Each step is cut short in all ways. */
export const isEvery = process.env['EVERY'] !== undefined

/**
 * How a step is cut short: in one way, and in all of them by turns; with EVERY in all of them.
 * @param comesBack - whether a victim is a node, which comes back soon or late.
 */
export function cutsAt<V>(
  turn: number,
  victims: readonly V[],
  comesBack: (victim: V) => boolean,
): readonly Cut<V>[] {
  const chosen = isEvery ? victims : one(victims, turn)
  const slowNodes = isEvery ? SLOW : one(SLOW, turn >> 1)
  return chosen.flatMap((victim) =>
    slowNodes.flatMap((slow) => {
      const times = isEvery && comesBack(victim) ? [true, false] : [turn % 2 === 0]
      return times.map((isBackSoon) => ({ victim, isBackSoon, slow }))
    }),
  )
}

/**
 * Cuts an operation short after each of its steps, until it has ended before.
 * @param cutShort - true while the operation was still under way.
 * @param sample - the steps that will do without EVERY. @defaultValue each
 * @returns how often.
 */
export async function cutEachStep<C>(
  cutsAfter: (steps: number) => readonly C[],
  cutShort: (steps: number, cut: C) => Promise<boolean>,
  sample: { readonly first: number; readonly stride: number } = { first: 0, stride: 1 },
): Promise<number> {
  const { first, stride } = isEvery ? { first: 0, stride: 1 } : sample
  let isUnderWay = true
  let count = 0
  for (let steps = first; isUnderWay; steps += stride) {
    isUnderWay = false
    for (const cut of cutsAfter(steps)) {
      isUnderWay = (await cutShort(steps, cut)) || isUnderWay
      count++
    }
  }
  return count
}

function one<T>(items: readonly T[], turn: number): T[] {
  return items.slice(turn % items.length).slice(0, 1)
}
