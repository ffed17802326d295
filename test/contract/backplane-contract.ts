import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Backplane, BackplaneEvent } from '../../ioc/index.ts'

/** What an adapter gives to be tested: a fresh, empty cluster for each test, with members in this process. */
export interface BackplaneCluster {
  /** A member that is not started yet. */
  member(node: string): Backplane
  /** Removes everything. All members are stopped before. */
  close(): Promise<void>
}

/** The contract of `Backplane`, for every adapter. */
export function backplaneContract(name: string, make: () => Promise<BackplaneCluster>): void {
  describe(`backplane contract: ${name}`, () => {
    let cluster: BackplaneCluster
    let started: Backplane[]

    beforeEach(async () => {
      cluster = await make()
      started = []
    })
    afterEach(async () => {
      await Promise.all(started.map((member) => member.stop()))
      await cluster.close()
    })

    async function start(node: string): Promise<Watched> {
      const backplane = cluster.member(node)
      started.push(backplane)
      const watched = new Watched(backplane)
      await backplane.start((event) => watched.push(event))
      return watched
    }

    leadership(start, () => cluster)
    membership(start)
    store(start)
  })
}

type Start = (node: string) => Promise<Watched>

function leadership(start: Start, cluster: () => BackplaneCluster): void {
  it('elects the first member under term 1, durably', async () => {
    const a = await start('a')
    expect(await a.next('elected')).toEqual({ kind: 'elected', term: 1 })
    expect(a.backplane.leader).toMatchObject({ node: 'a', term: 1 })
  })

  it('lets later members follow', async () => {
    await start('a')
    const b = await start('b')
    expect((await b.next('following')).leader).toMatchObject({ node: 'a', term: 1 })
    expect(b.kinds()).not.toContain('elected')
  })

  it('gives the leadership to exactly one of many that start at once', async () => {
    const all = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(start))
    const terms = new Set(
      all.map(({ backplane }) => `${backplane.leader?.node} ${backplane.leader?.term}`),
    )
    expect(terms.size).toBe(1)
    await Promise.all(all.map((member) => member.until((view) => view.length === 5)))
    expect(all.filter((member) => member.kinds().includes('elected'))).toHaveLength(1)
  })

  it('moves on at once with the next term when a leader stops in order', async () => {
    const a = await start('a')
    const b = await start('b')
    const c = await start('c')
    await Promise.all([b.next('following'), c.next('following')])
    await a.backplane.stop()
    const [lostB, lostC] = await Promise.all([b.next('leaderLost'), c.next('leaderLost')])
    expect([lostB.leader.term, lostC.leader.term]).toEqual([1, 1])
    const winner = await Promise.race([b.next('elected'), c.next('elected')])
    expect(winner.term).toBe(2)
    const loser = b.kinds().includes('elected') ? c : b
    await loser.following(2)
    expect(loser.backplane.leader?.term).toBe(2)
    expect(loser.kinds()).not.toContain('elected')
  })

  it('lets terms grow over the life of the store', async () => {
    for (const term of [1, 2, 3]) {
      const a = await start('a')
      expect((await a.next('elected')).term).toBe(term)
      await a.backplane.stop()
    }
  })

  it('hands over no event before start resolves and none after stop', async () => {
    const backplane = cluster().member('a')
    const events: BackplaneEvent[] = []
    const starting = backplane.start((event) => events.push(event))
    starting.then(
      () => expect(events).toEqual([]),
      () => undefined,
    )
    await starting
    expect(events).toEqual([])
    await backplane.stop()
    const { length } = events
    await backplane.stop()
    expect(events).toHaveLength(length)
  })

  it('refuses a second member with the name of a living one, without harm to the first', async () => {
    const a = await start('a')
    await expect(
      cluster()
        .member('a')
        .start(() => undefined),
    ).rejects.toMatchObject({
      code: 'ALREADY_EXIST',
    })
    a.backplane.store.commit(1, [{ key: 'k', value: bytes('v') }])
  })
}

function membership(start: Start): void {
  it('shows all members the same views in the same order', async () => {
    const a = await start('a')
    const b = await start('b')
    await b.until((view) => view.length === 2)
    const c = await start('c')
    await Promise.all([a, b, c].map((member) => member.until((view) => view.length === 3)))
    await b.backplane.stop()
    await Promise.all([a, c].map((member) => member.until((view) => !view.includes('b'))))
    const views = a.views()
    expect(views.map(({ number }) => number)).toEqual(views.map((_, index) => index + 1))
    expect(views.map(({ members }) => members.map(({ node }) => node))).toEqual([
      ['a'],
      ['a', 'b'],
      ['a', 'b', 'c'],
      ['a', 'c'],
    ])
    const own = new Set(views.map((view) => JSON.stringify(view)))
    for (const view of c.views()) expect(own).toContain(JSON.stringify(view))
  })

  it('names the process of each member', async () => {
    const a = await start('a')
    const [view] = (await a.next('membership')).view.members
    expect(view?.process.pid).toBe(process.pid)
  })
}

function store(start: Start): void {
  it('commits all changes of a term or none', async () => {
    const { backplane } = await start('a')
    backplane.store.commit(1, [
      { key: 'x', value: bytes('1') },
      { key: 'y', value: bytes('2') },
    ])
    backplane.store.commit(1, [
      { key: 'x', value: null },
      { key: 'y', value: bytes('3') },
    ])
    expect(backplane.store.get('x')).toBeUndefined()
    expect(text(backplane.store.get('y')?.value)).toBe('3')
  })

  it.each([0, 2, 99])('refuses a commit under term %i while term 1 is present', async (term) => {
    const { backplane } = await start('a')
    const commit = (): void => backplane.store.commit(term, [{ key: 'x', value: bytes('1') }])
    expect(commit).toThrow(expect.objectContaining({ code: 'STALE_TERM' }))
    expect(backplane.store.get('x')).toBeUndefined()
  })

  it('shows to a follower at once what the leader committed, and refuses the old term', async () => {
    const a = await start('a')
    const b = await start('b')
    for (let turn = 0; turn < 20; turn++) {
      a.backplane.store.commit(1, [{ key: 'x', value: bytes(String(turn)) }])
      expect(text(b.backplane.store.get('x')?.value)).toBe(String(turn))
    }
    await a.backplane.stop()
    await b.next('elected')
    const late = (): void => b.backplane.store.commit(1, [{ key: 'x', value: bytes('late') }])
    expect(late).toThrow(expect.objectContaining({ code: 'STALE_TERM' }))
    b.backplane.store.commit(2, [{ key: 'y', value: bytes('new') }])
    expect(text(b.backplane.store.get('x')?.value)).toBe('19')
  })

  it('puts and deletes on a condition', async () => {
    const { store } = (await start('a')).backplane
    expect(store.putIf('k', bytes('1'), 0)).toBe(true)
    expect(store.putIf('k', bytes('2'), 0)).toBe(false)
    const first = store.get('k')?.revision ?? 0
    expect(store.putIf('k', bytes('2'), first)).toBe(true)
    const second = store.get('k')?.revision ?? 0
    expect(second).toBeGreaterThan(first)
    expect(store.deleteIf('k', first)).toBe(false)
    expect(store.deleteIf('k', second)).toBe(true)
    expect(store.get('k')).toBeUndefined()
    expect(store.putIf('k', bytes('3'), 0)).toBe(true)
    expect(store.get('k')?.revision).toBeGreaterThan(second)
  })

  it('lists a prefix in the order of keys, and nothing else', async () => {
    const { store } = (await start('a')).backplane
    const keys = ['p/a', 'p/b', 'p/', 'p', 'q/a', 'p/ä']
    store.commit(
      1,
      keys.map((key) => ({ key, value: bytes(key) })),
    )
    expect(store.list('p/').map(({ key }) => key)).toEqual(['p/', 'p/a', 'p/b', 'p/ä'])
    expect(store.list('').map(({ key }) => key)).toHaveLength(keys.length)
    expect(store.list('none')).toEqual([])
  })

  it('gives copies: what a caller does to a value stays with the caller', async () => {
    const { store } = (await start('a')).backplane
    store.commit(1, [{ key: 'k', value: bytes('abc') }])
    const value = store.get('k')?.value
    value?.fill(0)
    expect(text(store.get('k')?.value)).toBe('abc')
  })

  it('takes keys of 500 bytes and values of 1 MiB, and refuses longer ones by code', async () => {
    const { store } = (await start('a')).backplane
    const put = (keyBytes: number, valueBytes: number) => (): void =>
      store.commit(1, [{ key: 'k'.repeat(keyBytes), value: new Uint8Array(valueBytes) }])
    expect(put(500, 1024 * 1024)).not.toThrow()
    expect(store.get('k'.repeat(500))?.value).toHaveLength(1024 * 1024)
    const tooBig = expect.objectContaining({ code: 'TOO_BIG' })
    expect(put(501, 0)).toThrow(tooBig)
    expect(put(1, 1024 * 1024 + 1)).toThrow(tooBig)
  })
}

/** A member with everything that it was told. */
class Watched {
  readonly backplane: Backplane
  readonly #events: BackplaneEvent[] = []
  readonly #waiters = new Set<() => void>()

  constructor(backplane: Backplane) {
    this.backplane = backplane
  }

  push(event: BackplaneEvent): void {
    this.#events.push(event)
    for (const waiter of this.#waiters) waiter()
  }

  kinds(): string[] {
    return this.#events.map(({ kind }) => kind)
  }

  views(): (BackplaneEvent & { kind: 'membership' })['view'][] {
    return this.#events.flatMap((event) => (event.kind === 'membership' ? [event.view] : []))
  }

  /** The newest event of the kind, waiting for the first. */
  async next<K extends BackplaneEvent['kind']>(kind: K): Promise<BackplaneEvent & { kind: K }> {
    const find = (): BackplaneEvent | undefined =>
      this.#events.findLast((event) => event.kind === kind)
    await this.#until(() => find() !== undefined)
    return find() as BackplaneEvent & { kind: K }
  }

  async following(term: number): Promise<void> {
    await this.#until(() =>
      this.#events.some((event) => event.kind === 'following' && event.leader.term === term),
    )
  }

  async until(holds: (nodes: readonly string[]) => boolean): Promise<void> {
    await this.#until(() => {
      const view = this.views().at(-1)
      return view !== undefined && holds(view.members.map(({ node }) => node))
    })
  }

  /** The test's own time-out is the deadline. */
  async #until(holds: () => boolean): Promise<void> {
    if (holds()) return
    await new Promise<void>((resolve) => {
      const waiter = (): void => {
        if (!holds()) return
        this.#waiters.delete(waiter)
        resolve()
      }
      this.#waiters.add(waiter)
    })
  }
}

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)
const text = (value: Uint8Array | undefined): string => new TextDecoder().decode(value)
