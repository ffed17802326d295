import { describe, expect, it } from 'vitest'
import {
  clusterStatus,
  initialState,
  nextDeadlineMs,
  step,
  whyOf,
  type AdminOperation,
} from '../../../amf/engine/engine.ts'
import { commandsOf } from '../../../amf/engine/step.ts'
import { vectorModel } from './models.ts'
import { World } from './world.ts'

function pair(options: Partial<Parameters<typeof vectorModel>[0]> = {}): World {
  const world = new World(vectorModel({ redundancy: '2N', units: 2, instances: 1, ...options }))
  world.startDirector()
  for (const node of world.model.nodes.keys()) world.join(node)
  world.settle()
  return world
}

describe('the step', () => {
  it('leaves the given state as it was', () => {
    const world = pair()
    const before = structuredClone(world.state)
    const event = {
      kind: 'componentFailed',
      component: 'C1',
      incarnation: 1,
      recovery: 'noRecommendation',
      cause: 'x',
    } as const
    const once = step(world.model, world.state, event, 5)
    expect(structuredClone(world.state)).toEqual(before)
    expect(step(world.model, world.state, event, 5)).toEqual(once)
  })

  it('ignores what it does not know', () => {
    const world = pair()
    for (const component of ['nobody', '']) {
      world.step({ kind: 'componentTerminated', component, incarnation: 1 })
      world.step({ kind: 'busy', component, busy: true, delayMs: 1 })
    }
    world.step({ kind: 'nodeGone', node: 'N9', cause: 'x' })
    world.step({ kind: 'nodeJoined', node: 'N9', facts: [] })
    expect(world.log.filter((line) => line.startsWith('alarm'))).toEqual([])
  })

  it('says of the busy alarm what is late', () => {
    const busy = { kind: 'busy', component: 'C1', busy: true } as const
    const causes = (more: { delayMs: number; why?: string }): unknown =>
      commandsOf(step(pair().model, pair().state, { ...busy, ...more }, 5).commands, 'notify')[0]
    expect(causes({ delayMs: 250 })).toMatchObject({
      notification: { kind: 'alarmRaised', to: 'busy', causes: ['C1 answers 250 ms late'] },
    })
    expect(causes({ delayMs: 0, why: 'S.f runs on' })).toMatchObject({
      notification: { causes: ['C1: S.f runs on'] },
    })
  })

  it('has no deadline when nothing is under way', () => {
    expect(nextDeadlineMs(pair().state)).toBeNull()
    expect(nextDeadlineMs(initialState(pair().model))).toBeNull()
  })
})

describe('failover', () => {
  const world = pair()
  const event = {
    kind: 'componentFailed',
    component: 'C1',
    incarnation: 1,
    recovery: 'noRecommendation',
    cause: 'C1 was killed by SIGKILL',
  } as const
  const { commands } = step(world.model, world.state, event, 5)
  const kinds = commands.filter((c) => c.kind !== 'notify').map((c) => c.kind)

  it('records the grant, promotes and publishes in one step, in that order', () => {
    expect(kinds.filter((kind) => kind !== 'persist')).toEqual(
      ['csiSet', 'publishName', 'setReplicas'].slice(0, 2),
    )
    expect(kinds.lastIndexOf('persist')).toBeLessThan(kinds.indexOf('csiSet'))
    const [set] = commandsOf(commands, 'csiSet')
    const [name] = commandsOf(commands, 'publishName')
    expect(set).toMatchObject({ component: 'C2', haState: 'ACTIVE', replicas: ['N2', 'N1'] })
    expect(name).toMatchObject({ component: 'C2', epoch: set?.descriptor.epoch })
  })

  it('says why, from the first cause on', () => {
    expect(commandsOf(commands, 'csiSet')[0]?.why).toBe(
      'C1 was killed by SIGKILL -> component failover of SU1 -> SU2 is the standby',
    )
  })

  it('starts the failed one again only when the new one serves', () => {
    expect(kinds).not.toContain('instantiate')
    const other = pair()
    other.componentFails('C1')
    other.settle()
    expect(other.log.filter((line) => line === 'instantiate C1')).toHaveLength(2)
  })

  it('keeps the chain for "why"', () => {
    const other = pair()
    other.componentFails('C1')
    other.settle()
    const [last] = whyOf(other.model, other.state, 'SI1') ?? []
    expect(last).toMatchObject({ entity: 'C1', to: 'STANDBY' })
    const active = whyOf(other.model, other.state, 'SU2')?.find((n) => n.to === 'ACTIVE')
    expect(active?.causes[0]).toBe('C1 died')
  })
})

describe('a second of kills', () => {
  it('does not escalate to the node in a minute', () => {
    const world = pair()
    for (let second = 0; second < 60; second += 1) {
      const active = clusterStatus(
        world.model,
        world.state,
        null,
      ).serviceInstances[0]?.assignments.find(({ haState }) => haState === 'ACTIVE')
      world.componentFails(active?.components[0]?.name ?? '')
      world.settle()
      world.advance(1_000)
    }
    expect(world.log.filter((line) => line.startsWith('restartNode'))).toEqual([])
    expect(world.log.filter((line) => line.includes('componentFailover'))).toHaveLength(60)
  })
})

describe('in-sync set', () => {
  const asked = (world: World, id: string): unknown => world.results.get(id)

  it('begins with the primary and whom it names', () => {
    const world = pair()
    expect(asked(world, world.inSync('I1', 'N2', true))).toEqual({ ok: true })
    expect(world.csiState('I1').inSync).toEqual(['N1', 'N2'])
    expect(world.store.get('insync/I1')).toEqual(['N1', 'N2'])
  })

  it('is not changed under another epoch', () => {
    const world = pair()
    const id = world.inSync('I1', 'N2', true, world.csiState('I1').epoch - 1)
    expect(asked(world, id)).toMatchObject({ ok: false, code: 'STALE_EPOCH' })
    expect(world.csiState('I1').inSync).toBeNull()
  })

  it('refuses when the one that asks is no longer granted', () => {
    const world = pair()
    const { epoch } = world.csiState('I1')
    world.componentFails('C1')
    expect(asked(world, world.inSync('I1', 'N2', false, epoch))).toMatchObject({
      code: 'STALE_EPOCH',
    })
  })

  it('may be asked twice, and never loses the primary', () => {
    const world = pair()
    world.inSync('I1', 'N2', true)
    expect(asked(world, world.inSync('I1', 'N2', false))).toEqual({ ok: true })
    expect(asked(world, world.inSync('I1', 'N2', false))).toEqual({ ok: true })
    expect(world.csiState('I1').inSync).toEqual(['N1'])
    expect(asked(world, world.inSync('I1', 'N1', false))).toMatchObject({ code: 'BAD_OPERATION' })
  })

  it('decides who may be ACTIVE, and status says for whom the cluster waits', () => {
    const world = pair()
    world.inSync('I1', 'N1', true)
    world.nodeFails('N1')
    world.settle()
    const [instance] = clusterStatus(world.model, world.state, null).serviceInstances
    expect(instance).toMatchObject({ state: 'UNASSIGNED', inSync: ['N1'] })
    expect(instance?.waitingFor).toContain('SU1 on N1')
  })
})

describe('administration', () => {
  const table: [AdminOperation, string, string, AdminOperation[]][] = [
    ['unlock', 'SU1', 'NO_OP', []],
    ['lock', 'SU1', 'ok', []],
    ['lock', 'SU1', 'NO_OP', ['lock']],
    ['unlock', 'SU1', 'ok', ['lock']],
    ['shutdown', 'SU1', 'BAD_OPERATION', ['lock']],
    ['lock-instantiation', 'SU1', 'BAD_OPERATION', []],
    ['lock-instantiation', 'SU1', 'ok', ['lock']],
    ['lock-instantiation', 'SU1', 'NO_OP', ['lock', 'lock-instantiation']],
    ['unlock', 'SU1', 'BAD_OPERATION', ['lock', 'lock-instantiation']],
    ['lock', 'SU1', 'BAD_OPERATION', ['lock', 'lock-instantiation']],
    ['unlock-instantiation', 'SU1', 'ok', ['lock', 'lock-instantiation']],
    ['unlock-instantiation', 'SU1', 'NO_OP', ['lock']],
    ['unlock-instantiation', 'SU1', 'BAD_OPERATION', []],
    ['lock', 'nobody', 'NOT_EXIST', []],
    ['lock', 'C1', 'NOT_SUPPORTED', []],
    ['lock-instantiation', 'SI1', 'NOT_SUPPORTED', []],
    ['swap', 'SU1', 'NOT_SUPPORTED', []],
    ['swap', 'SI1', 'ok', []],
    ['repair', 'SU1', 'NO_OP', []],
    ['repair', 'SI1', 'NOT_SUPPORTED', []],
    ['restart', 'SU1', 'ok', []],
    ['restart', 'C2', 'ok', []],
    ['restart', 'SU1', 'BAD_OPERATION', ['lock', 'lock-instantiation']],
    ['restart', 'SG', 'NOT_SUPPORTED', []],
    ['shutdown', 'SG', 'ok', []],
    ['shutdown', 'N2', 'ok', []],
    ['shutdown', 'SI1', 'ok', []],
  ]
  it.each(table)('%s of %s: %s after %j', (operation, entity, expected, before) => {
    const world = pair()
    for (const each of before) {
      world.admin(each, entity)
      world.settle()
    }
    const id = world.admin(operation, entity)
    world.settle()
    const result = world.results.get(id)
    expect(result?.ok === true ? 'ok' : result?.code).toBe(expected)
  })

  it('restart keeps the roles, and gives ACTIVE under a new epoch', () => {
    const world = pair()
    const { epoch } = world.csiState('I1')
    world.admin('restart', 'C1')
    world.settle()
    const [instance] = clusterStatus(world.model, world.state, null).serviceInstances
    expect(instance?.assignments.map(({ haState }) => haState)).toEqual(['ACTIVE', 'STANDBY'])
    expect(world.csiState('I1').epoch).toBeGreaterThan(epoch)
  })

  it('answers a repeated question once more, also under the next director', () => {
    const world = pair()
    const id = world.admin('lock', 'SU1')
    world.settle()
    world.startDirector()
    world.results.delete(id)
    world.step({ kind: 'admin', id, operation: 'lock', entity: 'SU1' })
    expect(world.results.get(id)).toEqual({ ok: true })
  })

  it('answers under the next director what the old one could not finish', () => {
    const held = new Set(['C1 QUIESCED'])
    const world = new World(vectorModel({ redundancy: '2N', units: 2, instances: 1 }), {
      holds: (component, does) => held.has(`${component} ${does}`),
    })
    world.startDirector()
    world.join('N1')
    world.join('N2')
    world.settle()
    const id = world.admin('lock', 'SU1')
    world.settle()
    expect(world.results.get(id)).toBeUndefined()
    world.startDirector()
    held.clear()
    world.settle()
    expect(world.results.get(id)).toEqual({ ok: true })
  })

  it('swap waits until the standby is in sync', () => {
    const world = pair()
    world.inSync('I1', 'N2', true)
    world.inSync('I1', 'N2', false)
    const id = world.admin('swap', 'SI1')
    expect(world.results.get(id)).toMatchObject({ ok: false, code: 'TRY_AGAIN' })
  })

  it('keeps administrative states over a restart of everything', () => {
    const world = pair()
    world.admin('lock', 'SU1')
    world.settle()
    world.nodeFails('N1')
    world.nodeFails('N2')
    world.startDirector()
    world.join('N1')
    world.join('N2')
    world.settle()
    expect(world.stateOf('SU1')).toMatchObject({
      administrative: 'LOCKED',
      readiness: 'OUT_OF_SERVICE',
    })
    expect(world.stateOf('SU2')).toMatchObject({ 'ha SI1': 'ACTIVE' })
  })
})

describe('names', () => {
  it('are known from the start, and lead nowhere while nobody serves', () => {
    const world = new World(vectorModel({ redundancy: '2N', units: 2, instances: 1 }))
    world.startDirector()
    expect(world.names.get('I1')).toBeNull()
    world.join('N1')
    world.join('N2')
    world.settle()
    expect(world.names.get('I1')).toBe('C1')
    world.nodeFails('N1')
    expect(world.names.get('I1')).toBe('C2')
    world.nodeFails('N2')
    expect(world.names.get('I1')).toBeNull()
  })

  it('still lead to who serves when the director changes', () => {
    const world = pair()
    world.names.clear()
    world.state = initialState(world.model)
    const records = [...world.store].map(([key, value]) => ({ key, value }))
    world.step({ kind: 'directorStarted', term: 2, records })
    expect(world.names.get('I1')).toBe('C1')
  })
})
