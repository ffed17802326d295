import type { Duplex } from 'node:stream'
import type { Leader, Member, MembershipView } from '../backplane.ts'
import { MessageSocket } from './message-socket.ts'
import { PROTOCOL_VERSION, type Message } from './messages.schema.ts'
import { createSilenceWatch, hearPeer, tickSilence } from './silence-watch.ts'

/** Why a follower does not follow any more. */
export type LinkEnd =
  /** Nothing was heard for the silence time. */
  | { readonly kind: 'silent'; readonly cause: string }
  /** As silent, but its pulse goes on: it lives and works, and only the way to it is cut. */
  | { readonly kind: 'cut'; readonly cause: string }
  /** Not connected: closed, refused, or never reached. */
  | { readonly kind: 'closed'; readonly cause: string }
  /** The leader lives and leads, but does not take this node. */
  | { readonly kind: 'refused'; readonly cause: string }
  /** The leader gave the leadership up. */
  | { readonly kind: 'released'; readonly cause: string }
  | { readonly kind: 'stopped'; readonly cause: string }

export interface FollowerLinkOptions {
  readonly path: string
  readonly leader: Leader
  readonly self: Member
  readonly silenceMs: number
  readonly tickMs: number
  readonly beatMs: number
  readonly nowMs: () => number
  readonly signal: AbortSignal
  /** Makes the socket, not yet connected. */
  readonly connect: (path: string) => Duplex
  /** A number that changes as long as the leader works, told by other means than this connection. */
  readonly pulse: () => number
  /** The leader answered: it leads, and this node is in its view. */
  readonly onView: (view: MembershipView) => void
}

/**
 * Follows one leader over one connection until that ends. Resolves with the reason, never rejects.
 */
export async function followLeader(options: FollowerLinkOptions): Promise<LinkEnd> {
  const { self, leader, nowMs, signal } = options
  if (signal.aborted) return { kind: 'stopped', cause: 'this node stops' }
  let onAbort = (): void => undefined
  let watch = hearPeer(createSilenceWatch(options, nowMs()), leader.node, nowMs())
  let heardMs = nowMs()
  let pulse = options.pulse()
  let pulseMs = heardMs
  const timers: NodeJS.Timeout[] = []
  let link: MessageSocket | null = null
  const end = await new Promise<LinkEnd>((resolve) => {
    onAbort = () => resolve({ kind: 'stopped', cause: 'this node stops' })
    signal.addEventListener('abort', onAbort)
    const onMessage = (message: Message): void => {
      heardMs = nowMs()
      watch = hearPeer(watch, leader.node, heardMs)
      if (message.kind === 'view' && message.view.term === leader.term) options.onView(message.view)
      if (message.kind === 'refused') {
        resolve({ kind: message.leading ? 'refused' : 'closed', cause: message.reason })
      }
      if (message.kind === 'released') resolve({ kind: 'released', cause: 'it gave up in order' })
    }
    const socket = options.connect(options.path)
    const messages = new MessageSocket(socket, {
      onMessage,
      onClose: (cause) => resolve({ kind: 'closed', cause }),
    })
    link = messages
    socket.once('connect', () => {
      messages.send({ kind: 'hello', version: PROTOCOL_VERSION, ...self })
    })
    const beat = (): void => messages.send({ kind: 'beat', term: leader.term })
    const judge = (): void => {
      const result = tickSilence(watch, nowMs())
      watch = result.watch
      const present = options.pulse()
      if (present !== pulse) pulseMs = nowMs()
      pulse = present
      if (result.silent.length === 0) return
      const cause = `nothing heard for ${options.silenceMs} ms`
      // One that stands still has neither: what it said last and its last pulse are a beat apart.
      if (pulseMs - heardMs < options.silenceMs / 2) resolve({ kind: 'silent', cause })
      else resolve({ kind: 'cut', cause: `${cause}, but it works: the way to it is cut` })
    }
    timers.push(setInterval(beat, options.beatMs))
    // After the timers of this turn come the sockets: what waits there is heard before anybody is
    // judged.
    timers.push(setInterval(() => setImmediate(judge), options.tickMs))
  })
  signal.removeEventListener('abort', onAbort)
  for (const timer of timers) clearInterval(timer)
  ;(link as MessageSocket | null)?.abandon()
  return end
}
