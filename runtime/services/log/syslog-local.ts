import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { cutText } from './make-record.ts'
import {
  type SyslogLine,
  type SyslogWay,
  type SyslogWayEvents,
  WAY_CLOSE_MS,
} from './syslog-way.ts'

/** What rsyslog takes where nothing else is configured. */
const LINE_BYTES_MAX = 8_192
/** For the priority, the tag and what `logger` puts in front. */
const LOGGER_HEADER_BYTES = 256
const LAST_WORDS_MAX = 500

/**
 * The syslog behind a unix socket: by the socket itself where it takes a stream, lines of RFC 5424 ended by line feeds;
 * through `logger` of bsdutils where it takes datagrams, which Node.js has not.
 *
 * Rejects when nobody is there. A connection that is refused for its type says that somebody listens for datagrams, so
 * `logger` is started only then, and has a socket to write to.
 */
export async function openLocalSyslog(path: string, events: SyslogWayEvents): Promise<SyslogWay> {
  try {
    return new StreamWay(await connected(path), events)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPROTOTYPE')) throw error
    return new LoggerWay(await startedLogger(path), events)
  }
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path)
  await once(socket, 'connect')
  return socket
}

class StreamWay implements SyslogWay {
  readonly #socket: Socket

  constructor(socket: Socket, { onDrain, onDown }: SyslogWayEvents) {
    this.#socket = socket
    let reason = new Error('it closed the connection')
    socket.on('error', (error) => (reason = error))
    socket.on('close', () => onDown(reason))
    socket.on('drain', onDrain)
    // Whatever it says is nothing to us, but it has to be taken for its end to be seen.
    socket.resume()
  }

  send({ priority, header, body }: SyslogLine, done: (isSent: boolean) => void): boolean {
    const line = cutText(`<${priority}>1 ${header} ${body}`, LINE_BYTES_MAX)
    return writeLine(this.#socket, line, done)
  }

  close(): Promise<void> {
    return ended(
      this.#socket,
      (end) => this.#socket.end(end),
      () => this.#socket.destroy(),
    )
  }
}

/** `logger` lives as long as this process at most: it reads its end, and the kernel kills it with its parent. */
async function startedLogger(path: string): Promise<ChildProcess> {
  const size = ['--size', String(2 * LINE_BYTES_MAX)]
  const words = ['--prio-prefix', '--tag', 'holdfast', ...size, '--socket', path]
  // Without this it would lose lines silently while nobody listens.
  words.push('--socket-errors=on')
  const { PATH, TZ } = process.env
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'logger', ...words], {
    env: { PATH, TZ },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  await once(child, 'spawn')
  return child
}

class LoggerWay implements SyslogWay {
  readonly #child: ChildProcess
  readonly #input: Writable

  constructor(child: ChildProcess, { onDrain, onDown }: SyslogWayEvents) {
    this.#child = child
    // Both are pipes.
    this.#input = child.stdin as Writable
    let lastWords = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      lastWords = (lastWords + chunk.toString()).slice(-LAST_WORDS_MAX)
    })
    this.#input.on('drain', onDrain)
    // Its end tells more.
    this.#input.on('error', () => undefined)
    child.on('error', () => undefined)
    child.on('close', (code, signal) => {
      onDown(new Error(lastWords.trim() || `logger ended (${signal ?? `code ${code}`})`))
    })
  }

  send({ priority, tag, body }: SyslogLine, done: (isSent: boolean) => void): boolean {
    const line = cutText(`<${priority}>${tag}: ${body}`, LINE_BYTES_MAX - LOGGER_HEADER_BYTES)
    return writeLine(this.#input, line, done)
  }

  close(): Promise<void> {
    return ended(
      this.#child,
      () => this.#input.end(),
      () => this.#child.kill('SIGKILL'),
    )
  }
}

function writeLine(to: Writable, line: string, done: (isSent: boolean) => void): boolean {
  return to.write(`${line}\n`, (error) => done(error === null || error === undefined))
}

/** Ends in order what tells `close`, or else by force. */
function ended(
  what: { once(event: 'close', listener: () => void): unknown },
  inOrder: (end: () => void) => unknown,
  byForce: () => unknown,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(byForce, WAY_CLOSE_MS)
    what.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    inOrder(() => undefined)
  })
}
