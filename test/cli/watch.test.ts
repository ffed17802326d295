import { afterEach, describe, expect, it } from 'vitest'
import { SdkError } from '../../idl/index.ts'
import type { ClusterStatus, NotificationRecord } from '../../amf/director/interface.ts'
import type { Link } from '../../amf/operator/link.ts'
import { watchCluster, type ClusterWatch } from '../../amf/operator/watch.ts'

/** A director in one object: what it says can be changed while it is watched. */
class FakeDirector {
  term = 1
  active = 'su1'
  down: SdkError | null = null
  opened = 0
  readonly #notifications: NotificationRecord[] = []
  #wake: (() => void)[] = []

  announce(to: string): void {
    const id = this.#notifications.length + 1
    this.#notifications.push({
      kind: 'haState',
      entity: to,
      from: null,
      to: 'ACTIVE',
      causes: ['test'],
      atMs: id,
      id,
    })
    this.poke()
  }

  takeOver(): void {
    this.term += 1
    this.#notifications.length = 0
    this.poke()
  }

  poke(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  link(): Link {
    this.opened += 1
    const management = {
      status: async (): Promise<ClusterStatus> => {
        if (this.down) throw this.down
        return {
          cluster: 'c',
          director: { node: 'n', term: this.term },
          scopes: [],
          nodes: [],
          serviceGroups: [],
          serviceUnits: [],
          serviceInstances: [
            {
              name: 'si',
              state: 'FULLY_ASSIGNED',
              adminState: 'UNLOCKED',
              inSync: null,
              waitingFor: null,
              assignments: [
                { serviceUnit: this.active, node: 'n', haState: 'ACTIVE', components: [] },
              ],
            },
          ],
          alarms: [],
        }
      },
      notifications: async ({ after, waitMs }: { after: number; waitMs: number }) => {
        if (this.down) throw this.down
        const fresh = () => this.#notifications.filter((one) => one.id > after)
        if (fresh().length === 0 && waitMs > 0)
          await new Promise<void>((resolve) => {
            this.#wake.push(resolve)
            setTimeout(resolve, waitMs).unref()
          })
        if (this.down) throw this.down
        return { term: this.term, notifications: fresh() }
      },
    }
    return { management, close: async () => undefined } as unknown as Link
  }
}

const watches: ClusterWatch[] = []
afterEach(async () => {
  for (const watch of watches.splice(0)) await watch.stop()
})

function watching(director: FakeDirector): ClusterWatch {
  const watch = watchCluster(async () => director.link())
  watches.push(watch)
  return watch
}

describe('watchCluster', () => {
  it('resolves until() by a view that was asked for after the call', async () => {
    const director = new FakeDirector()
    const watch = watching(director)
    await watch.until((s) => s.active('si') === 'su1', 2_000)
    director.active = 'su2'
    director.announce('su2')
    const view = await watch.until((s) => s.active('si') === 'su2', 2_000)
    expect(view.standby('si')).toBeNull()
    expect(watch.seen.map((one) => [one.term, one.id, one.entity])).toEqual([[1, 1, 'su2']])
  })

  it('goes on after a director is lost, and takes a new one from its first notification', async () => {
    const director = new FakeDirector()
    const watch = watching(director)
    director.announce('a')
    director.announce('b')
    await watch.until(() => watch.seen.length === 2, 2_000)
    director.down = new SdkError('COMP_UNREACHABLE', 'gone')
    director.poke()
    director.takeOver()
    director.announce('c')
    director.down = null
    await watch.until(() => watch.seen.length === 3, 2_000)
    expect(watch.seen.map((one) => [one.term, one.id, one.entity])).toEqual([
      [1, 1, 'a'],
      [1, 2, 'b'],
      [2, 1, 'c'],
    ])
    expect(director.opened).toBe(1)
  })

  it('opens a new link when the old one is over', async () => {
    const director = new FakeDirector()
    const watch = watching(director)
    await watch.until(() => true, 2_000)
    director.down = new SdkError('NOT_EXIST', 'no cluster')
    director.poke()
    director.takeOver()
    await expect.poll(() => director.opened, { timeout: 2_000 }).toBeGreaterThan(1)
    director.down = null
    await watch.until((s) => s.status.director?.term === 2, 2_000)
  })

  it('says what it saw last when the time is over, and counts a throwing predicate as not yet', async () => {
    const watch = watching(new FakeDirector())
    await expect(watch.until((s) => s.component('x').pid === 1, 80)).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/within 80 ms.*si FULLY_ASSIGNED \(su1=ACTIVE\)/s),
    })
  })

  it('ends every wait when it stops', async () => {
    const watch = watching(new FakeDirector())
    const waiting = watch.until(() => false, 60_000)
    const refused = expect(waiting).rejects.toMatchObject({ code: 'INTERRUPT' })
    await watch.stop()
    await refused
    await expect(watch.until(() => true, 1_000)).rejects.toMatchObject({ code: 'INTERRUPT' })
  })
})
