import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemberProcess } from '../ioc/backplane/member-process.ts'

/** Real node processes on one run directory: what happens when they are killed and frozen. */
describe('embedded backplane, real processes', () => {
  let runDir: string
  let members: MemberProcess[]

  beforeEach(async () => {
    runDir = await mkdtemp(join(tmpdir(), 'hf-bpp-'))
    members = []
  })
  afterEach(async () => {
    await Promise.all(members.map((member) => member.kill()))
    await rm(runDir, { recursive: true, force: true })
  })

  function launch(node: string, options = {}): MemberProcess {
    const member = new MemberProcess(runDir, node, options)
    members.push(member)
    return member
  }

  /** Leader first. */
  async function start(nodes: readonly string[]): Promise<[MemberProcess, ...MemberProcess[]]> {
    const all = nodes.map((node) => launch(node))
    await Promise.all(all.map((member) => member.kind('started')))
    await Promise.all(all.map((member) => member.viewOf(nodes)))
    const [leader, ...others] = all.toSorted((a, b) => Number(b.isLeader) - Number(a.isLeader))
    expect(all.filter(({ isLeader }) => isLeader)).toHaveLength(1)
    return [leader!, ...others]
  }

  /** The one that was elected under `term`; the others must follow it. */
  async function successor(among: readonly MemberProcess[], term: number): Promise<MemberProcess> {
    const outcomes = await Promise.all(
      among.map((member) =>
        member.until(
          (told) =>
            (told.kind === 'elected' && told.term === term) ||
            (told.kind === 'following' && told.leader?.term === term),
        ),
      ),
    )
    const elected = among.filter((_, index) => outcomes[index]?.kind === 'elected')
    expect(elected).toHaveLength(1)
    for (const { leader } of outcomes)
      expect(leader?.node ?? elected[0]?.node).toBe(elected[0]?.node)
    return elected[0]!
  }

  it('replaces a killed leader by exactly one other, under the next term', async () => {
    const [leader, ...followers] = await start(['a', 'b', 'c'])
    expect((await leader.answer('put k 1', 'put')).kind).toBe('put')
    const killedMs = performance.now()
    leader.signal('SIGKILL')
    const next = await successor(followers, 2)
    const ms = (await next.kind('elected')).atMs - killedMs
    console.log(`leader killed -> successor elected: ${ms.toFixed(1)} ms`)
    expect((await next.answer('get k', 'got')).value).toBe('1')
    expect((await next.answer('put k 2', 'put')).kind).toBe('put')
    await next.viewOf(followers.map(({ node }) => node))
  })

  it('kills and replaces a leader that is stopped for longer than the silence', async () => {
    const [leader, ...followers] = await start(['a', 'b', 'c'])
    const stoppedMs = performance.now()
    leader.signal('SIGSTOP')
    const next = await successor(followers, 2)
    expect(await leader.exited).toBe('SIGKILL')
    const ms = (await next.kind('elected')).atMs - stoppedMs
    console.log(`leader stopped -> successor elected: ${ms.toFixed(1)} ms (silence 400 ms)`)
    expect((await next.answer('put k 2', 'put')).kind).toBe('put')
  })

  it('replaces a leader that is stopped inside a write transaction, which leaves no trace', async () => {
    const [leader, ...followers] = await start(['a', 'b', 'c'])
    leader.ask('freezeInCommit k')
    const next = await successor(followers, 2)
    expect(await leader.exited).toBe('SIGKILL')
    expect((await next.answer('get k.first', 'got')).value).toBeNull()
    expect((await next.answer('put k.first new', 'put')).kind).toBe('put')
    expect((await next.answer('get k.first', 'got')).value).toBe('new')
  })

  it('lets a node join while the leader is stopped inside a write transaction', async () => {
    const [leader] = await start(['a'])
    leader.ask('freezeInCommit k')
    const late = launch('b')
    expect((await late.kind('elected')).term).toBe(2)
    expect(await leader.exited).toBe('SIGKILL')
  })

  it('takes a stopped follower out of the view, and back when it goes on; nobody is killed', async () => {
    const [leader, b, c] = await start(['a', 'b', 'c'])
    const from = leader.told.length
    b!.signal('SIGSTOP')
    await leader.viewOf([leader.node, c!.node], from)
    const later = leader.told.length
    b!.signal('SIGCONT')
    await leader.viewOf([leader.node, b!.node, c!.node], later)
    await b!.viewOf([leader.node, b!.node, c!.node], b!.told.length - 1)
    expect((await leader.answer('put k 1', 'put')).kind).toBe('put')
    for (const member of members) expect(member.told.some(({ term }) => term === 2)).toBe(false)
  })

  it('blames nobody after all were stopped together', async () => {
    const [leader, ...followers] = await start(['a', 'b', 'c'])
    for (const member of members) member.signal('SIGSTOP')
    await delay(800)
    for (const member of [...followers, leader]) member.signal('SIGCONT')
    expect((await leader.answer('put k 1', 'put')).kind).toBe('put')
    // Long enough for a wrong verdict: one silence and some.
    await delay(600)
    expect((await leader.answer('put k 2', 'put')).kind).toBe('put')
    for (const member of members) expect(member.told.some(({ term }) => term === 2)).toBe(false)
  })

  it('lets the term grow when all are killed at once and started again', async () => {
    const first = await start(['a', 'b', 'c'])
    await first[0].answer('put k kept', 'put')
    await Promise.all(members.map((member) => member.kill()))
    const [leader] = await start(['a', 'b', 'c'])
    expect((await leader.kind('elected')).term).toBe(2)
    expect((await leader.answer('get k', 'got')).value).toBe('kept')
  })

  it('has one leader after five start at once', async () => {
    const [leader] = await start(['a', 'b', 'c', 'd', 'e'])
    expect((await leader.kind('elected')).term).toBe(1)
  })

  it('gives up the leadership in order on stop, without a kill', async () => {
    const [leader, ...followers] = await start(['a', 'b', 'c'])
    const stoppedMs = performance.now()
    leader.signal('SIGTERM')
    const next = await successor(followers, 2)
    expect(await leader.exited).toBe(0)
    console.log(
      `leader gave up -> elected: ${((await next.kind('elected')).atMs - stoppedMs).toFixed(1)} ms`,
    )
  })

  it('refuses a name that a living process has, and takes it over from a dead one', async () => {
    const [leader] = await start(['a'])
    const refused = await launch('a').kind('refused')
    expect(refused.code).toBe('ALREADY_EXIST')
    expect(refused.message).toContain(String(leader.pid))
    await leader.kill()
    const again = launch('a')
    expect((await again.kind('elected')).term).toBe(2)
  })

  it('fences a process that is frozen with the lock of the writer', async () => {
    const frozen = launch('x', { mode: 'holdWriter' })
    await frozen.kind('holding')
    const [leader] = await start(['a'])
    expect(leader.isLeader).toBe(true)
    expect(await frozen.exited).toBe('SIGKILL')
  })

  it('shows a follower what made the store outgrow the map it opened', async () => {
    const [leader, follower] = await start(['a', 'b'])
    const value = 'x'.repeat(900_000)
    for (let turn = 0; turn < 6; turn++) await leader.answer(`put k${turn} ${value}`, 'put')
    expect((await follower!.answer('get k5', 'got')).value).toBe(value)
    leader.signal('SIGKILL')
    expect((await follower!.kind('elected')).term).toBe(2)
    expect((await follower!.answer('get k0', 'got')).value).toBe(value)
  })

  it('works in a run directory with a very long path', async () => {
    const top = runDir
    runDir = join(top, 'long-'.repeat(40), 'path-'.repeat(40))
    mkdirSync(runDir, { recursive: true, mode: 0o700 })
    const [, ...followers] = await start(['a', 'b'])
    expect(followers).toHaveLength(1)
    await Promise.all(members.map((member) => member.kill()))
    runDir = top
  })
})
