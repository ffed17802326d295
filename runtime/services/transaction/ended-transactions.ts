import { TRANSACTION_LIMITS, type TransactionReport } from './interface.ts'
import type { TransactionsSnapshot } from './operations.ts'

/** How the last transactions ended. A core; the oldest go first. */
export class EndedTransactions {
  readonly #ended = new Map<
    string,
    { readonly begun: number; readonly report: TransactionReport }
  >()
  #forgottenUpTo = 0
  #forgotten: string[] = []

  report(id: string): TransactionReport | undefined {
    return this.#ended.get(id)?.report
  }

  add(begun: number, report: TransactionReport): void {
    if (this.#ended.has(report.id)) return
    this.#ended.set(report.id, { begun, report })
    const [oldest] = this.#ended
    if (oldest === undefined || this.#ended.size <= TRANSACTION_LIMITS.reportCount) return
    this.#ended.delete(oldest[0])
    this.#forgotten.push(oldest[0])
    this.#forgottenUpTo = Math.max(this.#forgottenUpTo, oldest[1].begun)
  }

  /** Ends that are kept no longer, since it was last asked. */
  takeForgotten(): { readonly ids: readonly string[]; readonly upTo: number } {
    return { ids: this.#forgotten.splice(0), upTo: this.#forgottenUpTo }
  }

  snapshot(): Pick<TransactionsSnapshot, 'ended' | 'forgotten'> {
    return { ended: [...this.#ended.values()], forgotten: this.#forgottenUpTo }
  }

  restore({ ended, forgotten }: Pick<TransactionsSnapshot, 'ended' | 'forgotten'>): void {
    this.#ended.clear()
    for (const each of ended) this.#ended.set(each.report.id, each)
    this.#forgottenUpTo = forgotten
    this.#forgotten = []
  }
}
