import { randomBytes } from 'node:crypto'
import { linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { SdkError } from '../../idl/index.ts'
import { addressText } from '../address-text.ts'
import type { IocAddress } from '../address.ts'
import { alreadyListening } from '../errors.ts'
import { checkSocketPath, socketDirectory, socketPath } from './socket-directory.ts'
import type { Link, LinkEvents, LinkFailure, Listener, Transport } from './transport.ts'

/** Settings of {@link unixTransport}. */
export interface UnixTransportOptions {
  /** The cluster's run directory; see {@link socketDirectory} for what is asked of it. */
  readonly runDir: string
}

const BACKLOG = 1024
const CLAIM_TRIES_MAX = 5
const END_GRACE_MS = 1_000
const BUSY_RETRY_MS = 5
const BUSY_TRIES_MAX = 100

/**
 * Unix-domain sockets in the run directory, one for each listening port, no broker.
 * @throws SdkError OP_NOT_PERMITTED when the directory is not private.
 */
export function unixTransport(options: UnixTransportOptions): Transport {
  const directory = socketDirectory(options.runDir)
  return {
    kind: 'unix',
    listen: (address, accept) => listenAt(directory, address, accept),
    connect: (address) => {
      const link = new SocketLink()
      link.dial(socketPath(directory, address), address)
      return link
    },
  }
}

/**
 * The socket is bound under a private name and appears under its own by a hard link: a claim that cannot succeed
 * twice, and nobody finds a socket that does not listen yet.
 */
async function listenAt(
  directory: string,
  address: IocAddress,
  accept: (link: Link) => void,
): Promise<Listener> {
  const path = checkSocketPath(socketPath(directory, address), address)
  const ownName = join(directory, `.${process.pid}.${randomBytes(3).toString('hex')}`)
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    const link = new SocketLink()
    accept(link)
    link.adopt(socket)
  })
  await startServer(server, ownName)
  try {
    await claim(ownName, path, address)
  } catch (error) {
    await stopServer(server)
    throw error
  } finally {
    unlinkIfThere(ownName)
  }
  const inode = lstatSync(path).ino
  return {
    close: async () => {
      if (inodeOf(path) === inode) unlinkIfThere(path)
      await stopServer(server)
    },
  }
}

async function claim(ownName: string, path: string, address: IocAddress): Promise<void> {
  for (let tries = 0; tries < CLAIM_TRIES_MAX; tries += 1) {
    try {
      linkSync(ownName, path)
      return
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    const inode = inodeOf(path)
    if (inode === undefined) continue
    if (await answers(path)) throw alreadyListening(address)
    removeStale(path, inode, ownName)
  }
  throw alreadyListening(address)
}

/** Takes the file away under another name first, so that a socket that replaced the stale one meanwhile survives. */
function removeStale(path: string, staleInode: number, ownName: string): void {
  const aside = `${ownName}o`
  try {
    renameSync(path, aside)
  } catch {
    return // another program removed it first
  }
  if (inodeOf(aside) !== staleInode) {
    try {
      linkSync(aside, path)
    } catch {
      // A third one claimed the path: it stays with that one.
    }
  }
  unlinkIfThere(aside)
}

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    const end = (living: boolean): void => {
      socket.destroy()
      resolve(living)
    }
    socket.once('connect', () => end(true))
    // A full backlog (EAGAIN) belongs to a living program.
    socket.once('error', (error) => {
      const code = errorCode(error)
      end(code !== 'ECONNREFUSED' && code !== 'ENOENT' && code !== 'ENOTSOCK')
    })
  })

const startServer = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new SdkError('LIBRARY', `cannot listen at ${path}: ${cause.message}`, { cause }))
    })
    server.listen({ path, backlog: BACKLOG }, () => resolve())
  })

const stopServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    // `close` waits for connections that were accepted; they live on, so nobody waits here.
    server.close()
    setImmediate(resolve)
  })

const errorCode = (error: unknown): string | undefined =>
  error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined

function inodeOf(path: string): number | undefined {
  try {
    return lstatSync(path).ino
  } catch {
    return undefined
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

class SocketLink implements Link {
  #socket: Socket | null = null
  #events: LinkEvents | null = null
  #failure: LinkFailure | null = null
  #destroyed = false
  #closed = false

  start(events: LinkEvents): void {
    this.#events = events
  }

  /** Connects; a full backlog is tried again for a moment, since it empties as the other side accepts. */
  dial(path: string, address: IocAddress, tries = 1): void {
    const socket = connect(path)
    this.#socket = socket
    let open = false
    socket.once('connect', () => {
      open = true
      this.#events?.onOpen()
    })
    socket.on('error', (error) => {
      this.#failure = open ? broken(error) : unreachable(error, address)
    })
    socket.on('close', () => {
      if (!open && !this.#destroyed && this.#failure?.kind === 'busy' && tries < BUSY_TRIES_MAX) {
        this.#failure = null
        setTimeout(() => this.#dialAgain(path, address, tries + 1), BUSY_RETRY_MS)
        return
      }
      this.#close()
    })
    this.#listenFor(socket)
  }

  adopt(socket: Socket): void {
    this.#socket = socket
    socket.on('error', (error) => {
      this.#failure = broken(error)
    })
    socket.on('close', () => this.#close())
    this.#listenFor(socket)
    if (this.#destroyed) socket.destroy()
    else this.#events?.onOpen()
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket
    if (socket === null || this.#destroyed) return true
    let returned = false
    socket.write(bytes, () => {
      if (returned && !this.#closed) this.#events?.onWritten()
    })
    // The kernel took everything in the call itself when nothing is left in the stream's own buffer.
    if (socket.writableLength === 0) return true
    returned = true
    return false
  }

  end(): void {
    const socket = this.#socket
    if (socket === null || this.#destroyed) return this.destroy()
    socket.end()
    const timer = setTimeout(() => this.destroy(), END_GRACE_MS)
    socket.once('close', () => clearTimeout(timer))
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    this.#socket?.destroy()
  }

  #dialAgain(path: string, address: IocAddress, tries: number): void {
    if (this.#destroyed) this.#close()
    else this.dial(path, address, tries)
  }

  #listenFor(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => this.#events?.onData(chunk))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#destroyed = true
    this.#events?.onClose(this.#failure)
  }
}

function unreachable(error: Error, address: IocAddress): LinkFailure {
  const code = errorCode(error)
  const at = addressText(address)
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return { kind: 'unreachable', message: `nobody listens at ${at}` }
  }
  if (code === 'EAGAIN') return { kind: 'busy', message: `${at} accepts no connection at present` }
  return { kind: 'unreachable', message: `cannot connect to ${at}: ${error.message}` }
}

const broken = (error: Error): LinkFailure => ({ kind: 'broken', message: error.message })
