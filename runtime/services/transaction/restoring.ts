import type { Transaction, TransactionsSnapshot, Unit } from './operations.ts'
import { advance, isUndecided } from './unit.ts'

/**
 * What is to become of transactions after all nodes had ended, from what their logs say. A core.
 *
 * A decision that any log has stands. Without one, nobody has acted on one: but that is only known when every node that
 * may have decided has told what it knows. SAFplus, section 17, recovery.
 */
export class Restoring {
  /** Nodes that have told all they know, and up to where they may have forgotten ends. */
  readonly #reported = new Map<number, number>()

  reported(node: number, forgotten: number): void {
    this.#reported.set(node, forgotten)
  }

  /** A transaction as a log has it: its undecided units wait. */
  take(transaction: Transaction, node: number): Transaction {
    for (const unit of transaction.units) {
      if (!isUndecided(unit)) continue
      unit.wasPrepared ||= unit.phase === 'PREPARED'
      unit.phase = 'RESTORED'
    }
    // Of two times in which all had ended, only the last one counts.
    transaction.knownBy = [node]
    return transaction
  }

  /** Another log has it too. */
  merge(known: Transaction, told: Transaction, node: number): void {
    const { knownBy, witnesses } = known
    if (!knownBy.includes(node)) knownBy.push(node)
    witnesses.push(...told.witnesses.filter((one) => !witnesses.includes(one)))
    for (const [index, unit] of known.units.entries()) {
      const other = told.units[index]
      if (other !== undefined && unit.phase === 'RESTORED') mergeUnit(unit, other)
    }
  }

  /** wait: somebody is still to be heard. ended: a witness has seen its end, and forgotten it since. */
  verdict({ units, begun, witnesses, knownBy }: Transaction): 'wait' | 'go on' | 'ended' {
    if (!units.some(({ phase }) => phase === 'RESTORED')) return 'wait'
    for (const node of witnesses) {
      const forgotten = this.#reported.get(node) ?? -1
      if (!knownBy.includes(node) && forgotten >= begun) return 'ended'
    }
    return witnesses.every((node) => this.#reported.has(node)) ? 'go on' : 'wait'
  }

  snapshot(): TransactionsSnapshot['reported'] {
    return [...this.#reported].map(([node, forgotten]) => ({ node, forgotten }))
  }

  restore(reported: TransactionsSnapshot['reported']): void {
    this.#reported.clear()
    for (const { node, forgotten } of reported) this.#reported.set(node, forgotten)
  }
}

function mergeUnit(unit: Unit, other: Unit): void {
  if (isUndecided(other)) {
    unit.wasPrepared ||= other.wasPrepared || other.phase === 'PREPARED'
    return
  }
  unit.phase = other.phase
  unit.jobs = other.jobs
  advance(unit)
}
