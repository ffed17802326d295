// Longer than usual: what long searches found is kept here, case by case, next to the deeds it is made of.
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { AdminOperation } from '../../amf/engine/engine.ts'
import type { Model } from '../../amf/model/model.ts'
import type { HaReadiness, Recovery } from '../../runtime/internal.ts'
import { vectorModel } from '../amf/engine/models.ts'
import { World } from '../amf/engine/world.ts'
import { checkConverged, entitiesOf, heal } from './healing.ts'

/**
 * Random clusters, random faults, random operators, in random order. After every step the invariants hold, in the
 * engine's state and on the agents; and when the faults stop everything that can be assigned is assigned.
 */

interface Shape {
  readonly redundancy: string
  readonly units: number
  readonly instances: number
  readonly nodes: number
  readonly failover: boolean
  readonly chain: boolean
  readonly restart: boolean
  readonly adjust: boolean
  readonly category: Category
}

/** `npi`: the proxied one is not pre-instantiable. */
type Category = 'saAware' | 'nonSaAware' | 'proxied' | 'npi' | 'contained'

const shapes = (
  redundancies: readonly string[],
  categories: readonly Category[] = ['saAware'],
): fc.Arbitrary<Shape> =>
  fc.record({
    redundancy: fc.constantFrom(...redundancies),
    units: fc.integer({ min: 1, max: 4 }),
    instances: fc.integer({ min: 1, max: 3 }),
    nodes: fc.integer({ min: 1, max: 3 }),
    failover: fc.boolean(),
    chain: fc.boolean(),
    restart: fc.boolean(),
    adjust: fc.boolean(),
    category: fc.constantFrom(...categories),
  })

/** What is not pre-instantiable takes one service instance a unit. */
function limitsOf({ redundancy, category, instances }: Shape): { readonly instances: number } {
  const isNpi = category === 'nonSaAware' || category === 'npi'
  return { instances: isNpi && redundancy === '2N' ? 1 : instances }
}

const CATEGORY: Readonly<Record<Category, string>> = {
  saAware: 'command: [/bin/true], ',
  nonSaAware: 'category: nonSaAware, command: [/bin/true], ',
  proxied: 'category: proxied, proxied: { csi: PI }, ',
  npi: 'category: proxied, proxied: { csi: PI, preInstantiable: false }, ',
  contained: 'category: contained, contained: { csi: PI }, ',
}

/** Two proxies in 2N, or a container on each node. */
function mediatorsOf({ category, nodes, units }: Shape): string {
  if (category === 'saAware' || category === 'nonSaAware') return ''
  const count = Math.min(nodes, units)
  const isContained = category === 'contained'
  const numbers = Array.from({ length: isContained ? count : 2 }, (_, index) => index + 1)
  const kind = isContained ? 'category: container, ' : ''
  const unit = (n: number): string =>
    `PSU${String(n)}: { node: N${String(Math.min(n, count))}, components: { PC${String(n)}: { ${kind}command: [/bin/true] } } }`
  return `
  PG:
    redundancy: ${isContained ? 'N-way-active' : '2N'}
    serviceUnits: { ${numbers.map(unit).join(', ')} }
    serviceInstances: { PSI: { preferredActive: ${String(count)}, csis: { PI: {} } } }
`
}

const models = new Map<string, Model>()

/** The same shape is the same model: parsing it is slower than most runs. */
function modelFor(shape: Shape): Model {
  const key = JSON.stringify(shape)
  const model = models.get(key) ?? buildModel(shape)
  models.set(key, model)
  return model
}

function buildModel(shape: Shape): Model {
  return vectorModel({
    redundancy: shape.redundancy,
    units: shape.units,
    instances: limitsOf(shape).instances,
    start: CATEGORY[shape.category],
    more: mediatorsOf(shape),
    unit: `failover: ${String(shape.failover)}`,
    nodeOf: (unit) => Math.min(1 + ((unit - 1) % shape.nodes), unit),
    component: shape.restart ? 'recovery: componentRestart' : 'recovery: componentFailover',
    instance: (index) => {
      const sponsor = shape.chain && index > 1 ? `, dependsOn: [SI${String(index - 1)}]` : ''
      return `preferredActive: ${shape.redundancy === 'N-way-active' ? '2' : '1'}${sponsor}`
    },
    group: `    application: A
    autoAdjust: ${String(shape.adjust)}
    componentRestartMax: 2
    suRestartMax: 1`,
    node: 'suFailoverMax: 3',
    top: 'nodeGroups: { all: [N1] }',
  })
}

/** What may happen. Numbers choose among what is there. */
type Deed = readonly [kind: string, a: number, b: number]

const deeds = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 12, arbitrary: fc.constant('deliver') },
      { weight: 4, arbitrary: fc.constant('settle') },
      { weight: 3, arbitrary: fc.constant('fail') },
      { weight: 3, arbitrary: fc.constant('admin') },
      { weight: 3, arbitrary: fc.constant('sync') },
      { weight: 2, arbitrary: fc.constant('model') },
      { weight: 2, arbitrary: fc.constant('ha-readiness') },
      {
        weight: 6,
        arbitrary: fc.constantFrom(
          'lose',
          'repeat',
          'node-fails',
          'node-joins',
          'director',
          'crash',
          'wait',
          'start-fails',
          'stop-fails',
          'busy',
        ),
      },
    ),
    fc.nat({ max: 1000 }),
    fc.nat({ max: 1000 }),
  ),
  { minLength: 5, maxLength: 60 },
)

const RECOVERIES: readonly Recovery[] = [
  'noRecommendation',
  'componentRestart',
  'suRestart',
  'componentFailover',
  'suFailover',
  'nodeSwitchover',
  'nodeFailover',
  'nodeFailfast',
  'applicationRestart',
  'clusterReset',
]
const READINESS: readonly HaReadiness[] = [
  'READY_FOR_ASSIGNMENT',
  'READY_FOR_ACTIVE_DEGRADED',
  'NOT_READY_FOR_ACTIVE',
  'NOT_READY_FOR_ASSIGNMENT',
]
const OPERATIONS: readonly AdminOperation[] = [
  'lock',
  'unlock',
  'shutdown',
  'restart',
  'swap',
  'repair',
  'lock-instantiation',
  'unlock-instantiation',
  'adjust',
]

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[at % Math.max(1, list.length)]
}

function act(world: World, [kind, a, b]: Deed): void {
  const { model } = world
  const component = pick([...model.components.keys()], a) ?? ''
  const node = pick([...model.nodes.keys()], a) ?? ''
  switch (kind) {
    case 'deliver':
      for (let count = 0; count <= b % 4; count += 1) world.deliverNext(a)
      return
    case 'settle':
      return world.settle()
    case 'fail':
      return world.componentFails(component, pick(RECOVERIES, b))
    case 'admin':
      world.admin(pick(OPERATIONS, b) ?? 'lock', pick(entitiesOf(model), a) ?? '')
      return
    case 'ha-readiness':
      return sayReadiness(world, component, b)
    case 'busy':
      return world.step({ kind: 'busy', component, busy: b % 2 === 0, delayMs: b })
    case 'sync':
      return sync(world, a, b)
    case 'model':
      return changeModel(world, a, b)
    case 'lose':
      return world.lose(a)
    case 'repeat':
      return world.repeat(a)
    case 'node-fails':
      return world.nodesUp.has(node) ? world.nodeFails(node) : undefined
    case 'node-joins':
      return world.join(node)
    case 'director':
      return world.startDirector()
    case 'crash':
      world.crashing = true
      act(world, [
        pick(['deliver', 'fail', 'admin', 'sync', 'node-fails', 'model', 'ha-readiness'], a) ?? '',
        b,
        a,
      ])
      world.crashing = false
      return world.startDirector()
    case 'wait':
      return world.advance(b * 20)
    case 'start-fails':
      return world.startFails(component)
    case 'stop-fails':
      return world.stopFails(component)
    default:
      throw new Error(kind)
  }
}

/** What each world was made from, as far as changes of its model have led it. */
const shapeOf = new WeakMap<World, Shape>()

/** An operator's model with a unit or an instance more or less, or other components. Refused or taken, as it may be. */
function changeModel(world: World, a: number, b: number): void {
  const shape = shapeOf.get(world)
  if (!shape) throw new Error('a world without a shape')
  const by = b % 2 === 0 ? 1 : -1
  const within = (count: number): number => Math.min(5, Math.max(1, count + by))
  const changes: readonly Partial<Shape>[] = [
    { units: within(shape.units) },
    { instances: within(shape.instances) },
    { units: within(shape.units), instances: within(shape.instances) },
    { restart: !shape.restart },
    { failover: !shape.failover },
  ]
  const next = { ...shape, ...pick(changes, a) }
  const before = new Map(world.state.nodes.map((node) => [node.name, node]))
  const id = world.changeModel(modelFor(next))
  const taken = world.crashing
    ? world.model.serviceUnits.size === next.units
    : world.results.get(id)?.ok
  if (taken === true) shapeOf.set(world, next)
  // A change of a group is none of a node that stays.
  for (const node of world.state.nodes) {
    const known = before.get(node.name)
    if (known) expect({ ...node, history: [] }).toEqual({ ...known, history: [] })
  }
}

/** For one CSI or for all of them. */
function sayReadiness(world: World, component: string, b: number): void {
  const csi = pick([null, ...world.model.csis.keys()], b >> 2) ?? null
  world.haReadiness(component, csi, pick(READINESS, b) ?? 'READY_FOR_ASSIGNMENT')
}

/** A primary replica changes who is in sync: only nodes that it was told to keep replicas on. */
function sync(world: World, a: number, b: number): void {
  const csi = pick([...world.model.csis.keys()], a) ?? ''
  const nodes = world.replicaNodes(csi)
  const node = pick(nodes, b)
  if (node !== undefined) world.inSync(csi, node, b % 3 !== 0)
}

function run(shape: Shape, list: readonly Deed[]): void {
  const world = new World(modelFor(shape))
  shapeOf.set(world, shape)
  world.startDirector()
  for (const node of world.model.nodes.keys()) world.join(node)
  for (const deed of list) act(world, deed)
  heal(world)
  checkConverged(world)
}

/** Random clusters a seed; RUNS=5000 for a long search. */
const RUNS = Number(process.env['RUNS'] ?? '35')
/** Generous: a busy machine makes it slow, not wrong. */
const TEST_MS = 120_000 + RUNS * 1_000
const FRESH = Number(process.env['SEED'] ?? (Date.now() % 1_000_000).toString())

afterAll(() => {
  if (process.env['RUNS'] !== undefined) console.log(`${String(World.steps)} steps`)
})

describe.each(['2N', 'no-redundancy', 'N+M', 'N-way', 'N-way-active'])(
  '%s under random faults',
  (redundancy) => {
    const property = fc.property(shapes([redundancy]), deeds, run)

    it('keeps its invariants and converges (fixed seeds)', { timeout: TEST_MS }, () => {
      for (const seed of [1, 2, 3]) fc.assert(property, { seed, numRuns: RUNS })
    })

    const title = `keeps its invariants and converges (SEED=${String(FRESH)})`
    it(title, { timeout: TEST_MS }, () => {
      fc.assert(property, { seed: FRESH, numRuns: RUNS })
    })
  },
)

describe.each(['nonSaAware', 'proxied', 'npi', 'contained'] as const)(
  '%s components under random faults',
  (category) => {
    const isNpi = category === 'nonSaAware' || category === 'npi'
    const all = ['2N', 'no-redundancy', 'N+M', 'N-way', 'N-way-active']
    const redundancies = isNpi ? ['2N', 'no-redundancy'] : all
    const property = fc.property(shapes(redundancies, [category]), deeds, run)

    const numRuns = Math.ceil(RUNS / 3)

    it('keep the invariants and converge (a fixed seed)', { timeout: TEST_MS }, () => {
      fc.assert(property, { seed: 1, numRuns })
    })

    const title = `keep the invariants and converge (SEED=${String(FRESH)})`
    it(title, { timeout: TEST_MS }, () => {
      fc.assert(property, { seed: FRESH, numRuns })
    })
  },
)

/** What a long search found once, as small as it could be made. */
const FOUND: readonly (readonly [string, Partial<Shape>, readonly Deed[]])[] = [
  [
    'an application restarts while a proxied component has no proxy',
    { category: 'npi', units: 1, nodes: 1 },
    [
      ['deliver', 0, 0],
      ['node-joins', 0, 0],
      ['deliver', 0, 0],
      ['settle', 0, 0],
      ['fail', 562, 538],
    ],
  ],
  [
    'the cluster restarts, and proxies end before what they act for',
    { category: 'npi', units: 3, nodes: 2 },
    [
      ['deliver', 0, 14],
      ['deliver', 1, 0],
      ['admin', 0, 588],
      ['fail', 508, 0],
    ],
  ],
  [
    'a standby loses its proxy on its way to ACTIVE',
    { category: 'proxied', units: 2, nodes: 1 },
    [
      ['settle', 0, 0],
      ['fail', 0, 0],
      ['admin', 0, 0],
    ],
  ],
  [
    'a unit loses its assignment while it is restarted',
    { category: 'nonSaAware', units: 3, nodes: 2 },
    [
      ['deliver', 0, 0],
      ['admin', 785, 552],
      ['admin', 325, 0],
      ['admin', 0, 0],
      ['model', 0, 0],
    ],
  ],
  [
    'what could not be stopped is repaired under the next director',
    { category: 'nonSaAware', units: 1, nodes: 1 },
    [
      ['wait', 0, 0],
      ['admin', 0, 0],
      ['stop-fails', 0, 0],
      ['deliver', 0, 0],
      ['deliver', 0, 0],
      ['crash', 0, 0],
    ],
  ],
  [
    'its repair goes on under the next director',
    { category: 'nonSaAware', units: 1, nodes: 1 },
    [
      ['deliver', 0, 0],
      ['admin', 0, 0],
      ['stop-fails', 0, 0],
      ['sync', 0, 0],
      ['lose', 0, 0],
      ['lose', 0, 0],
      ['admin', 0, 0],
      ['director', 0, 0],
    ],
  ],
  [
    'a contained one could not be stopped, and its node joins again',
    { category: 'contained', units: 1, nodes: 1 },
    [
      ['deliver', 0, 217],
      ['ha-readiness', 291, 166],
      ['deliver', 0, 0],
      ['stop-fails', 0, 0],
      ['deliver', 0, 0],
      ['lose', 0, 0],
      ['lose', 0, 0],
      ['sync', 0, 0],
      ['node-joins', 0, 0],
    ],
  ],
  [
    'operators name a node whose proxies failed, and an orphan is on it',
    { redundancy: 'no-redundancy', category: 'npi', instances: 2 },
    [
      ['deliver', 0, 0],
      ['settle', 0, 0],
      ['admin', 884, 0],
      ['fail', 22, 365],
      ['lose', 0, 0],
    ],
  ],
  [
    'a node is repaired that has an orphan',
    { category: 'proxied', instances: 2 },
    [
      ['deliver', 0, 913],
      ['deliver', 0, 0],
      ['admin', 580, 0],
      ['sync', 0, 0],
      ['deliver', 0, 0],
      ['fail', 676, 555],
      ['lose', 0, 0],
      ['lose', 0, 0],
    ],
  ],
  [
    'the next proxy cannot register what was being stopped',
    { category: 'proxied', units: 2 },
    [
      ['model', 0, 0],
      ['deliver', 0, 0],
      ['deliver', 0, 71],
      ['deliver', 0, 0],
      ['model', 0, 0],
      ['fail', 0, 618],
      ['fail', 700, 0],
      ['crash', 0, 0],
      ['deliver', 0, 0],
      ['deliver', 0, 0],
      ['deliver', 0, 0],
      ['lose', 0, 0],
    ],
  ],
  [
    'a proxied one could not be started, and the director changes',
    { redundancy: 'no-redundancy', category: 'npi', units: 2, instances: 2, nodes: 3 },
    [
      ['model', 0, 0],
      ['wait', 0, 0],
      ['model', 917, 0],
      ['start-fails', 57, 0],
      ['ha-readiness', 0, 0],
      ['lose', 0, 0],
      ['fail', 0, 0],
      ['lose', 0, 0],
      ['crash', 400, 40],
    ],
  ],
  [
    'a swap goes to a node that the next director does not hear of',
    { redundancy: 'N-way', units: 3, nodes: 3, instances: 2 },
    [
      ['settle', 0, 0],
      ['admin', 10, 4],
      ['node-fails', 1, 0],
      ['director', 0, 0],
      ['settle', 0, 0],
    ],
  ],
  [
    'an instance comes back when another unit serves',
    { units: 2, nodes: 2, instances: 2 },
    [
      ['settle', 0, 0],
      ['admin', 9, 0],
      ['settle', 0, 0],
      ['model', 1, 1],
      ['admin', 6, 0],
      ['settle', 0, 0],
      ['admin', 6, 1],
      ['settle', 0, 0],
      ['model', 1, 0],
    ],
  ],
  [
    'a proxied one stands by, has to go, and loses its proxy',
    { category: 'proxied', units: 3 },
    [
      ['deliver', 0, 403],
      ['deliver', 0, 543],
      ['ha-readiness', 26, 531],
      ['node-fails', 0, 0],
    ],
  ],
  [
    'a proxied one is quiesced when its node joins again without its proxy',
    { category: 'proxied' },
    [
      ['settle', 0, 0],
      ['admin', 0, 0],
      ['node-joins', 0, 0],
      ['node-fails', 0, 0],
      ['admin', 0, 0],
    ],
  ],
  [
    'a proxied one restarts, waits for its second instance, and loses its proxy',
    { category: 'proxied', instances: 2, chain: true },
    [
      ['settle', 0, 0],
      ['fail', 0, 151],
      ['deliver', 0, 0],
      ['fail', 151, 0],
    ],
  ],
  [
    'another unit and another instance come while the active one could not be stopped',
    {},
    [
      ['settle', 0, 0],
      ['admin', 0, 525],
      ['stop-fails', 0, 0],
      ['model', 26, 0],
      ['model', 0, 0],
    ],
  ],
  [
    'each instance is in sync on another of three nodes',
    { units: 3, nodes: 3, instances: 2 },
    [
      ['settle', 0, 0],
      ['sync', 0, 104],
      ['node-fails', 0, 0],
      ['deliver', 0, 73],
      ['sync', 757, 1],
    ],
  ],
  [
    'an operator locks the cluster while an application of its name restarts',
    { category: 'proxied' },
    [
      ['settle', 0, 0],
      ['fail', 220, 288],
      ['admin', 0, 0],
    ],
  ],
  [
    'a director changes while another one has what failed started again',
    { redundancy: 'no-redundancy', units: 2, instances: 2 },
    [
      ['start-fails', 44, 0],
      ['fail', 0, 0],
      ['deliver', 0, 0],
      ['crash', 0, 0],
      ['director', 0, 0],
      ['settle', 0, 0],
    ],
  ],
  [
    'its application restarts again while the cluster comes up',
    { units: 2 },
    [
      ['settle', 0, 0],
      ['admin', 0, 921],
      ['deliver', 0, 23],
      ['fail', 0, 328],
    ],
  ],
]

/** The smallest cluster: what a case says of its shape is what it needs. */
const SMALLEST: Shape = {
  redundancy: '2N',
  units: 1,
  instances: 1,
  nodes: 1,
  failover: false,
  chain: false,
  restart: false,
  adjust: false,
  category: 'saAware',
}

describe('found by random faults', () => {
  it.each(FOUND)('%s', (_, shape, list) => {
    run({ ...SMALLEST, ...shape }, list)
  })
})
