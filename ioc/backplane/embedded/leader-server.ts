import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SdkError } from '../../../idl/index.ts'
import type { Member, MembershipView } from '../backplane.ts'
import { firstView, withMember, withoutMember } from './membership.ts'
import { MessageSocket } from './message-socket.ts'
import { PROTOCOL_VERSION, type Message } from './messages.schema.ts'
import { createSilenceWatch, forgetPeer, hearPeer, tickSilence } from './silence-watch.ts'

/** Connections that have not said hello yet, at most: a further one is closed. */
const STRANGERS_MAX = 64

type Hello = Message & { readonly kind: 'hello' }
type Refusal = Message & { readonly kind: 'refused' }

const NOT_LEADING: Refusal = { kind: 'refused', leading: false, reason: 'this node does not lead' }

export interface LeaderServerOptions {
  readonly path: string
  readonly self: Member
  readonly silenceMs: number
  readonly tickMs: number
  readonly nowMs: () => number
  readonly onView: (view: MembershipView) => void
  /** What stands between an accepted socket and its messages. */
  readonly taken: (socket: Socket) => Duplex
}

/**
 * The socket of one node. While the node leads, followers are connected to it: they get beats and
 * views, and a silent or closed one leaves the view. While it does not lead, it refuses them.
 */
export class LeaderServer {
  readonly #options: LeaderServerOptions
  readonly #server: Server
  /** Connections without a hello so far, and since when. */
  readonly #strangers = new Map<MessageSocket, number>()
  readonly #members = new Map<string, MessageSocket>()
  #watch
  #view: MembershipView | null = null

  constructor(options: LeaderServerOptions) {
    this.#options = options
    this.#watch = createSilenceWatch(options, options.nowMs())
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /** The caller owns the node's lock: what lies at the path belongs to a dead process. */
  async listen(): Promise<void> {
    const { path } = this.#options
    rmSync(path, { force: true })
    await new Promise<void>((done, fail) => {
      // It stays: an accept that fails later, for want of descriptors, must not end the process.
      this.#server.on('error', (error) => {
        fail(new SdkError('FAILED_OPERATION', `cannot listen at ${path}`, { cause: error }))
      })
      this.#server.listen(path, done)
    })
    chmodSync(path, 0o600)
  }

  lead(term: number): void {
    this.#watch = createSilenceWatch(this.#options, this.#options.nowMs())
    this.#setView(firstView(term, this.#options.self))
  }

  beat(): void {
    if (this.#view === null) return
    for (const member of this.#members.values()) {
      member.send({ kind: 'beat', term: this.#view.term })
    }
  }

  /** Judges the members, and those who never said who they are. */
  tick(): void {
    const oldestMs = this.#options.nowMs() - this.#options.silenceMs
    for (const [stranger, sinceMs] of this.#strangers) {
      if (sinceMs < oldestMs) stranger.destroy('no hello')
    }
    const { watch, silent } = tickSilence(this.#watch, this.#options.nowMs())
    this.#watch = watch
    for (const node of silent) {
      this.#members.get(node)?.destroy(`silent for ${this.#options.silenceMs} ms`)
    }
  }

  /** Stops leading; `farewell` tells followers that they need not wait. */
  resign(farewell: Message): void {
    this.#view = null
    for (const member of this.#members.values()) member.end(farewell)
    this.#members.clear()
  }

  close(): void {
    this.#server.close()
    for (const stranger of this.#strangers.keys()) stranger.abandon()
    for (const member of this.#members.values()) member.abandon()
    rmSync(this.#options.path, { force: true })
  }

  #accept(socket: Socket): void {
    if (this.#strangers.size >= STRANGERS_MAX) {
      socket.destroy()
      return
    }
    let node: string | null = null
    const peer: MessageSocket = new MessageSocket(this.#options.taken(socket), {
      onMessage: (message) => {
        if (node !== null) this.#hear(node)
        else if (message.kind === 'hello') node = this.#admit(peer, message)
        else peer.destroy('the first message was no hello')
      },
      onClose: () => {
        this.#strangers.delete(peer)
        if (node !== null && this.#members.get(node) === peer) this.#leave(node)
      },
    })
    this.#strangers.set(peer, this.#options.nowMs())
  }

  /** @returns the node's name when it is a member now. */
  #admit(peer: MessageSocket, hello: Hello): string | null {
    this.#strangers.delete(peer)
    const refusal = this.#refusal(hello)
    if (refusal !== null || this.#view === null) {
      peer.end(refusal ?? NOT_LEADING)
      return null
    }
    const { node, process } = hello
    this.#members.get(node)?.abandon()
    this.#members.set(node, peer)
    this.#hear(node)
    this.#setView(withMember(this.#view, { node, process }))
    return node
  }

  #refusal({ version, node }: Hello): Refusal | null {
    if (this.#view === null) return NOT_LEADING
    if (version !== PROTOCOL_VERSION) {
      const reason = `protocol version ${version} is not ${PROTOCOL_VERSION}, which the leader speaks`
      return { kind: 'refused', leading: true, reason }
    }
    if (node !== this.#options.self.node) return null
    return { kind: 'refused', leading: true, reason: 'the leader has this name' }
  }

  #hear(node: string): void {
    this.#watch = hearPeer(this.#watch, node, this.#options.nowMs())
  }

  #leave(node: string): void {
    this.#members.delete(node)
    this.#watch = forgetPeer(this.#watch, node)
    if (this.#view === null) return
    this.#setView(withoutMember(this.#view, node))
  }

  #setView(view: MembershipView): void {
    this.#view = view
    for (const member of this.#members.values()) {
      member.send({ kind: 'view', view: { ...view, members: [...view.members] } })
    }
    this.#options.onView(view)
  }
}
