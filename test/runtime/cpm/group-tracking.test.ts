import { describe, expect, it } from 'vitest'
import type { ProtectionGroup } from '../../../runtime/internal.ts'
import { GroupTracking } from '../../../runtime/cpm/group-tracking.ts'
import type {
  ProtectionGroupNotification,
  TrackFlag,
} from '../../../runtime/cpm/protection-group.ts'
import { isSdkError } from '../../../idl/index.ts'

type Member = ProtectionGroup['members'][number]
const member = (component: string, haState: Member['haState'], rank = 0): Member => ({
  component,
  haState,
  haReadiness: 'READY_FOR_ASSIGNMENT',
  rank,
})
const PAIR = [member('c1', 'ACTIVE'), member('c2', 'STANDBY', 1)]

class Source {
  readonly calls: string[] = []
  group: ProtectionGroup = { csi: 'csi', term: 1, revision: 1, members: PAIR }

  protectionGroupTrack({ csi, watch }: { csi: string; watch: boolean }) {
    this.calls.push(`track ${csi} ${String(watch)}`)
    return Promise.resolve({ group: this.group })
  }

  protectionGroupStop({ csi }: { csi: string }) {
    this.calls.push(`stop ${csi}`)
    return Promise.resolve({})
  }
}

function kit() {
  const source = new Source()
  const news: ProtectionGroupNotification[] = []
  const errors: unknown[] = []
  const tracking = new GroupTracking((error) => errors.push(error))
  tracking.attach(source)
  const track = (flags: TrackFlag | readonly TrackFlag[], csi = 'csi') =>
    tracking.track({ csi, flags }, (each) => news.push(each))
  const change = (revision: number, members: Member[], term = 1) =>
    tracking.receive({ csi: 'csi', term, revision, members })
  return { source, news, errors, tracking, track, change }
}

const short = ({ members, numberOfMembers }: ProtectionGroupNotification): string =>
  `${members.map((m) => `${m.component} ${m.haState} ${m.rank} ${m.change}`).join(', ')} of ${numberOfMembers}`

describe('flags', () => {
  it.each([
    [[], 'at least one'],
    [['CHANGES', 'CHANGES_ONLY'], 'exclude each other'],
    [['ALWAYS' as TrackFlag], 'ALWAYS is none of'],
  ] as const)('%j are refused', async (flags, text) => {
    const error: unknown = await kit()
      .track(flags)
      .catch((e: unknown) => e)
    expect(isSdkError(error, 'BAD_FLAG')).toBe(true)
    expect(String(error)).toContain(text)
  })

  it('CHANGES without a callback is refused, CURRENT is not', async () => {
    const { tracking } = kit()
    const refused = tracking.track({ csi: 'csi', flags: 'CHANGES' }, undefined)
    await expect(refused).rejects.toMatchObject({ code: 'NOT_INITIALIZED' })
    const now = await tracking.track({ csi: 'csi', flags: 'CURRENT' }, undefined)
    expect(now && short(now)).toBe('c1 ACTIVE 0 NO_CHANGE, c2 STANDBY 1 NO_CHANGE of 2')
  })
})

describe('changes', () => {
  it('come with the whole group, each member with what happened to it', async () => {
    const { track, change, news } = kit()
    expect(await track('CHANGES')).toBeNull()
    change(2, [member('c2', 'ACTIVE'), member('c3', 'STANDBY', 1)])
    expect(news.map(short)).toEqual([
      'c2 ACTIVE 0 STATE_CHANGE, c3 STANDBY 1 ADDED, c1 ACTIVE 0 REMOVED of 2',
    ])
  })

  it('come alone with CHANGES_ONLY', async () => {
    const { track, change, news } = kit()
    expect((await track(['CURRENT', 'CHANGES_ONLY']))?.numberOfMembers).toBe(2)
    change(2, [...PAIR, member('c3', 'STANDBY', 2)])
    expect(news.map(short)).toEqual(['c3 STANDBY 2 ADDED of 3'])
  })

  it('that are older than what is known, or none, are not told', async () => {
    const { track, change, news } = kit()
    await track('CHANGES')
    change(3, [PAIR[0]!])
    change(2, PAIR)
    change(4, [PAIR[0]!])
    expect(news).toHaveLength(1)
    // A new director counts from the beginning; what it says is what was known.
    change(1, [PAIR[0]!], 2)
    change(9, PAIR, 1)
    expect(news).toHaveLength(1)
  })

  it('that overtake the first answer are told after it', async () => {
    const { track, change, news } = kit()
    const tracked = track('CHANGES')
    change(2, [PAIR[0]!])
    await tracked
    expect(news.map(short)).toEqual(['c1 ACTIVE 0 NO_CHANGE, c2 STANDBY 1 REMOVED of 1'])
  })

  it('go on with another agent: what changed meanwhile is told once', async () => {
    const { tracking, track, news } = kit()
    await track('CHANGES_ONLY')
    tracking.detach()
    const other = new Source()
    other.group = { csi: 'csi', term: 2, revision: 1, members: [member('c2', 'ACTIVE')] }
    tracking.attach(other)
    await Promise.resolve()
    await Promise.resolve()
    expect(other.calls).toEqual(['track csi true'])
    expect(news.map(short)).toEqual(['c2 ACTIVE 0 STATE_CHANGE, c1 ACTIVE 0 REMOVED of 1'])
  })

  it('are told on after a callback that throws', async () => {
    const { tracking, errors, change } = kit()
    let count = 0
    await tracking.track({ csi: 'csi', flags: 'CHANGES' }, () => {
      count += 1
      throw new Error('mine')
    })
    change(2, [PAIR[0]!])
    change(3, PAIR)
    expect([count, errors.length]).toEqual([2, 2])
  })
})

it('ends with stop, which refuses what is not tracked', async () => {
  const { tracking, track, change, news, source } = kit()
  await track('CHANGES')
  await tracking.stop('csi')
  change(2, [])
  expect(news).toEqual([])
  expect(source.calls).toEqual(['track csi true', 'stop csi'])
  await expect(tracking.stop('csi')).rejects.toMatchObject({ code: 'NOT_EXIST' })
})
