import { describe, expect, it } from 'vitest'
import { stateOf, type AdminOperation } from '../../amf/engine/engine.ts'
import type { Recovery } from '../../runtime/internal.ts'
import { modelOf } from '../amf/engine/models.ts'
import { World } from '../amf/engine/world.ts'

/**
 * A fault in the middle of each operator command and each recovery, at every point between two answers: the operation
 * is answered once faults have stopped, nobody is stuck, and everything that is not locked is assigned again.
 */

type Begin = readonly [AdminOperation | 'error' | 'model', string, Recovery?]

const NODES = `
cluster: all
nodes: { N1: {}, N2: {}, N3: {} }
nodeGroups: { rack: [N1, N2] }
componentTypes: { T: { command: [/bin/true] } }
serviceGroups:`

function unit(number: number, node: number, letter = ''): string {
  const name = `${letter}${String(number)}`
  return `      SU${name}: { rank: ${String(number)}, node: N${String(node)}, components: { C${name}: T } }`
}

function group(name: string, lines: string): string {
  return `
  ${name}:
    application: app
${lines}`
}

const SHAPES: Readonly<Record<string, string>> = {
  '2N with a dependent group':
    group(
      'G',
      `    redundancy: 2N
    serviceUnits:
${[unit(1, 1), unit(2, 2), unit(3, 3)].join('\n')}
    serviceInstances:
      SI1: { csis: { I1: {}, I2: { dependsOn: [I1] } } }
      SI2: { dependsOn: [SI1], csis: { I3: {} } }`,
    ) +
    group(
      'H',
      `    redundancy: 2N
    serviceUnits:
${[unit(1, 2, 'h'), unit(2, 1, 'h')].join('\n')}
    serviceInstances:
      SIh: { dependsOn: [{ serviceInstance: SI1, toleranceMs: 1000 }], csis: { Ih: {} } }`,
    ),
  'N+M': group(
    'G',
    `    redundancy: N+M
    preferredActiveSUs: 2
    preferredStandbySUs: 1
    serviceUnits:
${[unit(1, 1), unit(2, 2), unit(3, 3)].join('\n')}
    serviceInstances:
      SI1: { csis: { I1: {} } }
      SI2: { csis: { I2: {} } }`,
  ),
  'N-way': group(
    'G',
    `    redundancy: N-way
    serviceUnits:
${[unit(1, 1), unit(2, 2), unit(3, 3)].join('\n')}
    serviceInstances:
      SI1: { preferredStandby: 2, csis: { I1: {} } }
      SI2: { preferredStandby: 1, csis: { I2: {} } }`,
  ),
  'N-way active': group(
    'G',
    `    redundancy: N-way-active
    serviceUnits:
${[unit(1, 1), unit(2, 2), unit(3, 3)].join('\n')}
    serviceInstances:
      SI1: { preferredActive: 2, csis: { I1: {} } }`,
  ),
  'no redundancy, not restartable': group(
    'G',
    `    redundancy: no-redundancy
    serviceUnits:
${[unit(1, 1), unit(2, 2), unit(3, 3)].join('\n').replaceAll(': T }', ': { type: T, disableRestart: true } }')}
    serviceInstances:
      SI1: { csis: { I1: {} } }
      SI2: { csis: { I2: {} } }`,
  ),
}

const OPERATIONS: readonly Begin[] = [
  ...['SU1', 'SI1', 'N1', 'G', 'rack', 'app', 'all'].flatMap((entity): Begin[] => [
    ['lock', entity],
    ['shutdown', entity],
  ]),
  ...['C1', 'SU1', 'app', 'all'].map((entity): Begin => ['restart', entity]),
  ['swap', 'SI1'],
  ['adjust', 'G'],
  ['model', 'more units and instances'],
  ...(
    [
      'componentRestart',
      'componentFailover',
      'nodeSwitchover',
      'nodeFailover',
      'nodeFailfast',
      'applicationRestart',
      'clusterReset',
    ] as const
  ).map((recovery): Begin => ['error', 'C1', recovery]),
]

const FAULTS: Readonly<Record<string, (cluster: Cluster) => void>> = {
  'the director dies': ({ world }) => world.startDirector(),
  'the director dies in the middle of a step': ({ world }) => {
    world.crashing = true
    if (!world.deliverNext()) world.advance(1_000)
    world.crashing = false
    world.startDirector()
  },
  'the component dies': ({ world }) => world.componentFails('C1', 'componentFailover'),
  'the component dies, to be restarted': ({ world }) =>
    world.componentFails('C1', 'componentRestart'),
  'the other one dies': ({ world }) => world.componentFails('C2', 'componentFailover'),
  'the application is to restart': ({ world }) => world.componentFails('C2', 'applicationRestart'),
  'its node dies': (cluster) => cluster.loseNode('N1'),
  'the other node dies, with the director': (cluster) => {
    cluster.loseNode('N2')
    cluster.world.startDirector()
  },
  'it cannot be stopped': ({ world }) => world.stopFails('C1'),
  'it cannot be started': ({ world }) => world.startFails('C1'),
  'an answer is lost': ({ world }) => world.lose(0),
  'another lock comes': (cluster) => cluster.ask('lock', 'SU2'),
  'an overtaking lock comes': (cluster) => cluster.ask('lock', 'SU1'),
  'an unlock comes': (cluster) => cluster.ask('unlock', 'SU1'),
}

/** A world whose nodes end when they are told to, and come back. */
class Cluster {
  readonly world: World
  readonly asked: string[] = []
  readonly #text: string
  #seen = 0

  constructor(text: string) {
    this.#text = text
    this.world = new World(modelOf(text))
    this.world.startDirector()
    for (const node of this.world.model.nodes.keys()) this.world.join(node)
    this.settle()
  }

  ask(operation: AdminOperation, entity: string): void {
    this.asked.push(this.world.admin(operation, entity))
  }

  begin([what, entity, recovery]: Begin): void {
    if (what === 'error') this.world.componentFails(entity, recovery)
    else if (what === 'model') {
      const more = this.#text
        .replace('    serviceInstances:\n', `${unit(9, 1)}\n    serviceInstances:\n`)
        .replace(
          '    serviceInstances:\n',
          '    serviceInstances:\n      SI9: { csis: { I9: {} } }\n',
        )
      this.asked.push(this.world.changeModel(modelOf(more)))
    } else {
      if (what === 'adjust') this.#upset()
      this.ask(what, entity)
    }
  }

  /** Away from the preferred assignment, so that there is something to adjust. */
  #upset(): void {
    this.world.admin('lock', 'SU1')
    this.settle()
    this.world.admin('unlock', 'SU1')
    this.settle()
  }

  loseNode(node: string): void {
    if (this.world.nodesUp.has(node)) this.world.nodeFails(node)
  }

  /** Nodes that were told to restart die, once each order. */
  #obey(): boolean {
    const { log } = this.world
    const orders = log
      .slice(this.#seen)
      .flatMap((line) => /^restartNode (\S+)$/.exec(line)?.[1] ?? [])
    this.#seen = log.length
    for (const node of orders) this.loseNode(node)
    return orders.length > 0
  }

  settle(): void {
    do this.world.settle()
    while (this.#obey())
  }

  /** Faults stop: every node is there, time passes. Nobody lifts a lock or repairs anything. */
  calm(): void {
    for (let round = 0; round < 4; round += 1) {
      this.settle()
      for (const node of this.world.model.nodes.keys()) {
        if (!this.world.nodesUp.has(node)) this.world.join(node)
      }
      this.settle()
      this.world.advance(30_000)
      this.settle()
    }
  }

  entities(): string[] {
    const { model } = this.world
    const groups = [...model.serviceGroups.keys(), ...model.serviceUnits.keys()]
    const rest = [...model.serviceInstances.keys(), ...model.components.keys()]
    return [model.cluster, 'app', 'rack', ...model.nodes.keys(), ...groups, ...rest]
  }

  /** Every lock is lifted and everything broken repaired; each such operation has to be answered with OK. */
  heal(): void {
    for (const entity of this.entities()) {
      const states = stateOf(this.world.model, this.world.state, entity)?.states ?? {}
      if (states['operational'] === 'DISABLED') this.ask('repair', entity)
      this.settle()
      if ((states['administrative'] ?? 'UNLOCKED') !== 'UNLOCKED') this.ask('unlock', entity)
      this.settle()
    }
    this.calm()
  }

  /** Who got no answer asks again under the same id: the answer may have been lost with a director. */
  unanswered(): string[] {
    const { operations } = this.world.state
    for (const { id, operation, entity, result } of operations) {
      if (this.world.results.has(id) || result === null) continue
      this.world.step({ kind: 'admin', id, operation, entity })
    }
    return this.asked.filter((id) => !this.world.results.has(id))
  }

  unassigned(): string[] {
    const { model, state } = this.world
    return [...model.serviceInstances.keys()].filter(
      (name) => stateOf(model, state, name)?.states['assignment'] !== 'FULLY_ASSIGNED',
    )
  }
}

/** @returns false when the operation was over before the fault could come. */
function interrupt(text: string, begin: Begin, fault: string, after: number): boolean {
  const cluster = new Cluster(text)
  cluster.begin(begin)
  let delivered = 0
  while (delivered < after && cluster.world.deliverNext()) delivered += 1
  if (delivered < after) return false
  FAULTS[fault]?.(cluster)
  cluster.calm()
  expect(cluster.unanswered()).toEqual([])
  cluster.heal()
  expect([cluster.unanswered(), cluster.unassigned()]).toEqual([[], []])
  cluster.ask('lock', 'SU1')
  cluster.calm()
  cluster.ask('unlock', 'SU1')
  cluster.calm()
  const last = cluster.asked.slice(-2).map((id) => cluster.world.results.get(id))
  expect(last).toEqual([{ ok: true }, { ok: true }])
  expect(cluster.unassigned()).toEqual([])
  return true
}

/** Points of each operation that are tried. */
const POINTS_MAX = Number(process.env['POINTS'] ?? '2')
/** One combination in so many is tried; `EVERY=1` tries all, in a minute. */
const EVERY = Number(process.env['EVERY'] ?? '12')

describe.each(Object.entries(SHAPES))('%s', (_, lines) => {
  const text = `${NODES}${lines}\n`

  it.each(Object.keys(FAULTS).map((fault, at) => [fault, at] as const))('%s', (fault, at) => {
    const failed: string[] = []
    let number = at
    for (const begin of OPERATIONS) {
      for (let after = 0; after < POINTS_MAX; after += 1) {
        number += 1
        if (number % EVERY !== 0) continue
        try {
          if (!interrupt(text, begin, fault, after)) break
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error)
          failed.push(`${begin.join(' ')}, after ${String(after)}: ${message.slice(0, 600)}`)
        }
      }
    }
    expect(failed).toEqual([])
  })
})
