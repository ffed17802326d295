import { expect, it } from 'vitest'
import type { DirectoryEntry } from '../../../runtime/services/named-checkpoint/operations.ts'
import { Retentions } from '../../../runtime/services/named-checkpoint/retentions.ts'
import { ManualClock } from '../../ioc/rmd-kit.ts'

const entryOf = (change: Partial<DirectoryEntry>): DirectoryEntry => ({
  id: 'id',
  name: 'c',
  attributes: {
    creationFlags: [],
    checkpointSize: 0,
    retentionDurationMs: 1_000,
    maxSections: 1,
    maxSectionSize: 0,
    maxSectionIdSize: 0,
  },
  retentionDurationMs: 1_000,
  isUnlinked: false,
  openers: [],
  generation: 1,
  idleMs: 0,
  active: 1,
  epoch: 1,
  replicas: [1],
  inSync: [1],
  revision: 1,
  ...change,
})

function rig(isMine: () => boolean) {
  const clock = new ManualClock()
  const passed: [number, string, number][] = []
  const retentions = new Retentions({
    clock,
    isMine,
    passed: (id, generation) => {
      passed.push([clock.nowMs(), id, generation])
      return Promise.reject(new Error('not heard'))
    },
  })
  return { clock, passed, retentions }
}

it('counts from when nobody has it open any more, and says it until it is heard', async () => {
  const { clock, passed, retentions } = rig(() => true)
  const opener = { opener: { eo: 'e', life: 'l', node: 1 }, count: 1 }
  retentions.changed('id', entryOf({ openers: [opener] }))
  await clock.advance(5_000)
  expect(passed).toEqual([])
  retentions.changed('id', entryOf({}))
  await clock.advance(600)
  // Something else of it changes: the time goes on.
  retentions.changed('id', entryOf({ replicas: [1, 2] }))
  await clock.advance(399)
  expect(passed).toEqual([])
  await clock.advance(1)
  expect(passed).toEqual([[7_000, 'id', 1]])
  await clock.advance(500)
  expect(passed).toHaveLength(2)
  retentions.changed('id', undefined)
  await clock.advance(10_000)
  expect(passed).toHaveLength(2)
})

it('begins anew after it was open again, and goes on at another node when the first one dies', async () => {
  let isMine = false
  const { clock, passed, retentions } = rig(() => isMine)
  retentions.changed('id', entryOf({}))
  await clock.advance(900)
  retentions.changed('id', entryOf({ generation: 2 }))
  await clock.advance(5_000)
  expect(passed).toEqual([])
  isMine = true
  await clock.advance(500)
  expect(passed).toEqual([[7_400, 'id', 2]])
  retentions.close()
  await clock.advance(5_000)
  expect(passed).toHaveLength(1)
})

it('one without end is never over', async () => {
  const { clock, passed, retentions } = rig(() => true)
  retentions.changed('id', entryOf({ retentionDurationMs: null }))
  await clock.advance(1_000_000)
  expect(passed).toEqual([])
})
