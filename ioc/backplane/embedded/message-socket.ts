import type { Duplex } from 'node:stream'
import { EMPTY_LINE_READER, readLines } from './line-reader.ts'
import { messageSchema, type Message } from './messages.schema.ts'

/** Unsent bytes above this: the peer does not read; the connection ends. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024

export interface MessageSocketHandlers {
  readonly onMessage: (message: Message) => void
  /** Called once, with why. */
  readonly onClose: (cause: string) => void
}

/**
 * Messages over one stream socket. What is no message ends the connection and is told as its cause.
 */
export class MessageSocket {
  readonly #socket: Duplex
  readonly #handlers: MessageSocketHandlers
  #reader = EMPTY_LINE_READER
  #cause = 'the peer closed the connection'
  #closed = false

  constructor(socket: Duplex, handlers: MessageSocketHandlers) {
    this.#socket = socket
    this.#handlers = handlers
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', (error) => {
      this.#cause = error.message
    })
    socket.on('close', () => {
      if (this.#closed) return
      this.#closed = true
      handlers.onClose(this.#cause)
    })
  }

  send(message: Message): void {
    if (this.#closed || this.#socket.destroyed) return
    this.#socket.write(`${JSON.stringify(message)}\n`)
    if (this.#socket.writableLength > UNSENT_BYTES_MAX) this.destroy('the peer does not read')
  }

  /** Sends what is still to be sent, then closes; the handler is not called. */
  end(message: Message): void {
    this.send(message)
    this.#closed = true
    this.#socket.end(() => this.#socket.destroy())
  }

  /** Closes at once. The handler is called with the cause, unless it was before. */
  destroy(cause: string): void {
    this.#cause = cause
    this.#socket.destroy()
  }

  /** Closes at once without a call of the handler. */
  abandon(): void {
    this.#closed = true
    this.#socket.destroy()
  }

  #onData(chunk: Buffer): void {
    const { reader, lines, tooLong } = readLines(this.#reader, chunk)
    this.#reader = reader
    for (const line of lines) {
      if (this.#closed || this.#socket.destroyed) return
      const message = tryParse(line)
      if (message === undefined) return this.destroy(`not a message: ${line.slice(0, 80)}`)
      this.#handlers.onMessage(message)
    }
    if (tooLong) this.destroy('a message passed the size limit')
  }
}

function tryParse(line: string): Message | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  const result = messageSchema.safeParse(value)
  return result.success ? result.data : undefined
}
