import { randomBytes } from 'node:crypto'
import { linkSync, lstatSync, readdirSync, renameSync, unlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { addressText } from '../address-text.ts'
import type { IocAddress } from '../address.ts'
import { alreadyListening } from '../errors.ts'
import { checkSocketPath, socketDirectory, socketPath } from './socket-directory.ts'
import { errorCode, listenError, SocketLink, startServer, stopServer } from './socket-link.ts'
import type { Link, LinkFailure, Listener, Transport } from './transport.ts'
import { isWanted } from './wanted.ts'

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
      const link = new SocketLink(END_GRACE_MS)
      dial(link, socketPath(directory, address), address, 1)
      return link
    },
    known: (wanted) => readdirSync(directory).flatMap(toAddress).filter(isWanted(wanted)),
  }
}

/** `NODE.PORT.sock`, as {@link socketPath} makes it. What dead programs left behind is listed too. */
function toAddress(fileName: string): IocAddress[] {
  const match = /^(\d+)\.(\d+)\.sock$/.exec(fileName)
  return match === null ? [] : [{ node: Number(match[1]), port: Number(match[2]) }]
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
    const link = new SocketLink(END_GRACE_MS)
    accept(link)
    link.adopt(socket)
  })
  await startServer(server, { path: ownName, backlog: BACKLOG }, address)
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
      if (errorCode(error) !== 'EEXIST') throw listenError(error, address)
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

/** Connects; a full backlog is tried again for a moment, since it empties as the other side accepts. */
function dial(link: SocketLink, path: string, address: IocAddress, tries: number): void {
  const socket = connect(path)
  link.dial(socket, 'connect', (error) => {
    if (errorCode(error) !== 'EAGAIN') return { failure: unreachable(error, address) }
    if (tries < BUSY_TRIES_MAX) {
      return { afterMs: BUSY_RETRY_MS, again: () => dial(link, path, address, tries + 1) }
    }
    const message = `${addressText(address)} accepts no connection at present`
    return { failure: { kind: 'busy', message } }
  })
}

function unreachable(error: Error, address: IocAddress): LinkFailure {
  const at = addressText(address)
  const code = errorCode(error)
  const nobody = code === 'ENOENT' || code === 'ECONNREFUSED'
  const message = nobody ? `nobody listens at ${at}` : `cannot connect to ${at}: ${error.message}`
  return { kind: 'unreachable', message }
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
