import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'

/** What the head of an LMDB file says. */
export type EnvironmentState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'sound' }
  /** Mapping it would end the process: pages that it counts on are not in the file. */
  | { readonly kind: 'damaged'; readonly why: string }

const MAGIC = 0xbeefc0de
/** Data format of the LMDB that the package `lmdb` carries. Another one is left for LMDB itself to refuse. */
const DATA_VERSION = 2
const META = { magic: 24, version: 28, pageSize: 48, lastPage: 144, transaction: 152 } as const
const META_SIZE_BYTES = 160

/**
 * Looks whether an LMDB file is as long as its newest meta page says. LMDB maps the file and does not check: a page
 * beyond the end would end the process with SIGBUS at some later read.
 */
export function checkEnvironment(directory: string): EnvironmentState {
  let file: number
  try {
    file = openSync(join(directory, 'data.mdb'), 'r')
  } catch {
    return { kind: 'absent' }
  }
  try {
    return checkFile(file)
  } finally {
    closeSync(file)
  }
}

function checkFile(file: number): EnvironmentState {
  const sizeBytes = fstatSync(file).size
  if (sizeBytes === 0) return { kind: 'absent' }
  const first = readMeta(file, 0)
  if (first === undefined) return { kind: 'damaged', why: 'the first page is no LMDB meta page' }
  if (first.version !== DATA_VERSION) return { kind: 'sound' }
  const second = readMeta(file, first.pageSize)
  if (second === undefined) return { kind: 'damaged', why: 'the second page is no LMDB meta page' }
  const newest = second.transaction > first.transaction ? second : first
  const neededBytes = (newest.lastPage + 1n) * BigInt(first.pageSize)
  if (neededBytes > BigInt(sizeBytes)) {
    return { kind: 'damaged', why: `${sizeBytes} bytes where ${neededBytes} are in use` }
  }
  return { kind: 'sound' }
}

function readMeta(
  file: number,
  offset: number,
): { version: number; pageSize: number; lastPage: bigint; transaction: bigint } | undefined {
  const page = Buffer.alloc(META_SIZE_BYTES)
  if (readSync(file, page, 0, META_SIZE_BYTES, offset) < META_SIZE_BYTES) return undefined
  if (page.readUInt32LE(META.magic) !== MAGIC) return undefined
  return {
    version: page.readUInt32LE(META.version),
    pageSize: page.readUInt32LE(META.pageSize),
    lastPage: page.readBigUInt64LE(META.lastPage),
    transaction: page.readBigUInt64LE(META.transaction),
  }
}
