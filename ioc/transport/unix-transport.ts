import { randomBytes } from 'node:crypto'
import { linkSync, lstatSync, readdirSync, renameSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { SdkError } from '../../idl/index.ts'
import { addressText } from '../address-text.ts'
import type { IocAddress } from '../address.ts'
import { alreadyListening } from '../errors.ts'
import { readSourceNode } from '../frame.ts'
import { faultWatchOf } from './fault-watch.ts'
import { FaultySocket } from './faulty-socket.ts'
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
  const sockets = socketsOf(process.env)
  return {
    kind: 'unix',
    listen: (address, accept) => listenAt(directory, address, sockets.accepting(address, accept)),
    connect: (address) => {
      const link = new SocketLink(END_GRACE_MS)
      dial(link, () => sockets.connect(socketPath(directory, address), address), address, 1)
      return link
    },
    known: (wanted) => filesIn(directory).flatMap(toAddress).filter(isWanted(wanted)),
  }
}

/** None where the directory is gone: then nobody can be found there. */
function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw new SdkError('LIBRARY', `cannot list the sockets in ${directory}`, { cause: error })
  }
}

/** How sockets are made and taken. */
interface Sockets {
  connect(path: string, address: IocAddress): Duplex
  accepting(address: IocAddress, accept: (link: Link) => void): (socket: Socket) => void
}

/** Plain sockets, or in a test that gave a fault file those on which its faults act. */
function socketsOf(env: NodeJS.ProcessEnv): Sockets {
  const faults = faultWatchOf(env)
  const take = (accept: (link: Link) => void, socket: Duplex): void => {
    const link = new SocketLink(END_GRACE_MS)
    accept(link)
    link.adopt(socket)
  }
  if (faults === null) {
    return {
      connect: (path) => connect(path),
      accepting: (_, accept) => (socket) => take(accept, socket),
    }
  }
  let node = 0
  const base = { faults, ownNode: () => node }
  return {
    connect: (path, { node: peer }) =>
      new FaultySocket({ ...base, peer: () => peer, open: () => connect(path) }),
    accepting: (address, accept) => {
      node = address.node
      return (socket) =>
        take(accept, new FaultySocket({ ...base, identify: readSourceNode, open: () => socket }))
    },
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
  accept: (socket: Socket) => void,
): Promise<Listener> {
  const path = checkSocketPath(socketPath(directory, address), address)
  const ownName = join(directory, `.${process.pid}.${randomBytes(3).toString('hex')}`)
  const server = createServer({ allowHalfOpen: false }, accept)
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
function dial(link: SocketLink, make: () => Duplex, address: IocAddress, tries: number): void {
  link.dial(make(), 'connect', (error) => {
    if (errorCode(error) !== 'EAGAIN') return { failure: unreachable(error, address) }
    if (tries < BUSY_TRIES_MAX) {
      return { afterMs: BUSY_RETRY_MS, again: () => dial(link, make, address, tries + 1) }
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
