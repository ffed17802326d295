import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isSdkError } from '../../../idl/index.ts'
import { Database } from '../../../runtime/index.ts'

let directory: string
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'hf-dbal-'))))
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const refused = (code: string): unknown => expect.objectContaining({ code })
const key = (text: string): Buffer => Buffer.from(text)

/** Keys in the order of the cursor. */
function keysOf(database: Database): string[] {
  const keys: string[] = []
  for (let at = database.first(); at !== undefined; at = database.next(at.key)) {
    keys.push(Buffer.from(at.key).toString('latin1'))
  }
  return keys
}

test('agrees with a map, in and out of transactions', async () => {
  const database = new Database({ directory, mode: 'create' })
  const step = fc.tuple(
    fc.constantFrom('insert', 'replace', 'delete', 'begin', 'commit', 'abort'),
    fc.stringMatching(/^[a-c]{1,3}$/),
  )
  let run = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      for (let at = database.first(); at !== undefined; at = database.first()) {
        database.delete(at.key)
      }
      let model = new Map<string, string>()
      let before: Map<string, string> | undefined
      for (const [what, name] of steps) {
        const record = key(`${run++}`)
        const expected =
          (what === 'insert' && model.has(name) && 'DUPLICATE') ||
          (what === 'delete' && !model.has(name) && 'NOT_EXIST') ||
          (what === 'begin' && before !== undefined && 'INVALID_STATE') ||
          ((what === 'commit' || what === 'abort') && before === undefined && 'INVALID_STATE')
        let code: string | false = false
        try {
          if (what === 'insert') database.insert(key(name), record)
          else if (what === 'replace') database.replace(key(name), record)
          else if (what === 'delete') database.delete(key(name))
          else database[what as 'begin' | 'commit' | 'abort']()
        } catch (error) {
          code = isSdkError(error) && error.code
        }
        expect(code).toBe(expected)
        if (expected !== false) continue
        if (what === 'insert' || what === 'replace') model.set(name, record.toString())
        if (what === 'delete') model.delete(name)
        if (what === 'begin') before = new Map(model)
        if (what === 'abort') model = before!
        if (what === 'abort' || what === 'commit') before = undefined
        expect(keysOf(database)).toEqual([...model.keys()].sort())
        const found = database.get(key(name))
        expect(found === undefined ? undefined : Buffer.from(found).toString()).toBe(
          model.get(name),
        )
      }
      if (before !== undefined) database.abort()
    }),
    { numRuns: 40 },
  )
  await database.close()
  expect(() => database.first()).toThrow(refused('INVALID_HANDLE'))
})

describe('opening', () => {
  test.each([
    ['create', []],
    ['open', ['a']],
    ['append', ['a']],
  ] as const)('%s what is there', async (mode, keys) => {
    const first = new Database({ directory, mode: 'append', sync: true })
    first.insert(key('a'), key('1'))
    await first.sync()
    await first.close()
    const second = new Database({ directory, mode })
    expect(keysOf(second)).toEqual(keys)
    await second.close()
  })

  test('is refused where there is none, or somebody else', () => {
    expect(() => new Database({ directory, mode: 'open' })).toThrow(refused('NOT_EXIST'))
    const store = join(directory, 'store')
    mkdirSync(store)
    writeFileSync(join(store, 'data.mdb'), 'of the cluster')
    for (const mode of ['open', 'append', 'create'] as const) {
      expect(() => new Database({ directory: store, mode })).toThrow(refused('OP_NOT_PERMITTED'))
    }
    const file = join(directory, 'file')
    writeFileSync(file, '')
    const inFile = { directory: join(file, 'x'), mode: 'append' } as const
    expect(() => new Database(inFile)).toThrow(refused('DB_ERROR'))
  })
})

test('keys and records have bounds', async () => {
  const database = new Database({ directory, mode: 'create', recordBytesMax: 10 })
  const longest = Buffer.alloc(1_024, 1)
  database.insert(longest, key('1'))
  expect(database.next(longest.subarray(0, 1_023))?.key).toEqual(new Uint8Array(longest))
  expect(database.next(longest)).toBeUndefined()
  expect(() => database.get(Buffer.alloc(1_025))).toThrow(refused('INVALID_PARAMETER'))
  expect(() => database.get(Buffer.alloc(0))).toThrow(refused('INVALID_PARAMETER'))
  expect(() => database.replace(key('a'), Buffer.alloc(11))).toThrow(refused('TOO_BIG'))
  await database.close()
  const wrong = { directory, mode: 'open', keyBytesMax: 2_000 } as const
  expect(() => new Database(wrong)).toThrow(refused('INVALID_PARAMETER'))
})

test('bytes that are given and got are not shared', async () => {
  const database = new Database({ directory, mode: 'create' })
  const record = key('before')
  const name = key('k')
  database.begin()
  database.insert(name, record)
  record.fill(0)
  name.fill(0)
  const expected = new Uint8Array(key('before'))
  for (const isCommitted of [false, true]) {
    database.get(key('k'))!.fill(1)
    database.first()!.record.fill(1)
    if (isCommitted) database.commit()
    expect(database.get(key('k'))).toStrictEqual(expected)
    expect(database.first()).toStrictEqual({ key: new Uint8Array(key('k')), record: expected })
  }
  await database.close()
})

test('two that have it open see and exclude each other', async () => {
  const one = new Database({ directory, mode: 'create' })
  const other = new Database({ directory, mode: 'open' })
  one.insert(key('a'), key('1'))
  expect(() => other.insert(key('a'), key('2'))).toThrow(refused('DUPLICATE'))
  other.delete(key('a'))
  expect(() => one.delete(key('a'))).toThrow(refused('NOT_EXIST'))
  await one.close()
  other.insert(key('b'), key('3'))
  expect(keysOf(other)).toEqual(['b'])
  await other.close()
})

test('a file that was torn does not end the process', async () => {
  const database = new Database({ directory, mode: 'create' })
  for (let i = 0; i < 100; i += 1) database.insert(key(`k${i}`), Buffer.alloc(1_000, i))
  await database.close()
  const file = join(directory, 'data.mdb')
  const whole = readFileSync(file)
  const torn = [
    Buffer.alloc(8_192, 7),
    Buffer.alloc(100),
    whole.subarray(0, whole.byteLength / 2),
    Buffer.concat([whole.subarray(0, 8_192), Buffer.alloc(whole.byteLength - 8_192)]),
  ]
  for (const bytes of torn) {
    writeFileSync(file, bytes)
    for (const mode of ['open', 'append'] as const) {
      expect(() => new Database({ directory, mode })).toThrow(/data\.mdb: .*; remedy: remove/)
    }
  }
  const again = new Database({ directory, mode: 'create' })
  expect(again.first()).toBeUndefined()
  again.insert(key('a'), key('1'))
  await again.close()
  writeFileSync(file, '')
  const empty = new Database({ directory, mode: 'open' })
  expect(empty.first()).toBeUndefined()
  await empty.close()
})

test('of a transaction that a process was killed in nothing is there', async () => {
  const file = new URL('../../../dist/test/fixtures/runtime/dbal-writer.js', import.meta.url)
  const child = spawn(process.execPath, [file.pathname, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const database = new Database({ directory, mode: 'open' })
  const keys = keysOf(database)
  expect(keys).toHaveLength(1_000)
  expect(keys.every((name) => name.startsWith('a'))).toBe(true)
  await database.close()
})
