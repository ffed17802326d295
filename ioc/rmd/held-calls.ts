import type { Connection } from '../connection.ts'
import { HELD, type PendingCall } from './pending-call.ts'

/** Calls that may wait for one peer; what comes after gets `TRY_AGAIN`. */
const HELD_COUNT_MAX = 4_096

/**
 * Calls that wait for the hello of a peer to which this side has just connected: only then is known whether it reads
 * traces. Those behind them wait too, whether they carry a trace or not.
 *
 * I1 Calls leave in the order in which they came: no call overtakes another of its connection.
 */
export class HeldCalls {
  readonly #calls = new Map<Connection, PendingCall[]>()

  /** Whether a call for a peer that has not said hello has to wait. */
  mustWait(call: PendingCall, connection: Connection): boolean {
    return call.spec.trace !== undefined || this.#calls.has(connection)
  }

  /** @returns false when too many wait already. */
  hold(call: PendingCall, connection: Connection): boolean {
    const calls = this.#calls.get(connection) ?? []
    if (calls.length >= HELD_COUNT_MAX) return false
    calls.push(call)
    this.#calls.set(connection, calls)
    call.connection = connection
    call.mark = HELD
    return true
  }

  /** Takes out what waited for a connection. Calls that ended meanwhile, or went another way, are held no more. */
  take(connection: Connection): readonly PendingCall[] {
    const calls = this.#calls.get(connection)
    this.#calls.delete(connection)
    return calls ?? []
  }
}
