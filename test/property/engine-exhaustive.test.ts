import { describe, expect, it } from 'vitest'
import type { Model } from '../../amf/model/model.ts'
import { vectorModel } from '../amf/engine/models.ts'
import { World } from '../amf/engine/world.ts'
import { checkConverged, heal } from './healing.ts'
import { stateKey } from './state-key.ts'

/**
 * Every sequence of events in small clusters, shortest first: two nodes, two or three service units, one or two
 * service instances, each redundancy model. States that differ in absolute numbers only are visited once. The
 * invariants hold after each step, and from sampled states the cluster converges when the faults stop.
 *
 * `STATES=200000` visits so many states of each cluster instead of the few that fit into a test run.
 */

const STATES_MAX = Number(process.env['STATES'] ?? '400')
/** Every so many states convergence is tried: healing costs as much as hundreds of steps. */
const SAMPLE_EVERY = Number(process.env['SAMPLE'] ?? '25')
const TEST_MS = 30_000 + STATES_MAX * 50

type Move = readonly [name: string, make: (world: World) => void]

/** Whatever can happen to this model, in any state. What is impossible now changes nothing. */
function movesOf(model: Model): Move[] {
  const moves: Move[] = [
    ['a deadline passes', (world) => world.tick()],
    ['another director', (world) => world.startDirector()],
    ['the newest report is repeated', (world) => world.repeat(0)],
  ]
  for (const node of model.nodes.keys()) {
    const waiting = (world: World): number =>
      world.answers.findIndex((answer) => answer.node === node)
    moves.push(
      [`${node} reports`, (w) => void (waiting(w) >= 0 && w.deliverNext(waiting(w)))],
      [`a report of ${node} is lost`, (w) => void (waiting(w) >= 0 && w.lose(waiting(w)))],
      [
        `${node} reports, and the director dies of it`,
        (world) => {
          if (waiting(world) < 0) return
          world.crashing = true
          world.deliverNext(waiting(world))
          world.crashing = false
          world.startDirector()
        },
      ],
      [
        `${node} comes or goes`,
        (world) => (world.nodesUp.has(node) ? world.nodeFails(node) : world.join(node)),
      ],
    )
  }
  for (const component of model.components.keys()) {
    moves.push(
      [`${component} dies`, (world) => world.componentFails(component)],
      [`${component} cannot start`, (world) => world.startFails(component)],
    )
  }
  for (const entity of ['SU1', 'SI1']) {
    for (const operation of ['lock', 'unlock', 'shutdown'] as const) {
      moves.push([`${operation} ${entity}`, (world) => void world.admin(operation, entity)])
    }
  }
  moves.push(['swap SI1', (world) => void world.admin('swap', 'SI1')])
  for (const node of model.nodes.keys()) {
    for (const isIn of [true, false]) {
      moves.push([
        `${node} is ${isIn ? '' : 'not '}in sync`,
        (world) => {
          if (world.replicaNodes('I1').includes(node)) world.inSync('I1', node, isIn)
        },
      ])
    }
  }
  return moves
}

interface Visited {
  readonly world: World
  readonly path: readonly string[]
}

interface Search {
  readonly states: number
  readonly transitions: number
  /** Sequences up to this many events were all made. */
  readonly depth: number
}

function start(model: Model): World {
  const world = new World(model)
  world.startDirector()
  for (const node of model.nodes.keys()) world.join(node)
  return world
}

/** Breadth first from a cluster whose nodes have just joined and from one that has come to rest. */
function search(model: Model, statesMax: number): Search {
  const resting = start(model)
  resting.settle()
  let frontier: Visited[] = [
    { world: resting, path: ['at rest'] },
    { world: start(model), path: ['nodes have joined'] },
  ]
  const seen = new Set(frontier.map(({ world }) => stateKey(world)))
  const moves = movesOf(model)
  let [transitions, depth] = [0, 0]
  for (; frontier.length > 0; depth += 1) {
    const next: Visited[] = []
    for (const from of frontier) {
      for (const move of moves) {
        if (seen.size >= statesMax) return { states: seen.size, transitions, depth }
        const to = make(from, move)
        transitions += 1
        const key = stateKey(to.world)
        if (seen.has(key)) continue
        seen.add(key)
        next.push(to)
        if (seen.size % SAMPLE_EVERY === 0) converge(to)
      }
    }
    frontier = next
  }
  return { states: seen.size, transitions, depth }
}

function make({ world, path }: Visited, [name, happens]: Move): Visited {
  const to = { world: world.fork(), path: [...path, name] }
  told(to.path, () => happens(to.world))
  return to
}

function converge({ world, path }: Visited): void {
  told([...path, 'faults stop'], () => {
    const healed = world.fork()
    heal(healed)
    checkConverged(healed)
  })
}

function told(path: readonly string[], run: () => void): void {
  try {
    run()
  } catch (error) {
    throw new Error(`${path.join('; ')}:\n${String(error)}`, { cause: error })
  }
}

const REDUNDANCIES = ['2N', 'N+M', 'N-way', 'N-way-active', 'no-redundancy'] as const
const SIZES = [
  { units: 2, instances: 1 },
  { units: 2, instances: 2 },
  { units: 3, instances: 1 },
  { units: 3, instances: 2 },
]

describe.each(REDUNDANCIES)('every sequence of events with %s', (redundancy) => {
  it.each(SIZES)('$units units, $instances instances', { timeout: TEST_MS }, (size) => {
    const model = vectorModel({
      ...size,
      redundancy,
      nodeOf: (unit) => Math.min(unit, 2),
      instance: () => `preferredActive: ${redundancy === 'N-way-active' ? '2' : '1'}`,
      component: 'recovery: componentFailover',
    })
    const found = search(model, STATES_MAX)
    if (process.env['STATES'] !== undefined) console.log(redundancy, size, found)
    expect(found.states).toBe(STATES_MAX)
    expect(found.depth).toBeGreaterThanOrEqual(1)
  })
})
