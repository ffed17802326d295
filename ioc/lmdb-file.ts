import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/**
 * LMDB maps its file and believes what is in it: reading a page beyond the end ends the process by SIGBUS, and so does
 * following what a torn page says. So the file is looked at by ordinary reads before LMDB gets it.
 *
 * The newest meta page counts pages up to the last one that was ever used. Pages that are free again at the end need
 * not be in the file, and whatever is in free ones does not count. So every page that can be reached is looked at.
 *
 * Layout: LMDB, data version 2 (`mdb.c`: MDB_meta, MDB_db, MDB_page, MDB_node, MDB_ovpage), little-endian.
 */

const MAGIC = 0xbeefc0de
/** Of the LMDB that the package `lmdb` carries. Another one is left for LMDB itself to refuse. */
const DATA_VERSION = 2
const META = { magic: 24, version: 28, lastPage: 144, transaction: 152 } as const
/** The tables of free pages and of content, in the meta page. */
const META_TABLES = [48, 96] as const
const META_SIZE_BYTES = 160
/** Within a table: the page size (of the first one) and the root page. */
const TABLE = { pageSize: 0, root: 40 } as const
const NO_PAGE = 0xffff_ffff_ffff_ffffn
const PAGE = { number: 0, flags: 18, lower: 20, headerBytes: 24 } as const
const PAGE_FLAG = { branch: 0x01, leaf: 0x02, leafOfDuplicates: 0x20 } as const
const NODE = { low: 0, high: 2, flags: 4, keyBytes: 6, headerBytes: 8 } as const
const NODE_FLAG = { big: 0x01, table: 0x02 } as const
/** Of what a big value's node holds: first page, transaction, number of pages. */
const BIG = { first: 0, count: 16 } as const
/** A walk that meets pages of a newer transaction starts again, so often at most. */
const WALK_COUNT_MAX = 20

interface Meta {
  readonly version: number
  readonly pageSize: number
  readonly lastPage: bigint
  readonly transaction: bigint
  readonly roots: readonly bigint[]
}

/**
 * Why an LMDB file must not be mapped; undefined when it may be. Other processes may have it open and write.
 * @throws Error of node:fs when the file cannot be read.
 */
export function lmdbFileProblem(path: string): string | undefined {
  const file = openSync(path, 'r')
  try {
    for (let left = WALK_COUNT_MAX; ; left--) {
      const meta = newestMeta(file)
      if (typeof meta === 'string') return meta
      const problem = tableProblem(file, meta)
      if (problem === undefined || left <= 1) return problem
      // What a transaction left free is written over by later ones only.
      const again = newestMeta(file)
      if (typeof again === 'string' || again.transaction === meta.transaction) return problem
    }
  } finally {
    closeSync(file)
  }
}

function newestMeta(file: number): Meta | string {
  const first = readMeta(file, 0)
  if (first === undefined) return 'it is no LMDB file, or its first page is torn'
  const second = readMeta(file, first.pageSize)
  if (second === undefined) return 'its second page is torn'
  return second.transaction > first.transaction ? second : first
}

function readMeta(file: number, position: number): Meta | undefined {
  const page = Buffer.alloc(META_SIZE_BYTES)
  if (readSync(file, page, 0, META_SIZE_BYTES, position) < META_SIZE_BYTES) return undefined
  if (page.readUInt32LE(META.magic) !== MAGIC) return undefined
  const pageSize = page.readUInt32LE(META_TABLES[0] + TABLE.pageSize)
  if (pageSize < 256 || pageSize > 65_536) return undefined
  return {
    version: page.readUInt32LE(META.version),
    pageSize,
    lastPage: page.readBigUInt64LE(META.lastPage),
    transaction: page.readBigUInt64LE(META.transaction),
    roots: META_TABLES.map((table) => page.readBigUInt64LE(table + TABLE.root)),
  }
}

function tableProblem(file: number, meta: Meta): string | undefined {
  if (meta.version !== DATA_VERSION) return undefined
  const sizeBytes = fstatSync(file).size
  const pageCount = BigInt(Math.floor(sizeBytes / meta.pageSize))
  const bad = new TreeWalk(file, meta.pageSize, pageCount).badPage(meta.roots)
  if (bad === undefined) return undefined
  if (bad < pageCount) return `its page ${bad}, which is in use, is torn`
  return `its end is cut off: it has ${sizeBytes} bytes, and page ${bad}, which is in use, is not among them`
}

/** Looks at every page that can be reached, from the roots down. */
class TreeWalk {
  readonly #file: number
  readonly #page: Buffer
  readonly #pageCount: bigint
  readonly #seen = new Set<bigint>()
  #left: bigint[] = []

  constructor(file: number, pageSize: number, pageCount: bigint) {
    this.#file = file
    this.#page = Buffer.alloc(pageSize)
    this.#pageCount = pageCount
  }

  /** The first page met that is not in the file, or is not what it should be. */
  badPage(roots: readonly bigint[]): bigint | undefined {
    this.#left = roots.filter((root) => root !== NO_PAGE)
    for (let number = this.#left.pop(); number !== undefined; number = this.#left.pop()) {
      if (this.#seen.has(number)) continue
      this.#seen.add(number)
      if (!this.#isIn(number, 1n) || !this.#read(number)) return number
      const bad = this.#visitNodes()
      if (bad !== undefined) return bad
    }
    return undefined
  }

  #isIn(first: bigint, count: bigint): boolean {
    return first + count <= this.#pageCount
  }

  #read(number: bigint): boolean {
    const { length } = this.#page
    const bytes = readSync(this.#file, this.#page, 0, length, Number(number) * length)
    return bytes === length && this.#page.readBigUInt64LE(PAGE.number) === number
  }

  #visitNodes(): bigint | undefined {
    const page = this.#page
    const flags = page.readUInt16LE(PAGE.flags)
    if ((flags & PAGE_FLAG.leafOfDuplicates) !== 0) return undefined
    const number = page.readBigUInt64LE(PAGE.number)
    const isBranch = (flags & PAGE_FLAG.branch) !== 0
    if (!isBranch && (flags & PAGE_FLAG.leaf) === 0) return number
    // Offsets in a page are counted from the end of its header.
    const count = page.readUInt16LE(PAGE.lower) / 2
    for (let i = 0; i < count; i++) {
      const pointer = PAGE.headerBytes + 2 * i
      if (pointer + 2 > page.length) return number
      const node = PAGE.headerBytes + page.readUInt16LE(pointer)
      if (node + NODE.headerBytes > page.length) return number
      const bad = isBranch ? this.#visitChild(node) : this.#visitValue(node, number)
      if (bad !== undefined) return bad
    }
    return undefined
  }

  #visitChild(node: number): undefined {
    const page = this.#page
    const low = BigInt(page.readUInt32LE(node + NODE.low))
    this.#left.push(low | (BigInt(page.readUInt16LE(node + NODE.flags)) << 32n))
  }

  #visitValue(node: number, number: bigint): bigint | undefined {
    const page = this.#page
    const flags = page.readUInt16LE(node + NODE.flags)
    const value = node + NODE.headerBytes + page.readUInt16LE(node + NODE.keyBytes)
    if ((flags & NODE_FLAG.big) !== 0) {
      if (value + BIG.count + 8 > page.length) return number
      const first = page.readBigUInt64LE(value + BIG.first)
      return this.#isIn(first, page.readBigUInt64LE(value + BIG.count)) ? undefined : first
    }
    const sizeBytes =
      page.readUInt16LE(node + NODE.low) + 65_536 * page.readUInt16LE(node + NODE.high)
    if (value + sizeBytes > page.length) return number
    if ((flags & NODE_FLAG.table) !== 0) {
      if (value + TABLE.root + 8 > page.length) return number
      const root = page.readBigUInt64LE(value + TABLE.root)
      if (root !== NO_PAGE) this.#left.push(root)
    }
    return undefined
  }
}
