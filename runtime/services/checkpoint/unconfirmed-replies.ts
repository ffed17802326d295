import type { SdkError } from '../../../idl/index.ts'
import type { CachedReply } from './interface.ts'

interface Waiter {
  readonly reply: CachedReply
  readonly resolve: (reply: CachedReply) => void
  readonly reject: (error: SdkError) => void
}

/** Replies of a former active that are asked for before it is known that every replica holds them. */
export class UnconfirmedReplies {
  readonly #waiters = new Map<string, Waiter>()

  /** Promises the reply. A copy of a call that waits already is `inProgress`. */
  tell(reply: CachedReply): Promise<CachedReply> | 'inProgress' {
    const key = `${reply.caller} ${reply.messageId}`
    if (this.#waiters.has(key)) return 'inProgress'
    return new Promise((resolve, reject) => this.#waiters.set(key, { reply, resolve, reject }))
  }

  /** Every replica holds them. */
  confirm(): void {
    for (const { reply, resolve } of this.#waiters.values()) resolve(reply)
    this.#waiters.clear()
  }

  refuse(error: SdkError): void {
    for (const { reject } of this.#waiters.values()) reject(error)
    this.#waiters.clear()
  }
}
