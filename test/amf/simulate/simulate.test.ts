import { describe, expect, test } from 'vitest'
import type { Model } from '../../../amf/model/model.ts'
import { parseTime, scheduleActions, type Action } from '../../../amf/simulate/action.ts'
import { DEFAULT_DURATIONS } from '../../../amf/simulate/durations.ts'
import { runRandomFaults } from '../../../amf/simulate/random-faults.ts'
import { RandomSource } from '../../../amf/simulate/random-source.ts'
import { runScenario, type ScenarioResult } from '../../../amf/simulate/scenario.ts'
import { parseScript } from '../../../amf/simulate/script.ts'
import { trySingleFailures } from '../../../amf/simulate/single-failures.ts'
import { TaskQueue } from '../../../amf/simulate/task-queue.ts'
import { modelOf, vectorModel } from '../engine/models.ts'

const durations = DEFAULT_DURATIONS
const PAIR = vectorModel({ redundancy: '2N', units: 2, instances: 1 })
const LONE = vectorModel({ redundancy: '2N', units: 1, instances: 1 })

function run(model: Model, ...actions: [string, string, number?][]): ScenarioResult {
  return runScenario(model, {
    actions: actions.map(
      ([kind, entity, atMs]) => ({ kind, entity, atMs: atMs ?? null }) as Action,
    ),
    durations,
    untilMs: null,
  })
}

describe('times', () => {
  test.each([
    ['300ms', 300],
    ['5s', 5_000],
    ['5', 5_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    ['0', 0],
    ['25h', null],
    ['-1s', null],
    ['5x', null],
    ['', null],
    ['1e3', null],
  ])('%s', (text, ms) => {
    expect(parseTime(text)).toBe(ms)
  })

  test('an action without a time comes a second after the one before it', () => {
    const at = (atMs: number | null): Action => ({ kind: 'fail', entity: 'x', atMs })
    const times = scheduleActions([at(null), at(5_000), at(null), at(2_000)], 300)
    expect(times.map(({ atMs }) => atMs)).toEqual([1_300, 2_000, 5_000, 6_000])
  })

  test('what is due at the same time keeps its order', () => {
    const queue = new TaskQueue<{ atMs: number; name: string }>()
    for (const [name, atMs] of [
      ['b', 2],
      ['a', 1],
      ['c', 2],
      ['d', 1],
    ] as const) {
      queue.add({ name, atMs })
    }
    const copy = queue.copy()
    queue.remove(({ name }) => name === 'a')
    const taken = [copy.take(), copy.take(), copy.take(), copy.take(), copy.take()]
    expect(taken.map((task) => task?.name)).toEqual(['a', 'd', 'b', 'c', undefined])
    expect(queue.take()?.name).toBe('d')
  })
})

describe('a scenario', () => {
  test('starts, and takes exactly the durations it was given', () => {
    const { services, assignments, settledMs } = run(PAIR)
    expect(settledMs).toBe(durations.launchMs + 2 * durations.callbackMs)
    expect(services[0]).toMatchObject({ firstServedMs: 305, outages: [], isServed: true })
    expect(assignments[0]).toMatchObject({ state: 'FULLY_ASSIGNED', waitingFor: null })
  })

  test('a dead component is noticed, and its standby takes over', () => {
    const { services, assignments, timeline } = run(PAIR, ['fail', 'C1', 6_000])
    expect(services[0]?.outages).toEqual([{ fromMs: 6_000, toMs: 6_025 }])
    expect(assignments[0]?.assignments).toContainEqual({ serviceUnit: 'SU2', haState: 'ACTIVE' })
    const change = timeline.find((e) => e.atMs === 6_025 && e.kind === 'haState')
    expect(change).toMatchObject({ from: 'STANDBY', to: 'ACTIVE', entity: 'C2 for SI1' })
    expect(change?.causes.at(-1)).toBe('C1 died')
  })

  test('a failed node stays away until it is repaired', () => {
    const gone = run(LONE, ['fail', 'N1', 6_000])
    expect(gone.services[0]).toMatchObject({ isServed: false, totalMs: 60_000 })
    const back = run(LONE, ['fail', 'N1', 6_000], ['repair', 'N1', 10_000])
    expect(back.services[0]).toMatchObject({ isServed: true, totalMs: 4_000 + 1_000 + 305 })
  })

  test('what fails again while it is being handled', () => {
    const { services, violations } = run(
      PAIR,
      ['fail', 'C1', 6_000],
      ['fail', 'C2', 6_010],
      ['fail', 'N1', 6_020],
    )
    expect(violations).toEqual([])
    expect(services[0]?.isServed).toBe(true)
  })

  test('operators get their answer', () => {
    const { timeline, services } = run(PAIR, ['lock', 'SU1', 6_000], ['swap', 'SI1', 8_000])
    const answers = timeline.filter(({ kind }) => kind === 'answer')
    expect(answers[0]).toMatchObject({ entity: 'operator: lock SU1', to: 'done', atMs: 6_015 })
    expect(answers[1]?.to).toMatch(/^BAD_OPERATION|^TRY_AGAIN|^NO_OP|^NOT_/)
    expect(services[0]?.longestMs).toBeLessThanOrEqual(2 * durations.callbackMs)
  })

  test('an end before the next action leaves it out', () => {
    const actions: Action[] = [{ kind: 'fail', entity: 'C1', atMs: 6_000 }]
    const result = runScenario(PAIR, { actions, durations, untilMs: 1_000 })
    expect(result).toMatchObject({ endMs: 1_000, services: [{ outages: [] }] })
  })
})

describe('single failures', () => {
  test('a pair survives each of them', () => {
    const { failures, unserved } = trySingleFailures(PAIR, { durations, horizonMs: 60_000 })
    expect(unserved).toEqual([])
    const told = failures.map(({ entity, losses }) => [entity, losses[0]?.totalMs ?? 0])
    expect(Object.fromEntries(told)).toEqual({ C1: 25, C2: 0, SU1: 25, SU2: 0, N1: 55, N2: 0 })
  })

  test('without a standby a process comes back and a node does not', () => {
    const { failures } = trySingleFailures(LONE, { durations, horizonMs: 60_000 })
    const lost = failures.filter(({ losses }) => losses.some(({ isLost }) => isLost))
    expect(lost.map(({ entity }) => entity)).toEqual(['N1'])
    const component = failures.find(({ kind }) => kind === 'component')
    expect(component?.losses[0]?.totalMs).toBe(20 + 300 + 5)
  })

  test('an instance that is locked is not lost by a failure', () => {
    const model = vectorModel({
      redundancy: '2N',
      units: 2,
      instances: 2,
      instance: (n) => (n === 2 ? 'adminState: LOCKED' : ''),
    })
    const { failures, unserved } = trySingleFailures(model, { durations, horizonMs: 60_000 })
    expect(unserved).toEqual(['SI2'])
    expect(failures.flatMap(({ losses }) => losses).some((l) => l.serviceInstance === 'SI2')).toBe(
      false,
    )
  })
})

describe('chance', () => {
  test('a seed gives the same numbers, spread over all', () => {
    const numbers = (seed: number): number[] => {
      const random = new RandomSource(seed)
      return Array.from({ length: 1_000 }, () => random.below(10))
    }
    expect(numbers(7)).toEqual(numbers(7))
    expect(numbers(7)).not.toEqual(numbers(8))
    for (let n = 0; n < 10; n += 1) {
      const count = numbers(7).filter((each) => each === n).length
      expect(count).toBeGreaterThan(60)
    }
  })

  test.each(['2N', 'N+M', 'N-way', 'N-way-active', 'no-redundancy'])(
    '%s holds its invariants and converges',
    (redundancy) => {
      const model = vectorModel({ redundancy, units: 3, instances: 2 })
      for (const seed of [1, 2, 3]) {
        const result = runRandomFaults(model, { durations, count: 120, seed })
        expect(result, `seed ${String(seed)}`).toMatchObject({ violations: [], notConverged: [] })
        expect(result.actions).toBe(120)
      }
    },
  )

  test('the same seed does the same', () => {
    const once = runRandomFaults(PAIR, { durations, count: 50, seed: 9 })
    expect(runRandomFaults(PAIR, { durations, count: 50, seed: 9 })).toEqual(once)
  })
})

describe('a script', () => {
  test('has one action a line, with its time if it likes', () => {
    const { actions, problems } = parseScript('- { at: 5s, fail: SU1 }\n- lock: N1\n')
    expect(problems).toEqual([])
    expect(actions).toEqual([
      { kind: 'fail', entity: 'SU1', atMs: 5_000 },
      { kind: 'lock', entity: 'N1', atMs: null },
    ])
  })

  test.each([
    ['fail: x', 1, 'is no list'],
    ['- { at: 5s }', 1, 'no action'],
    ['- { fail: a }\n- { fial: b }', 2, 'unknown key "fial"'],
    ['- { at: 5 parsecs, fail: a }', 1, 'bad time "5 parsecs"'],
    ['- { fail: a, lock: b }', 1, 'both fail and lock'],
    ['- fail', 1, 'an action is one of'],
    ['- { fail: }', 1, 'needs the name of an entity'],
    ['- [', 2, ''],
  ])('%j', (text, line, message) => {
    const { actions, problems } = parseScript(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.message).toContain(message)
    if (message !== '') expect(problems[0]?.line).toBe(line)
    expect(actions.length).toBeLessThanOrEqual(1)
  })
})

test('a hundred service units take no time that a person would notice', () => {
  const groups = Array.from({ length: 50 }, (_, n) => {
    const g = String(n)
    const unit = (u: number): string =>
      `      g${g}u${String(u)}: { node: n${String((n + u) % 5)}, components: { g${g}c${String(u)}: t } }`
    return `  g${g}:\n    redundancy: 2N\n    serviceUnits:\n${unit(0)}\n${unit(1)}\n    serviceInstances:\n      g${g}s: { csis: { g${g}x: {} } }`
  })
  const model = modelOf(
    `cluster: big\nnodes: { n0: {}, n1: {}, n2: {}, n3: {}, n4: {} }\ncomponentTypes: { t: { command: [/bin/true] } }\nserviceGroups:\n${groups.join('\n')}`,
  )
  const { failures } = trySingleFailures(model, { durations, horizonMs: 60_000 })
  expect(failures).toHaveLength(100 + 100 + 5)
  expect(failures.some(({ losses }) => losses.some(({ isLost }) => isLost))).toBe(false)
})

describe('components of other categories', () => {
  const two = 'nodes: { N1: {}, N2: {} }'
  const sg = (name: string, first: number, component: string, redundancy = '2N'): string => `
  ${name}:
    redundancy: ${redundancy}
    serviceUnits:
      SU${String(first)}: { rank: 1, node: N1, components: { C${String(first)}: { ${component} } } }
      SU${String(first + 1)}: { rank: 2, node: N2, components: { C${String(first + 1)}: { ${component} } } }`
  const group = (name: string, si: string, csi: string, rest: string): string =>
    `${rest}
    serviceInstances: { ${si}: { preferredActive: ${name === 'BOX' ? '2' : '1'}, csis: { ${csi}: {} } } }`
  const models: readonly (readonly [string, string])[] = [
    [
      'non-SA-aware',
      group('SG', 'SI', 'I', sg('SG', 1, 'category: nonSaAware, command: [/bin/true]')),
    ],
    ...(['proxied: { csi: PI }', 'proxied: { csi: PI, preInstantiable: false }'] as const).map(
      (by): readonly [string, string] => [
        by,
        group('PG', 'PSI', 'PI', sg('PG', 3, 'command: [/bin/true]')) +
          group('SG', 'SI', 'I', sg('SG', 1, `category: proxied, ${by}`)),
      ],
    ),
    [
      'contained',
      group(
        'BOX',
        'PSI',
        'PI',
        sg('PG', 3, 'category: container, command: [/bin/true]', 'N-way-active'),
      ) + group('SG', 'SI', 'I', sg('SG', 1, 'category: contained, contained: { csi: PI }')),
    ],
  ]

  test.each(models)('%s: served, and served again after a failure', (_, groups) => {
    const model = modelOf(`cluster: k\n${two}\nserviceGroups:${groups}\n`)
    const { services, violations } = run(model, ['fail', 'SU1'])
    expect(violations).toEqual([])
    const service = services.find(({ serviceInstance }) => serviceInstance === 'SI')
    expect(service).toMatchObject({ isServed: true })
    expect(service?.outages).toHaveLength(1)
    const random = runRandomFaults(model, { durations, count: 150, seed: 3 })
    expect(random.violations).toEqual([])
    expect(random.notConverged).toEqual([])
  })
})
