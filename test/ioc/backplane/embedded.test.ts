import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LINE_SIZE_BYTES_MAX } from '../../../ioc/backplane/embedded/line-reader.ts'
import { EmbeddedStore } from '../../../ioc/backplane/embedded/store.ts'
import { createEmbeddedBackplane, ownIdentity } from '../../../ioc/backplane/internal.ts'
import type { Backplane, BackplaneEvent } from '../../../ioc/index.ts'

let runDir: string
let backplane: Backplane
let events: BackplaneEvent[]

beforeEach(async () => {
  runDir = mkdtempSync(join(tmpdir(), 'hf-emb-'))
  events = []
  backplane = createEmbeddedBackplane({ runDir, node: 'a', beatMs: 10, silenceMs: 200 })
  await backplane.start((event) => events.push(event))
})
afterEach(async () => {
  await backplane.stop()
  rmSync(runDir, { recursive: true, force: true })
})

describe('a leader that finds a newer term in the store', () => {
  it('says so, stops, and writes no more', async () => {
    const store = new EmbeddedStore({
      directory: join(runDir, 'store'),
      node: 'intruder',
      own: ownIdentity(),
    })
    await store.openForWriting()
    const present = store.leaderRecord()
    expect(present).toMatchObject({ node: 'a', term: 1 })
    store.replaceLeader(present, { ...present!, node: 'b', term: 2 })
    const commit = (): void => backplane.store.commit(1, [{ key: 'k', value: new Uint8Array(1) }])
    expect(commit).toThrow(expect.objectContaining({ code: 'STALE_TERM' }))
    await expect.poll(() => events.at(-1)).toEqual({ kind: 'deposed', term: 1 })
    expect(backplane.leader).toBeNull()
    await backplane.stop()
    expect(store.leaderRecord()).toMatchObject({ node: 'b', term: 2, released: false })
    await store.close()
  })
})

describe('what a stranger says at the socket of the leader', () => {
  const hello = (over: object): string =>
    `${JSON.stringify({ kind: 'hello', version: 1, node: 's', process: ownIdentity(), ...over })}\n`

  /** @returns everything that the leader answered, once it closed the connection. */
  async function say(bytes: string | Uint8Array): Promise<string> {
    const name = readdirSync(join(runDir, 'ioc')).find((file) => file.startsWith('b.'))!
    const socket = connect(join(runDir, 'ioc', name))
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk.toString()))
    socket.on('error', () => undefined)
    socket.write(bytes)
    await once(socket, 'close')
    return answer
  }

  it.each<[string, string | Uint8Array, RegExp]>([
    ['bytes that are no message', 'GET / HTTP/1.1\n', /^$/],
    ['JSON of another shape', '{"kind":"hello"}\n', /^$/],
    ['a message before the hello', '{"kind":"beat","term":1}\n', /^$/],
    ['a line without an end', new Uint8Array(LINE_SIZE_BYTES_MAX + 10).fill(0x20), /^$/],
    ['nothing at all', '', /^$/],
    ['another version', hello({ version: 2 }), /"leading":true.*version 2/],
    ['the name of the leader', hello({ node: 'a' }), /"leading":true.*this name/],
  ])('%s ends its connection alone', async (_, bytes, answer) => {
    expect(await say(bytes)).toMatch(answer)
    const other = createEmbeddedBackplane({ runDir, node: 'b', beatMs: 10, silenceMs: 200 })
    await other.start(() => undefined)
    expect(other.leader).toMatchObject({ node: 'a', term: 1 })
    await other.stop()
  })

  it('a member that is silent leaves the view', async () => {
    const closed = say(hello({ node: 's' }))
    const nodes = (): unknown =>
      events.flatMap((event) =>
        event.kind === 'membership' ? [event.view.members.map(({ node }) => node).join()] : [],
      )
    await closed
    await expect.poll(nodes).toEqual(['a', 'a,s', 'a'])
  })
})
