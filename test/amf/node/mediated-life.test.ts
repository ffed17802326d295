import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ComponentModel } from '../../../amf/model/model.ts'
import type { InstantiateCommand, MediationOrder } from '../../../amf/node/component-ports.ts'
import { RunnerKit } from './agent-runner-kit.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

type Kind = 'proxied' | 'npi' | 'contained'

const MODELS: Readonly<Record<Kind, Partial<ComponentModel>>> = {
  proxied: { category: 'proxied', mediation: { kind: 'proxied', csi: 'PI' } },
  npi: {
    category: 'proxied',
    mediation: { kind: 'proxied', csi: 'PI' },
    preInstantiable: false,
  },
  contained: { category: 'contained', mediation: { kind: 'contained', csi: 'PI' } },
}
const PROXY = { caller: 'proxy', address: { node: 1, port: 300 } }

const descriptor: NonNullable<InstantiateCommand['descriptor']> = {
  csi: 'csi',
  flags: 'ADD_ONE',
  haState: 'ACTIVE',
  epoch: 4,
  transition: 'NEW_ASSIGN',
  activeComponent: null,
  standbyRank: 0,
  attributes: {},
}

function kitOf(kind: Kind): RunnerKit {
  const kit = new RunnerKit(MODELS[kind])
  kit.mediator = PROXY
  return kit
}

function order(kit: RunnerKit, incarnation: number, kept: MediationOrder['kept'] = null): void {
  kit.runner.instantiate({
    mediation: { mediator: 'proxy1', incarnation, kept },
    descriptor: kit.runner.model.preInstantiable ? null : descriptor,
    why: 'test',
  })
}

/** Instantiated and registered under incarnation 50; the callback had invocation -1. */
function started(kind: Kind): RunnerKit {
  const kit = kitOf(kind)
  order(kit, 50)
  if (kind !== 'npi') kit.runner.registeredBy(PROXY.caller, PROXY.address)
  kit.answer(-1)
  return kit
}

describe('instantiation', () => {
  it.each([
    ['proxied', 'proxied instantiate sequence1'],
    ['contained', 'contained instantiate sequence1'],
  ] as const)('of a %s component is answered and registered', (kind, callback) => {
    const kit = kitOf(kind)
    order(kit, 50)
    expect(kit.callbacks).toEqual([callback])
    kit.answer(-1)
    expect(kit.kinds).toEqual([])
    kit.runner.registeredBy('somebody else', null)
    expect(kit.kinds).toEqual([])
    kit.runner.registeredBy(PROXY.caller, PROXY.address)
    expect(kit.events).toEqual([
      {
        kind: 'componentRegistered',
        component: 'sequence1',
        incarnation: 50,
        pid: null,
        address: PROXY.address,
      },
    ])
    expect(kit.runner.facts).toMatchObject({ mediator: 'proxy1', presence: 'INSTANTIATED' })
  })

  it('of one that is not pre-instantiable is its ACTIVE', () => {
    const kit = kitOf('npi')
    order(kit, 50)
    expect(kit.callbacks).toEqual(['csiSet ACTIVE -1'])
    kit.answer(-1)
    expect(kit.kinds).toEqual(['componentRegistered'])
    expect(kit.runner.facts.assignments).toEqual([
      { csi: 'csi', haState: 'ACTIVE', epoch: 4, confirmed: true, told: null },
    ])
  })

  it.each([
    ['refused', (kit: RunnerKit) => void kit.answer(-1, 7)],
    ['not registered in time', () => vi.advanceTimersByTime(1_000)],
  ])('%s: cleaned up by callback, then tried again', async (_, act) => {
    const kit = kitOf('proxied')
    order(kit, 50)
    act(kit)
    await kit.settle()
    expect(kit.callbacks.at(-1)).toBe('proxied cleanup sequence1')
    kit.answer(-2)
    await vi.advanceTimersByTimeAsync(10)
    expect(kit.callbacks.at(-1)).toBe('proxied instantiate sequence1')
    expect(kit.callbacks).toHaveLength(3)
    expect(kit.kinds).toEqual([])
  })

  it('without a proxy fails, and what cannot be reached is not called clean', async () => {
    const kit = kitOf('proxied')
    kit.mediator = null
    order(kit, 50)
    await kit.settle()
    expect(kit.callbacks).toEqual([])
    expect(kit.kinds).toEqual(['cleanupFailed'])
    expect(kit.runner.presence).toBe('TERMINATION_FAILED')
  })
})

describe('adoption', () => {
  const kept = [{ csi: 'csi', haState: 'ACTIVE', epoch: 9 }] as const

  it.each(['before', 'after'])('by a registration %s the order', (when) => {
    const kit = kitOf('proxied')
    if (when === 'before') kit.runner.registeredBy(PROXY.caller, PROXY.address)
    order(kit, 60, [...kept])
    if (when === 'after') kit.runner.registeredBy(PROXY.caller, PROXY.address)
    expect(kit.callbacks).toEqual([])
    expect(kit.kinds).toEqual(['componentRegistered'])
    expect(kit.runner.facts.assignments).toEqual([
      { csi: 'csi', haState: 'ACTIVE', epoch: 9, confirmed: true, told: null },
    ])
  })

  it('that nobody registers in time: cleaned up, and told as a failure', async () => {
    const kit = kitOf('proxied')
    order(kit, 60, [...kept])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(kit.callbacks).toEqual(['proxied cleanup sequence1'])
    kit.answer(-1)
    expect(kit.events).toEqual([
      expect.objectContaining({
        kind: 'componentFailed',
        incarnation: 60,
        recovery: 'componentFailover',
      }),
    ])
  })

  it('after another life: the order of the new proxy counts, the old one says nothing', () => {
    const kit = started('proxied')
    order(kit, 60, [...kept])
    kit.runner.registeredBy(PROXY.caller, PROXY.address)
    expect(kit.kinds).toEqual(['componentRegistered', 'componentRegistered'])
    expect(kit.events.at(-1)).toMatchObject({ incarnation: 60 })
  })
})

describe('the end', () => {
  it.each([
    ['proxied', 'terminate -2'],
    ['contained', 'terminate -2'],
    ['npi', 'csiRemove -2'],
  ] as const)(
    'of a %s component, answered with OK: nothing of it is left',
    async (kind, callback) => {
      const kit = started(kind)
      kit.runner.terminate(50, 'test')
      expect(kit.callbacks.at(-1)).toBe(callback)
      kit.answer(-2)
      await kit.settle()
      expect(kit.callbacks.at(-1)).toBe(callback)
      expect(kit.events.at(-1)).toEqual({
        kind: 'componentTerminated',
        component: 'sequence1',
        incarnation: 50,
      })
      await vi.advanceTimersByTimeAsync(0)
      expect(vi.getTimerCount()).toBe(0)
    },
  )

  it.each([
    ['refused', (kit: RunnerKit) => void kit.answer(-2, 7)],
    ['not answered in time', () => vi.advanceTimersByTime(500)],
  ])('%s: cleaned up', async (_, act) => {
    const kit = started('contained')
    kit.runner.terminate(50, 'test')
    act(kit)
    await kit.settle()
    expect(kit.callbacks.at(-1)).toBe('contained cleanup sequence1')
    kit.answer(-3)
    expect(kit.kinds.at(-1)).toBe('componentTerminated')
  })

  it.each([
    ['refused', (kit: RunnerKit) => void kit.answer(-2, 7), 'answered with an error'],
    ['not answered in time', () => vi.advanceTimersByTime(500), 'not answered within 500 ms'],
    ['not delivered', () => undefined, 'could not be delivered: gone'],
  ])('a clean-up that is %s is tried again by a repair', async (how, act, cause) => {
    const kit = started('proxied')
    if (how === 'not delivered') kit.deliveryError = new Error('gone')
    kit.runner.cleanup(50, 'test')
    await kit.settle()
    act(kit)
    await kit.settle()
    expect(kit.events.at(-1)).toMatchObject({
      kind: 'cleanupFailed',
      cause: expect.stringContaining(cause),
    })
    expect(kit.runner.presence).toBe('TERMINATION_FAILED')
    kit.deliveryError = null
    kit.runner.cleanup(50, 'repair')
    kit.answer(-3)
    expect(kit.kinds.at(-1)).toBe('componentTerminated')
    expect(kit.runner.presence).toBe('UNINSTANTIATED')
  })

  it('a proxy cleans up what another one left behind', () => {
    const kit = kitOf('proxied')
    kit.runner.cleanup(70, 'test', { mediator: 'proxy1', incarnation: 70, kept: null })
    expect(kit.callbacks).toEqual(['proxied cleanup sequence1'])
    kit.answer(-1)
    expect(kit.events).toEqual([
      { kind: 'componentTerminated', component: 'sequence1', incarnation: 70 },
    ])
  })

  it('with its proxy nothing is said: it may live on', () => {
    const kit = started('proxied')
    kit.runner.abandon()
    expect(kit.kinds).toEqual(['componentRegistered'])
    expect(kit.runner.presence).toBe('UNINSTANTIATED')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('an error is reported of it: cleaned up by callback, then told', () => {
    const kit = started('proxied')
    kit.runner.fail('the device is on fire', 'suFailover')
    return kit.settle().then(() => {
      kit.answer(-2)
      expect(kit.events.at(-1)).toMatchObject({
        kind: 'componentFailed',
        recovery: 'suFailover',
        cause: expect.stringContaining('on fire'),
      })
    })
  })
})
