import type { PendingCall } from './pending-call.ts'

/**
 * Ordered calls to names that are not under way: they wait for an active one, or to be made again. None that was made
 * after them leaves before them. Core.
 *
 * I1 The calls of a name are in the order in which they were made.
 */
export class OrderedCalls {
  readonly #waiting = new Map<string, PendingCall[]>()

  /** Takes in a call that waits; one that is known already keeps its place. */
  add(call: PendingCall): void {
    const name = nameOf(call)
    if (name === null) return
    const calls = this.#waiting.get(name) ?? []
    let at = calls.length
    while (at > 0 && calls[at - 1]!.id > call.id) at -= 1
    if (calls[at - 1] === call) return
    calls.splice(at, 0, call)
    this.#waiting.set(name, calls)
  }

  /** Takes out a call that is under way, or has ended. @returns whether others wait that it may have held back. */
  remove(call: PendingCall): boolean {
    const name = nameOf(call)
    const calls = name === null ? undefined : this.#waiting.get(name)
    if (name === null || calls === undefined) return false
    const at = calls.indexOf(call)
    if (at >= 0) calls.splice(at, 1)
    if (calls.length === 0) this.#waiting.delete(name)
    return at >= 0 && calls.length > 0
  }

  /** Whether a call that was made before this one waits. */
  isBehind(call: PendingCall): boolean {
    const first = this.first(call)
    return first !== undefined && first.id < call.id
  }

  /** The first that waits for the name to which this call goes. */
  first(call: PendingCall): PendingCall | undefined {
    const name = nameOf(call)
    return name === null ? undefined : this.#waiting.get(name)?.[0]
  }
}

/** The name to which an ordered call goes. Calls to addresses are not made again after what came behind them. */
function nameOf({ spec, persistent }: PendingCall): string | null {
  return spec.ordered && persistent && spec.target.kind === 'name' ? spec.target.name : null
}
