import type { Connection } from '../connection.ts'
import type { PendingCall } from './pending-call.ts'

interface OfName {
  /** Every call that has not ended, in the order in which they were made. */
  readonly pending: Set<PendingCall>
  /** Those that are not under way, in the same order: they wait for an active one, or to be made again. */
  readonly waiting: PendingCall[]
}

/**
 * Ordered calls to names, so that none leaves before one that was made earlier. Streams, and calls that are for whoever
 * is there now, are left to themselves. Core.
 *
 * I1 A call leaves when no earlier one waits, and earlier ones that are under way are so on the same connection.
 */
export class OrderedCalls {
  readonly #names = new Map<string, OfName>()

  /** Takes in a call that was just made. */
  begin(call: PendingCall): void {
    const name = nameOf(call)
    if (name === null) return
    const present = this.#names.get(name)
    if (present === undefined) this.#names.set(name, { pending: new Set([call]), waiting: [] })
    else present.pending.add(call)
  }

  /** Takes out a call that has ended. */
  end(call: PendingCall): void {
    const name = nameOf(call)
    const calls = name === null ? undefined : this.#names.get(name)
    if (name === null || calls === undefined) return
    this.left(call)
    calls.pending.delete(call)
    if (calls.pending.size === 0) this.#names.delete(name)
  }

  /** A call is not under way; one that is known to wait keeps its place. */
  wait(call: PendingCall): void {
    const waiting = this.#of(call)?.waiting
    if (waiting === undefined) return
    let at = waiting.length
    while (at > 0 && waiting[at - 1]!.id > call.id) at -= 1
    if (waiting[at - 1] !== call) waiting.splice(at, 0, call)
  }

  /** A call is under way. */
  left(call: PendingCall): void {
    const waiting = this.#of(call)?.waiting
    const at = waiting?.indexOf(call) ?? -1
    if (at >= 0) waiting?.splice(at, 1)
  }

  /** Whether a call may leave on a connection now. */
  mayLeave(call: PendingCall, connection: Connection): boolean {
    const calls = this.#of(call)
    if (calls === undefined) return true
    const first = calls.waiting[0]
    if (first !== undefined && first.id < call.id) return false
    const [oldest] = calls.pending
    return oldest === undefined || oldest === call || oldest.connection === connection
  }

  /** The first call that waits for the name to which this one goes. */
  next(call: PendingCall): PendingCall | undefined {
    return this.#of(call)?.waiting[0]
  }

  #of(call: PendingCall): OfName | undefined {
    const name = nameOf(call)
    return name === null ? undefined : this.#names.get(name)
  }
}

/** The name to which an ordered call goes. Calls to addresses are not made again after what came behind them. */
function nameOf({ spec, reader }: PendingCall): string | null {
  const isOurs = spec.ordered && !spec.nonPersistent && reader === null
  return isOurs && spec.target.kind === 'name' ? spec.target.name : null
}
