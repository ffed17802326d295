import { SdkError } from '../../../idl/index.ts'
import { type Rmd, systemClock } from '../../../ioc/index.ts'
import { BatchSender } from './batch-sender.ts'
import { type ChannelScope, EVENT_LIMITS, EventPush } from './interface.ts'
import { Outbox } from './outbox.ts'

const PUSH_TIMEOUT_MS = 10_000

/** A channel that a program has open. */
export interface Open {
  /** The program's own number for it. */
  readonly number: number
  readonly channel: number
  readonly name: string
  readonly scope: ChannelScope
  readonly isSubscriber: boolean
  readonly isPublisher: boolean
}

/** A program of this node that uses the service. */
export interface Program {
  readonly caller: string
  readonly opens: Map<number, Open>
  /** Numbers that are on their way to be open. */
  readonly opening: Set<number>
  /** By the program's own numbers. */
  readonly subscriptions: Map<number, Open>
  readonly outbox: Outbox
  readonly sender: BatchSender
  isEnded: boolean
}

/** The programs of one node, and what goes to them. */
export class Programs {
  readonly #rmd: Rmd
  readonly #programs = new Map<string, Program>()

  constructor(rmd: Rmd) {
    this.#rmd = rmd
  }

  all(): Iterable<Program> {
    return this.#programs.values()
  }

  of(caller: string): Program {
    const known = this.#programs.get(caller)
    if (known !== undefined) return known
    const { waitingCount: countMax, waitingBytes: bytesMax } = EVENT_LIMITS
    const outbox = new Outbox({ countMax, bytesMax, byPriority: true })
    const push = this.#rmd.client(EventPush, { to: { caller }, timeoutMs: PUSH_TIMEOUT_MS })
    const program: Program = {
      caller,
      opens: new Map(),
      opening: new Set(),
      subscriptions: new Map(),
      outbox,
      sender: new BatchSender({
        outbox,
        send: ({ number, runs, records }) =>
          push.deliver({
            batch: number,
            runs: runs.map(({ count, subscriptions }) => ({
              count,
              subscriptions: [...subscriptions],
            })),
            records,
          }),
        clock: systemClock,
      }),
      isEnded: false,
    }
    this.#programs.set(caller, program)
    return program
  }

  /** @throws SdkError CHANNEL_NOT_OPENED. */
  opened(caller: string, number: number): { readonly program: Program; readonly open: Open } {
    const program = this.#programs.get(caller)
    const open = program?.opens.get(number)
    if (program !== undefined && open !== undefined) return { program, open }
    throw new SdkError('CHANNEL_NOT_OPENED', 'the channel is not open here: open it first')
  }

  /** @throws SdkError CHANNEL_ALREADY_OPENED for a number in use; NO_RESOURCE. */
  checkNew({ opens, opening }: Program, number: number): void {
    if (opens.has(number) || opening.has(number)) {
      throw new SdkError('CHANNEL_ALREADY_OPENED', `number ${number} is in use`)
    }
    if (opens.size + opening.size < EVENT_LIMITS.openCount) return
    const message = `${EVENT_LIMITS.openCount} channels are open: close some`
    throw new SdkError('NO_RESOURCE', message)
  }

  /** @throws SdkError DUPLICATE_SUBSCRIPTION for a number in use; NO_RESOURCE. */
  checkRoom({ subscriptions }: Program, number: number): void {
    if (subscriptions.has(number)) {
      throw new SdkError('DUPLICATE_SUBSCRIPTION', `number ${number} is in use`)
    }
    if (subscriptions.size < EVENT_LIMITS.subscriptionCount) return
    const message = `${EVENT_LIMITS.subscriptionCount} subscriptions are there: unsubscribe some`
    throw new SdkError('NO_RESOURCE', message)
  }

  hasSubscriber(channel: number): boolean {
    for (const { opens } of this.#programs.values()) {
      for (const open of opens.values()) {
        if (open.channel === channel && open.isSubscriber) return true
      }
    }
    return false
  }

  /** Something was put into their outboxes. */
  kick(callers: Iterable<string>): void {
    for (const caller of callers) this.#programs.get(caller)?.sender.kick()
  }

  /** The program's connection is gone. */
  end(caller: string): Program | undefined {
    const program = this.#programs.get(caller)
    if (program === undefined) return undefined
    this.#programs.delete(caller)
    program.isEnded = true
    program.sender.close(false)
    return program
  }

  close(): void {
    for (const { sender } of this.#programs.values()) sender.close(false)
  }
}
