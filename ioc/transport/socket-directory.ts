import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, realpathSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { SdkError } from '../../idl/index.ts'
import { addressText } from '../address-text.ts'
import type { IocAddress } from '../address.ts'
import { invalidParameter } from '../errors.ts'

/** Longest path of a unix socket in bytes; Linux keeps 108 with the terminating zero. unix(7). */
export const SOCKET_PATH_BYTES_MAX = 107

/** Room for `/` and the longest file name that the unix transport uses. */
const FILE_NAME_BYTES = 24

/**
 * The directory in which the sockets of a run directory lie: `RUN_DIR/ioc`, or, when paths there would be too long,
 * a directory under `/tmp/holdfast-UID` named by a hash of the run directory's real path, so that every process
 * derives the same one. Creates what is missing with mode 0700.
 * @throws SdkError OP_NOT_PERMITTED when a directory of the path is a link, belongs to somebody else, or is open to
 * others.
 */
export function socketDirectory(runDir: string): string {
  if (typeof runDir !== 'string' || runDir === '') {
    const shown = runDir === '' ? 'empty' : String(runDir)
    throw invalidParameter(`runDir is ${shown}: give the path of the cluster's run directory`)
  }
  ensurePrivate(runDir)
  const real = realpathSync(runDir)
  const near = join(real, 'ioc')
  if (Buffer.byteLength(near) + FILE_NAME_BYTES <= SOCKET_PATH_BYTES_MAX) return ensurePrivate(near)
  const base = ensurePrivate(join('/tmp', `holdfast-${ownUid()}`))
  const hash = createHash('sha256').update(real).digest('hex').slice(0, 24)
  return ensurePrivate(join(base, hash))
}

/** Path of the socket at which the program with this address listens. Checks nothing, creates nothing. */
export const socketPath = (directory: string, address: IocAddress): string =>
  join(directory, `${address.node}.${address.port}.sock`)

/** Checks that a socket's path fits, since Node.js cuts longer ones without a word and two may then collide. */
export function checkSocketPath(path: string, address: IocAddress): string {
  const bytes = Buffer.byteLength(path)
  if (bytes <= SOCKET_PATH_BYTES_MAX) return path
  throw new SdkError(
    'NAME_TOO_LONG',
    `socket path for ${addressText(address)} has ${bytes} bytes, above ${SOCKET_PATH_BYTES_MAX}: ${path}`,
    { context: { path, bytes, bytesMax: SOCKET_PATH_BYTES_MAX } },
  )
}

function ensurePrivate(path: string): string {
  try {
    if (mkdirSync(path, { recursive: true, mode: 0o700 }) !== undefined) chmodSync(path, 0o700)
  } catch (error) {
    throw notMade(path, error)
  }
  const refusal = refuse(lstatSync(path))
  if (refusal === null) return path
  throw new SdkError('OP_NOT_PERMITTED', `${path} ${refusal}`, { context: { path } })
}

/** What the operating system said, with the remedy. Something in the way that is no directory is told by `refuse`. */
function notMade(path: string, cause: unknown): SdkError {
  const { code, message } = cause as NodeJS.ErrnoException
  const context = { path }
  if (code === 'EEXIST' || code === 'ENOTDIR') {
    const text = `${path} or a part of it is not a directory: give another run directory`
    return new SdkError('OP_NOT_PERMITTED', text, { cause, context })
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const text = `cannot make ${path}: ${message}; make room on the disk`
    return new SdkError('NO_RESOURCE', text, { cause, context })
  }
  const text = `may not make ${path}: ${message}; give a run directory where you may write`
  return new SdkError('OP_NOT_PERMITTED', text, { cause, context })
}

function refuse(stats: Stats): string | null {
  if (stats.isSymbolicLink()) return 'is a symbolic link: give the directory itself'
  if (!stats.isDirectory()) return 'is not a directory: give another run directory'
  if (stats.uid !== ownUid()) return `belongs to user ${stats.uid}: give a directory of your own`
  if ((stats.mode & 0o077) === 0) return null
  return `has mode ${(stats.mode & 0o777).toString(8)}, others can enter it: run \`chmod 700\` on it`
}

const ownUid = (): number => process.geteuid?.() ?? 0
