import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AgentCommand } from '../../../amf/director/interface.ts'
import { until } from '../director/director-kit.ts'
import { AgentKit, MODEL_TEXT, type FakeComponent, type FakeDirector } from './agent-kit.ts'

const why = 'test'
const instantiate: AgentCommand = {
  kind: 'instantiate',
  component: 'c1',
  mediation: null,
  descriptor: null,
  why,
}

const csiSet = (incarnation: number, invocation: number): AgentCommand => ({
  kind: 'csiSet',
  component: 'c1',
  incarnation,
  invocation,
  haState: 'ACTIVE',
  descriptor: {
    csi: 'csi',
    flags: 'ADD_ONE',
    haState: 'ACTIVE',
    epoch: 9,
    transition: 'NEW_ASSIGN',
    activeComponent: null,
    standbyRank: 0,
    attributes: {},
  },
  replicas: ['node1', 'node2'],
  inSync: ['node2'],
  why,
})

let kit: AgentKit
beforeEach(async () => {
  kit = new AgentKit()
  await kit.start()
})
afterEach(() => kit.close())

async function joined(term = 1): Promise<FakeDirector> {
  const director = await kit.director(term)
  kit.follow(director)
  await until(() => director.joins.length === 1, 'join')
  return director
}

async function running(director: FakeDirector): Promise<FakeComponent> {
  await director.command(instantiate)
  const component = await kit.component()
  await component.register(50)
  await until(() => director.events.length > 0, 'registered')
  return component
}

describe('with its director', () => {
  it('joins with facts, again and again until it is taken in', async () => {
    const director = await kit.director(1)
    director.refuseJoins = 3
    kit.follow(director)
    await until(() => director.joins.length === 1, 'join')
    expect(director.joins[0]).toEqual([
      {
        component: 'c1',
        presence: 'UNINSTANTIATED',
        pid: null,
        incarnation: 0,
        address: null,
        mediator: null,
        assignments: [],
        haReadiness: [],
        busy: false,
        monitored: false,
      },
    ])
  })

  it('reports what happens, in order', async () => {
    const director = await joined()
    const component = await running(director)
    await director.command(csiSet(101, 7))
    await until(() => component.calls.length === 1, 'csiSet')
    expect(kit.checkpoint).toEqual(['csi@9 1,2 in sync 2'])
    await component.agent.response({ invocation: 7, rc: 0, message: '' })
    kit.processes[0]?.exit({ code: 3, signal: null })
    await until(() => director.events.length === 3, 'events')
    expect(director.events.map((event) => event.kind)).toEqual([
      'componentRegistered',
      'csiSetDone',
      'componentFailed',
    ])
  })

  it('joins again when an event was not taken: facts, then what follows', async () => {
    const director = await joined()
    const component = await running(director)
    director.failEvents = 1
    await director.command(csiSet(101, 7))
    await until(() => component.calls.length === 1, 'csiSet')
    await component.agent.response({ invocation: 7, rc: 0, message: '' })
    await until(() => director.joins.length === 2, 'second join')
    expect(director.joins[1]?.[0]).toMatchObject({
      incarnation: 101,
      assignments: [{ csi: 'csi', haState: 'ACTIVE', epoch: 9, confirmed: true }],
    })
    kit.processes[0]?.exit({ code: 3, signal: null })
    await until(() => director.events.at(-1)?.kind === 'componentFailed', 'the next event')
    expect(director.events.map((event) => event.kind)).not.toContain('csiSetDone')
  })

  it('refuses an older term, and one that it does not follow', async () => {
    const old = await joined(1)
    await running(old)
    const next = await kit.director(2, 23)
    kit.agent.directorLost()
    await expect(old.command(csiSet(101, 7))).rejects.toMatchObject({ code: 'TRY_AGAIN' })
    kit.follow(next)
    await until(() => next.joins.length === 1, 'join')
    await expect(old.command(csiSet(101, 7))).rejects.toMatchObject({ code: 'STALE_TERM' })
    expect(next.joins[0]?.[0]).toMatchObject({ presence: 'INSTANTIATED', assignments: [] })
    expect(kit.checkpoint).toEqual([])
  })

  it('passes in-sync changes on, and says TRY_AGAIN without a director', async () => {
    const change = { csi: 'csi', node: 2, inSync: false }
    const code = (epoch: number): Promise<unknown> =>
      kit.agent.changeInSync({ ...change, epoch }).then(
        () => 'done',
        (error) => error.code,
      )
    expect(await code(9)).toBe('TRY_AGAIN')
    await joined()
    await until(() => kit.agent.isDirected, 'joined')
    expect(await code(9)).toBe('done')
    expect(await code(4)).toBe('STALE_EPOCH')
  })

  it('ends when it is told to', async () => {
    const director = await joined()
    await director.command({
      kind: 'setReplicas',
      csi: 'csi',
      epoch: 9,
      replicas: ['node1'],
      inSync: null,
      why,
    })
    await director.command({ kind: 'restartNode', why }, { kind: 'stopNode', why })
    expect(kit.checkpoint).toEqual(['csi 1'])
    expect(kit.ends).toEqual(['restart', 'stop'])
  })
})

describe('names', () => {
  it('are incomplete until a director was heard, then pushed to watchers', async () => {
    const component = await kit.component()
    expect(await component.agent.namesWatch({})).toEqual({
      names: [],
      complete: false,
      whole: false,
    })
    const director = await joined()
    await until(() => component.names.length === 1, 'the table')
    const { term } = director
    await director
      .client()
      .names({ term, names: [director.name(2)], complete: false, isEcho: false })
    await until(() => component.names.length === 2, 'the change')
    await director
      .client()
      .names({ term, names: [director.name(2)], complete: false, isEcho: false })
    expect(await component.agent.namesWatch({})).toEqual({
      names: [director.name(2)],
      complete: true,
      whole: true,
    })
    expect(component.names).toEqual([director.name(1), director.name(2)])
  })

  it('that another agent tells reach those who watch every node a moment after the others', async () => {
    const director = await joined()
    const { term } = director
    const near = await kit.component()
    const wide = await kit.component()
    await near.agent.namesWatch({})
    await wide.agent.namesWatch({ everywhere: true })
    const entry = (name: string, node: number) => {
      return { name, csi: 'csi', address: { node, port: 2_000 }, epoch: 1 }
    }
    const [there, here] = [entry('there', 2), entry('here', 1)]
    await director.client().names({ term, names: [there], complete: false, isEcho: true })
    await director.client().names({ term, names: [here], complete: false, isEcho: false })
    await until(() => near.names.length === 2 && wide.names.length === 2, 'both changes')
    expect(near.names).toEqual([there, here])
    expect(wide.names).toEqual([here, there])
  })

  it('lose the director when it is lost, so that its callers wait', async () => {
    const director = await joined()
    const { term } = director
    const amf = { name: 'amf', csi: '@amf', address: director.rmd.address, epoch: 1 }
    await director.client().names({ term, names: [amf], complete: true, isEcho: false })
    const component = await kit.component()
    await component.agent.namesWatch({})
    kit.agent.directorLost()
    await until(() => component.names.length === 1, 'the change')
    expect(component.names[0]).toEqual({ ...amf, address: null })
  })
})

describe('components', () => {
  it('must be those that were launched', async () => {
    const director = await joined()
    await director.command(instantiate)
    const component = await kit.component()
    const code = (of: Promise<unknown>): Promise<unknown> => of.catch((error) => error.code)
    const { agent, rmd } = component
    const unknown = { component: 'c9', pid: 50, version: 'B.1.1' }
    expect(await code(agent.initialize(unknown))).toBe('NOT_EXIST')
    expect(await code(agent.initialize({ ...unknown, component: 'c1', pid: 9 }))).toBe(
      'INVALID_STATE',
    )
    const register = { component: 'c1', proxy: null, address: rmd.address }
    expect(await code(agent.register(register))).toBe('NOT_INITIALIZED')
  })

  it('are killed when their connection closes, and reported when they are gone', async () => {
    const director = await joined()
    const component = await running(director)
    await component.rmd.close()
    await until(() => director.events.length === 2, 'componentFailed')
    expect(kit.processes[0]?.killed).toBe(true)
    expect(director.events[1]).toMatchObject({ kind: 'componentFailed', incarnation: 101 })
  })

  it('that stop beating are killed: frozen', async () => {
    const director = await joined()
    const component = await running(director)
    component.onCall = (name, invocation) => {
      if (name !== 'healthCheck') return
      void component.agent.response({ invocation, rc: 0, message: '' }).catch(() => undefined)
    }
    let beat = 0
    const beats = setInterval(() => kit.agent.onHeartbeat('c1', ++beat, 0), 5)
    await until(() => beat >= 40, 'beats')
    expect(director.events.map((event) => event.kind)).toEqual(['componentRegistered'])
    clearInterval(beats)
    await until(() => director.events.some((one) => one.kind === 'componentFailed'), 'frozen')
    expect(director.events.at(-1)).toMatchObject({ cause: expect.stringContaining('frozen') })
  })

  it('that answer a health check with an error are killed', async () => {
    const director = await joined()
    const component = await running(director)
    component.onCall = (name, invocation) => {
      if (name !== 'healthCheck') return
      void component.agent.response({ invocation, rc: 5, message: 'ill' }).catch(() => undefined)
    }
    await until(() => director.events.length === 2, 'componentFailed')
    expect(director.events[1]).toMatchObject({ cause: expect.stringContaining('ill') })
  })

  it('can be reported by another one, with a recovery', async () => {
    const director = await joined()
    const component = await running(director)
    await component.agent.errorReport({
      component: 'c1',
      recovery: 'suFailover',
      message: 'bad',
      causes: ['disk full', 'log lost'],
    })
    await until(() => director.events.length === 2, 'componentFailed')
    const cause = 'c1: an error was reported: disk full -> log lost -> bad'
    expect(director.events[1]).toMatchObject({ recovery: 'suFailover', cause })
  })

  it('of another node are reported to the director; what works again always is', async () => {
    const director = await joined()
    const component = await running(director)
    const report = { component: 'other', recovery: 'suFailover', message: 'bad' } as const
    await component.agent.errorReport({ ...report, causes: [] })
    await component.agent.errorClear({ component: 'c1' })
    const cause = 'an error was reported: bad'
    const told = [{ component: 'other', recovery: 'suFailover', cause }, { component: 'c1' }]
    expect(director.reports).toEqual(told)
    kit.agent.directorLost()
    await expect(component.agent.errorReport({ ...report, causes: [] })).rejects.toMatchObject({
      code: 'TRY_AGAIN',
    })
  })

  it('are terminated when the node stops', async () => {
    const director = await joined()
    const component = await running(director)
    component.onCall = (name) => {
      if (name === 'terminate') kit.processes[0]?.exit({ code: 0, signal: null })
    }
    await kit.agent.stop()
    expect(component.calls).toEqual(['terminate -1'])
    expect(kit.processes[0]?.killed).toBe(false)
  })
})

describe('another model', () => {
  const useModel = (version: number, text: string): AgentCommand => ({
    kind: 'useModel',
    source: { text, path: '/test/cluster.yaml', version },
    why,
  })
  const withC3 = MODEL_TEXT.replace(
    'components: { c1: sequence } }',
    'components: { c1: sequence } }\n      su3: { node: node1, components: { c3: sequence } }',
  )

  it('adds components for the commands that follow, and disturbs none that runs', async () => {
    const director = await joined()
    await running(director)
    await director.command(useModel(1, withC3))
    await director.command({ ...instantiate, component: 'c3' })
    await until(() => kit.processes.length === 2, 'a launch of c3')
    expect(kit.processes[0]?.killed).toBe(false)
    expect(director.events.map(({ kind }) => kind)).toEqual(['componentRegistered'])
  })

  it('is not gone back from, and is told of at the next join', async () => {
    const director = await joined()
    await director.command(useModel(2, withC3))
    await director.command(useModel(1, MODEL_TEXT))
    kit.agent.directorLost()
    const next = await kit.director(2, 23)
    kit.follow(next)
    await until(() => next.joins.length === 1, 'join')
    expect(kit.modelVersion).toBe(2)
    expect(next.joins[0]?.map(({ component }) => component)).toEqual(['c1', 'c3'])
  })

  it('forgets components that left', async () => {
    const director = await joined()
    await director.command(useModel(1, withC3))
    await director.command(useModel(2, MODEL_TEXT))
    kit.agent.directorLost()
    const next = await kit.director(2, 23)
    kit.follow(next)
    await until(() => next.joins.length === 1, 'join')
    expect(next.joins[0]?.map(({ component }) => component)).toEqual(['c1'])
  })
})
