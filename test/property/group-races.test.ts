import { afterEach, beforeEach, expect, it } from 'vitest'
import type { GroupNotification } from '../../runtime/services/group/interface.ts'
import { groupServer } from '../../runtime/services/group/server.ts'
import { CheckpointWorld } from './recovery-kit.ts'

/** Two things at once, the second one after each step of the first one's messages. */

let world: CheckpointWorld
beforeEach(async () => {
  world = new CheckpointWorld([(host) => groupServer(host)])
  await world.start(1, 2, 3)
  // Until then nobody leads the cluster.
  await world.steps.pass(6_000)
})
afterEach(() => world.close())

it('an election tells what it changed itself, whoever goes meanwhile', async () => {
  const views: GroupNotification[] = []
  const component = await world.steps.wait(world.component(2, 'elector'))
  const handle = component.groups.initialize({ clusterTrack: (view) => void views.push(view) })
  await world.steps.wait(handle.clusterTrack('CHANGES'))
  for (let after = 0, isUnderWay = true; isUnderWay; after++) {
    await world.steps.wait(handle.clusterLeaderElect({ preferred: 3 }))
    await world.steps.pass(50)
    views.length = 0
    let isOver = false
    const electing = handle.clusterLeaderElect().finally(() => (isOver = true))
    for (let step = 0; step < after && !isOver; step++) await world.steps.step()
    isUnderWay = !isOver
    world.killNodes(3)
    const { leader, leadershipChanged } = await world.steps.wait(electing)
    await world.steps.pass(500)
    const own = views.find(({ items }) => items.every(({ change }) => change === 'NO_CHANGE'))
    const told = { leader: own?.leader, leadershipChanged: own?.leadershipChanged }
    expect({ leader, leadershipChanged }, `after ${after} steps`).toEqual(told)
    await world.start(3)
  }
})

it('a second handle that tracks a group hears each view after its answer, and no other', async () => {
  const component = await world.steps.wait(world.component(2, 'tracker'))
  const handle = component.groups.initialize({ groupTrack: () => undefined })
  for (let after = 0, isUnderWay = true; isUnderWay; after++) {
    const group = await world.steps.wait(handle.groupCreate(`tracked twice ${after}`))
    await world.steps.wait(handle.groupTrack({ group, flags: 'CHANGES' }))
    let isOver = false
    const joins = [1, 2, 3].map((memberId) => handle.groupJoin({ group, memberId }))
    void Promise.all(joins).then(() => (isOver = true))
    for (let step = 0; step < after && !isOver; step++) await world.steps.step()
    isUnderWay = !isOver
    const heard: number[] = []
    const groupTrack = ({ viewNumber }: GroupNotification): void => void heard.push(viewNumber)
    const second = component.groups.initialize({ groupTrack })
    const now = await world.steps.wait(second.groupTrack({ group, flags: ['CURRENT', 'CHANGES'] }))
    await world.steps.pass(50)
    const later = [1, 2, 3].filter((viewNumber) => viewNumber > (now?.viewNumber ?? 0))
    expect(heard, `after ${after} steps`).toEqual(later)
  }
})
