import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lmdbFileProblem } from '../../ioc/lmdb-file.ts'

const PAGE = 4_096
const COUNT = 300
let directory: string
let file: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hf-lmdb-'))
  file = join(directory, 'data.mdb')
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function openStore(): RootDatabase<Buffer> {
  return open<Buffer>({
    path: directory,
    noSubdir: false,
    noSync: true,
    overlappingSync: false,
    encoding: 'binary',
    cache: false,
  })
}

/** Two levels, big values, a table of its own, and free pages at the end that were never written. */
async function makeShort(): Promise<void> {
  const store = openStore()
  const table = store.openDB<Buffer>({ name: 'table', encoding: 'binary' })
  for (let turn = 0; turn < 4; turn++) {
    store.transactionSync(() => {
      for (let i = 0; i < COUNT; i++) void store.put(`key${i}`, Buffer.alloc(100, turn))
      for (let i = 0; i < 5; i++) void table.put(`big${i}`, Buffer.alloc(20_000, turn))
    })
  }
  store.transactionSync(() => {
    void store.put('gone', Buffer.alloc(400_000))
    void store.remove('gone')
  })
  await store.close()
}

/** What the meta pages say. */
function lastPage(): number {
  const bytes = readFileSync(file)
  const metas = [0, PAGE].map((at) => [152, 144].map((field) => bytes.readBigUInt64LE(at + field)))
  const [first, second] = metas as [[bigint, bigint], [bigint, bigint]]
  return Number(first[0] > second[0] ? first[1] : second[1])
}

/** Reads everything and writes, in a process that may die of it. */
function isUsable(): boolean {
  const library = createRequire(import.meta.url).resolve('lmdb')
  const program = `
    const { open } = require(${JSON.stringify(library)})
    const options = { noSubdir: false, noSync: true, encoding: 'binary', cache: false }
    const store = open({ ...options, overlappingSync: false, path: ${JSON.stringify(directory)} })
    const table = store.openDB({ name: 'table', encoding: 'binary' })
    let count = 0
    for (const { value } of store.getRange({ start: 'key', end: 'kez' })) count += value[99] === 3
    for (const { value } of table.getRange({})) count += value[19_999] === 3
    store.transactionSync(() => {
      for (let i = 0; i < 50; i++) store.put('new' + i, Buffer.alloc(3_000))
    })
    process.exit(count === ${COUNT + 5} ? 0 : 1)`
  return spawnSync(process.execPath, ['-e', program], { stdio: 'ignore' }).status === 0
}

test('a file that lacks free pages at its end is no damage', async () => {
  await makeShort()
  expect(statSync(file).size / PAGE).toBeLessThan(lastPage() + 1)
  expect(lmdbFileProblem(file)).toBeUndefined()
  expect(isUsable()).toBe(true)
})

test('a file is damaged from the first page on that is in use and missing', async () => {
  await makeShort()
  const whole = readFileSync(file)
  const sound = (pages: number): boolean => {
    writeFileSync(file, whole)
    truncateSync(file, pages * PAGE)
    return lmdbFileProblem(file) === undefined
  }
  const pageCount = whole.length / PAGE
  const verdicts = Array.from({ length: pageCount - 1 }, (_, i) => sound(i + 2))
  const firstSound = verdicts.indexOf(true) + 2
  expect(verdicts.slice(firstSound - 2)).not.toContain(false)
  expect(firstSound).toBeGreaterThan(10)
  // LMDB agrees at the edge, in one process each.
  expect(sound(firstSound)).toBe(true)
  expect(isUsable()).toBe(true)
  expect(sound(firstSound - 1)).toBe(false)
  expect(isUsable()).toBe(false)
})

test.each([
  ['no LMDB file', (): Buffer => Buffer.alloc(3 * PAGE, 0x41)],
  ['one page', (): Buffer => readFileSync(file).subarray(0, PAGE)],
  [
    'a torn second page',
    (): Buffer => Buffer.concat([readFileSync(file).subarray(0, PAGE), Buffer.alloc(PAGE)]),
  ],
])('%s is named', async (_, damage) => {
  await makeShort()
  writeFileSync(file, damage())
  expect(lmdbFileProblem(file)).toMatch(/page/)
})

test('a page that was torn is damage, one that is free is not', async () => {
  await makeShort()
  const whole = readFileSync(file)
  const problems = Array.from({ length: whole.length / PAGE - 2 }, (_, i) => {
    const torn = Buffer.from(whole)
    torn.fill(0xa5, (i + 2) * PAGE, (i + 3) * PAGE)
    writeFileSync(file, torn)
    return lmdbFileProblem(file)
  })
  // Pages of keys are looked at; what big values hold is not, and a checksum of their own tells it.
  const told = problems.filter((problem) => problem !== undefined)
  expect(told.length).toBeGreaterThan(5)
  expect(told.every((problem) => /its page \d+, which is in use, is torn/.test(problem))).toBe(true)
  writeFileSync(file, whole)
  expect(lmdbFileProblem(file)).toBeUndefined()
})
