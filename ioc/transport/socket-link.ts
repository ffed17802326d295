import type { ListenOptions, Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { SdkError } from '../../idl/index.ts'
import { addressText } from '../address-text.ts'
import type { IocAddress } from '../address.ts'
import { alreadyListening } from '../errors.ts'
import type { Link, LinkEvents, LinkFailure } from './transport.ts'

/** What follows from a failed connect: the end, or one more try. */
export type DialOutcome =
  { readonly failure: LinkFailure } | { readonly afterMs: number; readonly again: () => void }

/** A link over a stream socket of any kind. How it is connected is the transport's business. */
export class SocketLink implements Link {
  readonly #endGraceMs: number
  readonly #vouchesFor: ((node: number) => boolean) | null
  #socket: Duplex | null = null
  #events: LinkEvents | null = null
  #failure: LinkFailure | null = null
  #destroyed = false
  #closed = false
  /** Writes of which the stream has not told the end: it does so later, also for what the kernel took at once. */
  #unfinishedCount = 0
  /** The last one of them is one that the kernel did not take at once. */
  #isAwaited = false

  /**
   * @param endGraceMs - how long an orderly end may take.
   * @param vouchesFor - what the other end proved; null when nothing is asked of it.
   */
  constructor(endGraceMs: number, vouchesFor: ((node: number) => boolean) | null = null) {
    this.#endGraceMs = endGraceMs
    this.#vouchesFor = vouchesFor
  }

  start(events: LinkEvents): void {
    this.#events = events
  }

  vouchesFor(node: number): boolean {
    return this.#vouchesFor?.(node) ?? true
  }

  /** Waits for a connecting socket: `openEvent` is its word for connected. `onFailure` says what a failure means. */
  dial(socket: Duplex, openEvent: string, onFailure: (error: Error) => DialOutcome): void {
    this.#socket = socket
    let open = false
    let cause: Error | null = null
    socket.once(openEvent, () => {
      open = true
      if (!this.#destroyed) this.#events?.onOpen()
    })
    socket.on('error', (error) => {
      cause = error
    })
    socket.on('close', () => {
      if (cause === null || this.#destroyed) return this.#close()
      const outcome = open ? { failure: broken(cause) } : onFailure(cause)
      if ('failure' in outcome) {
        this.#failure = outcome.failure
        this.#close()
      } else {
        setTimeout(() => (this.#destroyed ? this.#close() : outcome.again()), outcome.afterMs)
      }
    })
    this.#listenFor(socket)
    if (this.#destroyed) socket.destroy()
  }

  /** Takes a socket that is connected. */
  adopt(socket: Duplex): void {
    this.#socket = socket
    socket.on('error', (error) => {
      this.#failure = broken(error)
    })
    socket.on('close', () => this.#close())
    this.#listenFor(socket)
    if (this.#destroyed) socket.destroy()
    else this.#events?.onOpen()
  }

  /** Ends without ever having had a socket, in a later turn. */
  failSoon(failure: LinkFailure): void {
    this.#failure = failure
    setImmediate(() => this.#close())
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket
    if (socket === null || this.#destroyed) return true
    this.#unfinishedCount += 1
    socket.write(bytes, this.#onFinished)
    // The kernel took everything in the call itself when nothing is left in the stream's own buffer.
    if (socket.writableLength === 0) return true
    this.#isAwaited = true
    return false
  }

  end(): void {
    const socket = this.#socket
    if (socket === null || this.#destroyed) return this.destroy()
    socket.end()
    const timer = setTimeout(() => this.destroy(), this.#endGraceMs)
    socket.once('close', () => clearTimeout(timer))
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    this.#socket?.destroy()
  }

  /** One for all writes: so the stream tells the end of all those of a tick together. */
  readonly #onFinished = (): void => {
    this.#unfinishedCount -= 1
    if (this.#unfinishedCount > 0 || !this.#isAwaited) return
    this.#isAwaited = false
    if (!this.#closed) this.#events?.onWritten()
  }

  #listenFor(socket: Duplex): void {
    socket.on('data', (chunk: Buffer) => this.#events?.onData(chunk))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#destroyed = true
    this.#events?.onClose(this.#failure)
  }
}

/** Starts to listen. @throws SdkError as {@link listenError}. */
export const startServer = (
  server: Server,
  options: ListenOptions,
  address: IocAddress,
): Promise<void> =>
  new Promise((resolve, reject) => {
    // It stays: an accept that fails later, for want of descriptors, must not end the process.
    server.on('error', (cause) => reject(listenError(cause, address)))
    server.listen(options, () => resolve())
  })

/** Accepts no more. Connections that were accepted live on, so nobody waits for them. */
export const stopServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close()
    setImmediate(resolve)
  })

/** What the operating system said about listening, as an error with a code and a remedy. */
export function listenError(cause: unknown, address: IocAddress): SdkError {
  const at = addressText(address)
  const message = cause instanceof Error ? cause.message : String(cause)
  switch (errorCode(cause)) {
    case 'EADDRINUSE':
      return alreadyListening(address)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new SdkError(
        'OP_NOT_PERMITTED',
        `may not listen at ${at}: ${message}; check the rights of the directory, or take a port from 1024`,
        { cause, context: { address: at } },
      )
    case 'EADDRNOTAVAIL':
      return new SdkError(
        'INVALID_PARAMETER',
        `cannot listen at ${at}: its host is no address of this machine (${message})`,
        { cause, context: { address: at } },
      )
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOSPC':
      return new SdkError(
        'NO_RESOURCE',
        `cannot listen at ${at}: ${message}; raise the limit of open files, or make room on the disk`,
        { cause, context: { address: at } },
      )
    default:
      return new SdkError('LIBRARY', `cannot listen at ${at}: ${message}`, { cause })
  }
}

export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined

const broken = (error: Error): LinkFailure => ({ kind: 'broken', message: error.message })
