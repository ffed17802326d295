import { SdkError } from '../../../idl/index.ts'
import type { IncomingCall, IocAddress } from '../../../ioc/index.ts'
import { type LibraryContext, pushTable, type ServiceLibrary } from '../service.ts'
import type { OcEvHandle } from './handle.ts'
import { ClusterEventPush, type StreamItem } from './interface.ts'
import { EventSession, type SessionOptions } from './session.ts'

/** Where a program registers for cluster events: `app.clusterEvents` or `connection.clusterEvents`. */
export interface ClusterEvents {
  /**
   * What `ocEv.register` does, with an error in place of null.
   * @throws SdkError COMP_UNREACHABLE while no node can be heard; NO_SPACE beyond 1,024 handles.
   */
  register(): OcEvHandle
}

/** What is behind the places of {@link ClusterEvents}. */
export interface ClusterEventsOptions extends Pick<SessionOptions, 'rmd' | 'log'> {
  /** The node to register with now; null: none can be heard. */
  readonly agent: () => IocAddress | null
}

/** The sessions of one program, one after the other. */
export class EventSessions implements ClusterEvents {
  readonly #options: ClusterEventsOptions
  #session: EventSession | null = null
  #count = 0

  constructor(options: ClusterEventsOptions) {
    this.#options = options
  }

  register(): OcEvHandle {
    if (this.#session === null || this.#session.isEnded) this.#session = this.#begin()
    return this.#session.register()
  }

  receive(session: number, first: number, items: readonly StreamItem[]): void {
    if (this.#session?.number === session) this.#session.receive(first, items)
  }

  /** A call of the agent of a node. @returns false when it is not one for cluster events. */
  dispatch(call: IncomingCall): boolean {
    const { items } = ClusterEventPush.methods
    if (call.functionNumber !== items.functionNumber) return false
    const push = items.input.decode(call.payload)
    if (call.source.node === this.#session?.nodeId) {
      this.receive(push.session, push.first, push.items)
    }
    call.reply(items.output.encode({}))
    return true
  }

  /** The node process cannot be heard any more. */
  nodeGone(nodeId: number): void {
    if (this.#session?.nodeId === nodeId) this.#session.end('evicted')
  }

  /** Handles are told that the service ends. */
  close(): void {
    this.#session?.end('shutdown')
  }

  #begin(): EventSession {
    const { rmd, log } = this.#options
    const agent = this.#options.agent()
    if (agent === null) {
      throw new SdkError('COMP_UNREACHABLE', 'register: no node can be heard now')
    }
    const isChecked = process.env['HOLDFAST_CHECK'] === '1'
    return new EventSession({ rmd, log, agent, number: ++this.#count, isChecked })
  }
}

/** The component's side of cluster events. */
export function clusterEventLibrary({
  rmd,
  agent,
  log,
}: LibraryContext): ServiceLibrary<ClusterEvents> {
  const sessions = new EventSessions({ rmd, log, agent: () => agent })
  return {
    client: sessions,
    pushes: [
      pushTable(ClusterEventPush, {
        items: ({ session, first, items }) => {
          sessions.receive(session, first, items)
          return {}
        },
      }),
    ],
    close: () => {
      sessions.close()
      // Handles that are called without being asked hear of it in this turn.
      return new Promise((resolve) => {
        setImmediate(resolve)
      })
    },
  }
}
