import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { storedModel } from '../../../amf/director/record-store.ts'
import type { EngineCommand, EngineEvent } from '../../../amf/engine/contract.ts'
import { SdkError } from '../../../idl/index.ts'
import { DirectorKit, until } from './director-kit.ts'

const why = 'test'
const persist = (key: string, value: unknown): EngineCommand => ({
  kind: 'persist',
  record: { key, value },
  why,
})
const instantiate = (node: string, component: string): EngineCommand => ({
  kind: 'instantiate',
  node,
  component,
  mediation: null,
  descriptor: null,
  why,
})
const name = (address: { node: number; port: number } | null, epoch: number): EngineCommand => ({
  kind: 'publishName',
  name: 'work',
  csi: 'csi',
  component: null,
  address,
  epoch,
  why,
})

let kit: DirectorKit
beforeEach(() => {
  kit = new DirectorKit()
})
afterEach(() => kit.close())

describe('joining', () => {
  it('records the process of a node before it steps its facts', async () => {
    let recorded = 0
    kit.script.react = (event) => {
      if (event.kind === 'nodeJoined') recorded = kit.store.list('amf1/member/').length
      return []
    }
    await kit.start(1)
    const agent = await kit.agent('node2')
    const { names } = await agent.join(1, 102)
    expect(recorded).toBe(1)
    expect(names).toEqual([
      { name: 'amf', csi: '@amf', address: { node: 1, port: 22 }, epoch: 2 ** 32 },
    ])
    expect(kit.eventKinds()).toEqual([
      'directorStarted',
      'nodeGone node1',
      'nodeGone node2',
      'nodeJoined node2',
    ])
  })

  it.each([
    ['another term', 7, 102, 'STALE_TERM'],
    ['no such process', 1, 999, 'INVALID_STATE'],
  ])('refuses %s', async (_, term, pid, code) => {
    await kit.start(1)
    const agent = await kit.agent('node2')
    await expect(agent.join(term, pid)).rejects.toMatchObject({ code })
    expect(kit.eventKinds()).not.toContain('nodeJoined node2')
  })

  it('refuses events of a node that did not join', async () => {
    await kit.start(1)
    const agent = await kit.agent('node2')
    const busy = { kind: 'busy', component: 'c2', busy: true, delayMs: 1 } as const
    const sent = agent.director.events({ node: 'node2', term: 1, events: [busy] })
    await expect(sent).rejects.toMatchObject({ code: 'INVALID_STATE' })
  })

  it('fences the earlier life of a node before it takes the next one in', async () => {
    await kit.start(1)
    const first = await kit.agent('node2')
    await first.join(1, 102)
    kit.script.events = []
    const second = await kit.rmd(2, 2)
    const { FakeAgent } = await import('./director-kit.ts')
    await new FakeAgent(second, 'node2').join(1, 103)
    expect(kit.fences).toEqual(['prove 102', 'sweep node2'])
    expect(kit.eventKinds()).toEqual(['nodeGone node2', 'nodeJoined node2'])
  })
})

describe('commands', () => {
  it('leave in order, after everything is durable', async () => {
    let durable = false
    kit.script.react = (event) => {
      if (event.kind !== 'nodeJoined') return []
      return [
        persist('epoch', 5),
        instantiate('node2', 'c2'),
        name({ node: 2, port: 300 }, 9),
        instantiate('node1', 'c1'),
        { kind: 'restartNode', node: 'node2', why },
      ]
    }
    await kit.start(1)
    const agent = await kit.agent('node2')
    agent.onCommand = () => {
      durable = kit.store.get('amf1/engine/epoch') !== undefined
    }
    await agent.join(1, 102)
    await until(() => agent.commands.length === 2 && agent.names.length === 1, 'commands')
    expect(durable).toBe(true)
    expect(agent.commands.map((command) => command.kind)).toEqual(['instantiate', 'restartNode'])
    expect(agent.names[0]).toEqual({
      name: 'work',
      csi: 'csi',
      address: { node: 2, port: 300 },
      epoch: 9,
    })
  })

  it('do not leave when another director has taken office', async () => {
    kit.script.react = (event) =>
      event.kind === 'busy' ? [persist('epoch', 5), instantiate('node2', 'c2')] : []
    await kit.start(1)
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    kit.store.term = 2
    const busy = { kind: 'busy', component: 'c2', busy: true, delayMs: 1 } as const
    await agent.director.events({ node: 'node2', term: 1, events: [busy] }).catch(() => undefined)
    await until(() => kit.staleTerms.length === 1, 'stale')
    expect(agent.commands).toEqual([])
    expect(kit.store.get('amf1/engine/epoch')).toBeUndefined()
  })

  it('a director whose agent follows a newer one ends', async () => {
    kit.script.react = (event) => (event.kind === 'nodeJoined' ? [instantiate('node2', 'c2')] : [])
    await kit.start(1)
    const agent = await kit.agent('node2')
    agent.commandError = new SdkError('STALE_TERM', 'term 2 has begun')
    await agent.join(1, 102)
    await until(() => kit.staleTerms.length === 1, 'stale')
  })

  it('are repeated until the agent takes them', async () => {
    kit.script.react = (event) => (event.kind === 'nodeJoined' ? [instantiate('node2', 'c2')] : [])
    await kit.start(1)
    const agent = await kit.agent('node2')
    agent.commandError = new SdkError('TRY_AGAIN', 'not yet')
    await agent.join(1, 102)
    agent.commandError = null
    await until(() => agent.commands.length === 1, 'repeated')
  })
})

describe('lost nodes', () => {
  it('are fenced when their connection closes, then the engine is told', async () => {
    await kit.start(1)
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    kit.script.events = []
    await agent.rmd.close()
    await until(() => kit.script.events.length > 0, 'nodeGone')
    expect(kit.fences).toEqual(['prove 102', 'sweep node2'])
    expect(kit.eventKinds()).toEqual(['nodeGone node2'])
    expect(kit.store.list('amf1/member/')).toEqual([])
  })

  it('are fenced when they leave the view', async () => {
    const director = await kit.start(1)
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    const member = { node: 'node2', process: { pid: 102, startTime: 102, bootId: 'b' } }
    director.onMembership({ term: 1, number: 1, members: [member] })
    expect(kit.fences).toEqual([])
    director.onMembership({ term: 1, number: 2, members: [] })
    await until(() => kit.eventKinds().at(-1) === 'nodeGone node2', 'nodeGone')
  })

  it('of an earlier term: dead ones at once, silent ones after a while, those that come never', async () => {
    await kit.start(1)
    const first = await kit.agent('node1')
    const second = await kit.agent('node2')
    await first.join(1, 103)
    await second.join(1, 102)
    kit.store.term = 2
    kit.alive.delete(103)
    kit.script.events = []
    const next = new DirectorKit()
    for (const [key, entry] of kit.store.entries) next.store.entries.set(key, entry)
    next.store.term = 2
    next.alive.delete(103)
    try {
      await next.start(2)
      await until(() => next.eventKinds().includes('nodeGone node1'), 'the dead one')
      expect(next.fences).toEqual(['prove 103', 'sweep node1'])
      expect(next.eventKinds()).not.toContain('nodeGone node2')
      await until(() => next.eventKinds().includes('nodeGone node2'), 'the silent one')
      expect(next.fences.slice(2)).toEqual(['prove 102', 'sweep node2'])
    } finally {
      await next.close()
    }
  })

  it('are not taken for gone while they cannot be proven gone', async () => {
    let tries = 0
    await kit.start(1, {
      backplane: {
        store: kit.store,
        proveGone: () => {
          tries += 1
          if (tries < 3) return Promise.reject(new SdkError('TIMEOUT', 'it sleeps'))
          return Promise.resolve()
        },
      },
    })
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    kit.script.events = []
    await agent.rmd.close()
    await until(() => kit.script.events.length > 0, 'nodeGone')
    expect(tries).toBe(3)
  })
})

describe('operators', () => {
  const answer = (id: string): EngineCommand => ({
    kind: 'answer',
    id,
    result: { ok: false, code: 'NO_OP', message: 'locked already' },
    why,
  })

  it('get one answer for one id, also from the next director', async () => {
    kit.script.react = (event) => (event.kind === 'busy' ? [answer('op1')] : [])
    const director = await kit.start(1)
    const management = await kit.management()
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    const request = { id: 'op1', operation: 'lock', entity: 'su1' } as const
    const both = Promise.allSettled([management.admin(request), management.admin(request)])
    await until(() => kit.eventKinds().includes('admin'), 'admin')
    const busy = { kind: 'busy', component: 'c2', busy: true, delayMs: 1 } as const
    await agent.director.events({ node: 'node2', term: 1, events: [busy] })
    for (const one of await both) expect(one).toMatchObject({ reason: { code: 'NO_OP' } })
    expect(kit.eventKinds().filter((kind) => kind === 'admin')).toHaveLength(1)
    await director.stop()
    kit.store.term = 2
    await kit.start(2)
    await expect(management.admin(request)).rejects.toMatchObject({ code: 'NO_OP' })
    expect(kit.eventKinds().filter((kind) => kind === 'admin')).toHaveLength(1)
  })

  it('error reports go to the node of the component, clears are repairs', async () => {
    const code = (of: Promise<unknown>): Promise<unknown> => of.catch((error) => error.code)
    await kit.start(1)
    const [one, two] = [await kit.agent('node1'), await kit.agent('node2')]
    await one.join(1, 101)
    const report = { component: 'c2', recovery: 'suFailover', cause: 'ill' } as const
    expect(await code(one.director.errorReport(report))).toBe('TRY_AGAIN')
    expect(await code(one.director.errorReport({ ...report, component: 'x' }))).toBe('NOT_EXIST')
    await two.join(1, 102)
    await one.director.errorReport(report)
    await until(() => two.commands.length === 1, 'the command')
    const why = 'ill'
    expect(two.commands).toEqual([
      { kind: 'errorReport', component: 'c2', recovery: 'suFailover', why },
    ])
    expect(await code(one.director.errorClear({ component: 'x' }))).toBe('NOT_EXIST')
    const cleared = one.director.errorClear({ component: 'c2' })
    await until(() => kit.eventKinds().includes('admin'), 'admin')
    const asked = kit.script.events.find((event) => event.kind === 'admin')
    expect(asked).toMatchObject({ operation: 'repair', entity: 'c2' })
    kit.script.react = (event) =>
      event.kind === 'busy' && asked?.kind === 'admin'
        ? [{ kind: 'answer', id: asked.id, result: { ok: true }, why }]
        : []
    const busy = { kind: 'busy', component: 'c2', busy: true, delayMs: 1 } as const
    await two.director.events({ node: 'node2', term: 1, events: [busy] })
    expect(await cleared).toEqual({})
  })

  it('wait for a state, and for notifications', async () => {
    kit.script.react = (event) => {
      if (event.kind !== 'nodeJoined') return []
      kit.script.states = { assignment: 'FULLY_ASSIGNED' }
      const notification = {
        kind: 'assignment',
        entity: 'si',
        from: null,
        to: 'FULLY_ASSIGNED',
        causes: ['node2 joined'],
        atMs: 1,
      } as const
      return [{ kind: 'notify', notification, why }]
    }
    await kit.start(1)
    const management = await kit.management()
    const state = management.wait({ entity: 'si', states: ['UNASSIGNED', 'FULLY_ASSIGNED'] })
    const news = management.notifications({ after: 0, waitMs: 2_000 })
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    expect(await state).toEqual({ state: 'FULLY_ASSIGNED' })
    expect(await news).toMatchObject({ term: 1, notifications: [{ id: 1, entity: 'si' }] })
    expect(await management.notifications({ after: 1, waitMs: 0 })).toMatchObject({
      notifications: [],
    })
  })

  it('hear of entities that do not exist and of waits that end', async () => {
    await kit.start(1)
    const management = await kit.management()
    const code = (of: Promise<unknown>): Promise<unknown> => of.catch((error) => error.code)
    expect(await code(management.state({ entity: 'nobody' }))).toBe('NOT_EXIST')
    expect(await code(management.wait({ entity: 'nobody', states: ['X'] }))).toBe('NOT_EXIST')
    const odd = management.wait({ entity: 'si', states: ['FULL', 'X'] })
    await expect(odd).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: '"FULL" is no state of si; one of UNASSIGNED, FULLY_ASSIGNED, X',
    })
    const late = management.wait({ entity: 'si', states: ['X'] }, { timeoutMs: 50 })
    expect(await code(late)).toBe('TIMEOUT')
  })

  it('get an in-sync change through, by node name', async () => {
    kit.script.react = (event) =>
      event.kind === 'inSyncChange'
        ? [{ kind: 'answer', id: event.id, result: { ok: true }, why }]
        : []
    await kit.start(1)
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    await agent.director.inSyncChange({ csi: 'csi', epoch: 3, node: 2, inSync: false })
    expect(kit.script.events.at(-1)).toMatchObject({ kind: 'inSyncChange', node: 'node2' })
    expect(kit.store.list('amf1/answer/')).toEqual([])
  })

  it('stop the cluster: actives, then the others, then nodes, the own one last', async () => {
    await kit.start(1)
    const order: string[] = []
    for (const node of ['node1', 'node2']) {
      const agent = await kit.agent(node)
      const component = node === 'node1' ? 'c1' : 'c2'
      agent.onCommand = (command) => {
        order.push(`${command.kind} ${'component' in command ? command.component : node}`)
        if (command.kind === 'stopNode') void agent.rmd.close()
        if (command.kind !== 'terminate') return
        const { incarnation } = command
        const event = { kind: 'componentTerminated', component, incarnation } as const
        void agent.director.events({ node, term: 1, events: [event] })
      }
      await agent.join(1, node === 'node1' ? 101 : 102, [{ component, incarnation: 5 }])
    }
    const management = await kit.management()
    await management.stopCluster({})
    expect(order).toEqual(['terminate c2', 'terminate c1'])
    await until(() => order.length === 4, 'nodes')
    expect(order.slice(2)).toEqual(['stopNode node2', 'stopNode node1'])
    expect(kit.fences).toEqual([])
  })
})

describe('another model', () => {
  const text = `
cluster: test
nodes: { node1: {} }
componentTypes: { sequence: { command: [/bin/true] } }
serviceGroups:
  sg:
    redundancy: 2N
    serviceUnits: { su1: { node: node1, components: { c1: sequence } } }
    serviceInstances: { si: { csis: { csi: { name: other } } } }
`
  const request = { id: 'a1', text, path: '/test/cluster.yaml', dryRun: false }
  const take = (event: EngineEvent): EngineCommand[] =>
    event.kind !== 'modelChange'
      ? []
      : [
          { kind: 'useModel', model: event.model, source: event.source, why },
          instantiate('node2', 'c2'),
          { kind: 'answer', id: event.id, result: { ok: true }, why },
        ]

  it('is durable, and with the agents before the next command, when it is answered', async () => {
    const taken: number[] = []
    kit.script.react = take
    kit.script.changes = ['- nodes.node2']
    await kit.start(1, { onModel: (_model, { version }) => void taken.push(version) })
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    const management = await kit.management()
    expect(await management.applyModel(request)).toEqual({ version: 1, changes: ['- nodes.node2'] })
    expect(storedModel(kit.store)).toEqual({ text, path: '/test/cluster.yaml', version: 1 })
    expect(taken).toEqual([1])
    await until(() => agent.commands.length === 3, 'commands')
    expect(agent.commands.map(({ kind }) => kind)).toEqual(['useModel', 'stopNode', 'instantiate'])
  })

  it('is where components of error reports are looked up', async () => {
    kit.script.react = take
    await kit.start(1)
    const agent = await kit.agent('node1')
    await agent.join(1, 101)
    await (await kit.management()).applyModel(request)
    await expect(agent.director.errorClear({ component: 'c2' })).rejects.toMatchObject({
      code: 'NOT_EXIST',
    })
  })

  it('goes to an agent that comes with an older one, before any command', async () => {
    const source = { text, path: '/test/cluster.yaml', version: 4 }
    kit.script.react = (event) => (event.kind === 'nodeJoined' ? [instantiate('node2', 'c2')] : [])
    await kit.start(1, { source })
    const agent = await kit.agent('node2')
    await agent.join(1, 102)
    await until(() => agent.commands.length === 2, 'commands')
    expect(agent.commands[0]).toMatchObject({ kind: 'useModel', source })
  })

  it('asked for again, of the next director too, is the same request', async () => {
    kit.script.react = take
    const first = await kit.start(1)
    await (await kit.management()).applyModel(request)
    await first.stop()
    kit.script.events = []
    kit.store.term = 2
    await kit.start(2, { source: storedModel(kit.store) })
    expect(await (await kit.management()).applyModel(request)).toMatchObject({ version: 1 })
    expect(kit.eventKinds()).not.toContain('modelChange')
  })

  it.each([
    ['a text with problems', { text: 'cluster: 7' }, 'INVALID_PARAMETER'],
    ['one without the director', { text: text.replaceAll('node1', 'node2') }, 'BAD_OPERATION'],
  ])('refuses %s', async (_, changes, code) => {
    await kit.start(1)
    const management = await kit.management()
    await expect(management.applyModel({ ...request, ...changes })).rejects.toMatchObject({ code })
    expect(kit.eventKinds()).not.toContain('modelChange')
    expect(storedModel(kit.store)).toBeNull()
  })

  it('is not touched by a dry run', async () => {
    kit.script.changes = ['+ nodes.node3']
    await kit.start(1)
    const management = await kit.management()
    const answer = await management.applyModel({ ...request, dryRun: true })
    expect(answer).toEqual({ version: 0, changes: ['+ nodes.node3'] })
    expect(kit.eventKinds()).not.toContain('modelChange')
  })
})
