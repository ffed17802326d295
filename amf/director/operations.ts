import { SdkError } from '../../idl/index.ts'
import type { AdminResult } from '../engine/contract.ts'

/** Asked and unanswered at most; a request beyond gets TRY_AGAIN. */
const PENDING_COUNT_MAX = 1_000

interface Waiting {
  resolve(): void
  reject(error: SdkError): void
}

/**
 * Requests that the engine answers later by id. Several callers may wait for one id: a tool that lost its connection
 * asks again with the same id and gets the same answer.
 */
export class Operations {
  readonly #waiting = new Map<string, Waiting[]>()

  has(id: string): boolean {
    return this.#waiting.has(id)
  }

  /**
   * Waits for the answer of `id`. @throws SdkError the standard's word of a refusal; INTERRUPT when the director
   * ends.
   */
  wait(id: string): Promise<Record<string, never>> {
    if (this.#waiting.size >= PENDING_COUNT_MAX) {
      const limit = `${PENDING_COUNT_MAX} operations are pending`
      return Promise.reject(new SdkError('TRY_AGAIN', `${limit}: ask again when some are finished`))
    }
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(id) ?? []
      waiting.push({ resolve: () => resolve({}), reject })
      this.#waiting.set(id, waiting)
    })
  }

  answer(id: string, result: AdminResult): void {
    const waiting = this.#waiting.get(id) ?? []
    this.#waiting.delete(id)
    for (const one of waiting) {
      if (result.ok) one.resolve()
      else one.reject(errorOf(result))
    }
  }

  /** Refuses everybody who waits: another director finishes the operations, asked again with the same ids. */
  close(message: string): void {
    for (const id of [...this.#waiting.keys()]) {
      this.answer(id, { ok: false, code: 'TRY_AGAIN', message })
    }
  }
}

/** The error that a refused operation travels as. */
export function errorOf(result: Extract<AdminResult, { ok: false }>): SdkError {
  return new SdkError(result.code, result.message)
}
