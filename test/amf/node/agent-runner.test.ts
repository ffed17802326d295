import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RunnerKit } from './agent-runner-kit.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('launch', () => {
  it('reports a component when it registers, and again when it is asked for again', () => {
    const kit = new RunnerKit()
    kit.start()
    kit.instantiate('again')
    expect(kit.events).toEqual([kit.events[0], kit.events[0]])
    expect(kit.events[0]).toMatchObject({
      kind: 'componentRegistered',
      pid: 1_000,
      incarnation: 101,
    })
    expect(kit.runner.facts).toMatchObject({
      presence: 'INSTANTIATED',
      pid: 1_000,
      assignments: [],
    })
    expect(kit.processes).toHaveLength(1)
  })

  it('gives up after the attempts of the model, each in a process of its own', async () => {
    const kit = new RunnerKit()
    kit.instantiate('test')
    for (let attempt = 0; attempt < 3; attempt++) {
      kit.process.exit({ code: 7, signal: null })
      await kit.settle()
      await vi.advanceTimersByTimeAsync(10)
    }
    expect(kit.processes).toHaveLength(3)
    expect(kit.kinds).toEqual(['instantiationFailed'])
    expect(kit.events[0]).toMatchObject({ cause: expect.stringContaining('exited with code 7') })
    expect(kit.runner.presence).toBe('INSTANTIATION_FAILED')
  })

  it('kills what does not register in time and tries again', async () => {
    const kit = new RunnerKit()
    kit.instantiate('test')
    await vi.advanceTimersByTimeAsync(1_000)
    expect(kit.process.killed).toBe(true)
    await vi.advanceTimersByTimeAsync(10)
    expect(kit.processes).toHaveLength(2)
    kit.register()
    expect(kit.kinds).toEqual(['componentRegistered'])
  })

  it('reports a program that cannot be started', async () => {
    const kit = new RunnerKit({ instantiateAttemptsMax: 1 })
    kit.launchError = new Error('no such program')
    kit.instantiate('test')
    expect(kit.events[0]).toMatchObject({ cause: expect.stringContaining('no such program') })
  })

  it('refuses a process that it did not launch', () => {
    const kit = new RunnerKit()
    kit.instantiate('test')
    expect(() => kit.runner.initialized('other', 4)).toThrow(/refused for process 4/)
  })
})

describe('roles', () => {
  it('makes the replica primary and tells the component in one turn', () => {
    const kit = new RunnerKit()
    kit.start()
    kit.set('ACTIVE', 5)
    expect(kit.primaries).toEqual(['csi@7'])
    expect(kit.callbacks).toEqual(['csiSet ACTIVE 5'])
    expect(kit.runner.facts.assignments).toEqual([
      { csi: 'csi', haState: 'ACTIVE', epoch: 7, confirmed: false, told: null },
    ])
    kit.answer(5)
    expect(kit.events.at(-1)).toMatchObject({ kind: 'csiSetDone', invocation: 5, complete: true })
    expect(kit.runner.facts.assignments[0]?.confirmed).toBe(true)
  })

  it('kills a component whose replica cannot become primary', async () => {
    const kit = new RunnerKit()
    kit.start()
    kit.primaryError = new Error('disk full')
    kit.set('ACTIVE', 5)
    expect(kit.callbacks).toEqual([])
    await kit.settle()
    expect(kit.process.killed).toBe(true)
    expect(kit.events.at(-1)).toMatchObject({
      kind: 'componentFailed',
      cause: expect.stringContaining('disk full'),
    })
  })

  it('answers a repeated command again, and does not start it twice', () => {
    const kit = new RunnerKit()
    kit.start()
    kit.set('STANDBY', 5)
    kit.set('STANDBY', 5)
    expect(kit.callbacks).toEqual(['csiSet STANDBY 5'])
    kit.answer(5)
    kit.set('STANDBY', 5)
    expect(kit.callbacks).toHaveLength(1)
    expect(kit.kinds).toEqual(['componentRegistered', 'csiSetDone', 'csiSetDone'])
  })

  it('ignores late answers and commands for an earlier life', async () => {
    const kit = new RunnerKit()
    kit.start()
    kit.set('STANDBY', 5)
    kit.set('STANDBY', 6)
    expect(kit.answer(5)).toBe(null)
    expect(kit.kinds).toEqual(['componentRegistered'])
    const old = kit.life
    kit.process.exit({ code: 1, signal: null })
    await kit.settle()
    kit.instantiate('again')
    kit.register()
    expect(kit.runner.answered(old, 6, 0, '')).toBe(null)
  })

  it.each([
    ['an error', (kit: RunnerKit) => void kit.answer(5, 3), 'refused'],
    ['silence', () => void vi.advanceTimersByTime(300), 'no answer to csiSet STANDBY'],
  ])('takes %s to csiSet as a failure', async (_, act, cause) => {
    const kit = new RunnerKit()
    kit.start()
    kit.set('STANDBY', 5)
    act(kit)
    await kit.settle()
    expect(kit.process.killed).toBe(true)
    expect(kit.events.at(-1)).toMatchObject({
      kind: 'componentFailed',
      incarnation: 101,
      cause: expect.stringContaining(cause),
    })
  })

  it('quiesces in two steps and lets go of the checkpoint', async () => {
    const kit = new RunnerKit()
    kit.start()
    kit.set('ACTIVE', 5)
    await kit.settle()
    kit.answer(5)
    kit.set('QUIESCING', 6)
    kit.answer(6)
    expect(kit.events.at(-1)).toMatchObject({ haState: 'QUIESCING', complete: false })
    kit.runner.quiesced(kit.life, 6, 0)
    expect(kit.events.at(-1)).toMatchObject({ haState: 'QUIESCING', complete: true })
    expect(kit.runner.facts.assignments[0]).toMatchObject({ haState: 'QUIESCED', confirmed: true })
    expect(kit.primaries.at(-1)).toBe('release csi')
    kit.remove(7)
    kit.answer(7)
    expect(kit.events.at(-1)).toMatchObject({ kind: 'csiRemoveDone', invocation: 7 })
    expect(kit.runner.facts.assignments).toEqual([])
  })

  describe('a component that does not quiesce in good order has failed', () => {
    async function quiescing(): Promise<RunnerKit> {
      const kit = new RunnerKit()
      kit.start()
      kit.set('ACTIVE', 5)
      await kit.settle()
      kit.answer(5)
      kit.set('QUIESCING', 6)
      return kit
    }

    async function expectFailed(kit: RunnerKit, cause: RegExp): Promise<void> {
      expect(kit.runner.phase.kind).toBe('ending')
      kit.process.exit({ code: null, signal: 'SIGKILL' })
      await kit.settle()
      expect(kit.events.at(-1)).toMatchObject({
        kind: 'componentFailed',
        cause: expect.stringMatching(cause),
      })
    }

    it('when its callback answers with an error', async () => {
      const kit = await quiescing()
      kit.answer(6, 0x1f)
      await expectFailed(kit, /quiescing csi answered with an error/)
    })

    it('when quiescing completes with an error', async () => {
      const kit = await quiescing()
      kit.answer(6)
      kit.runner.quiesced(kit.life, 6, 0x1f)
      await expectFailed(kit, /quiescing of csi failed/)
    })

    it('when quiescing is not complete in time, counted from the answer', async () => {
      const kit = await quiescing()
      const { csiSetTimeoutMs, quiescingTimeoutMs } = kit.runner.model
      vi.advanceTimersByTime(csiSetTimeoutMs - 1)
      kit.answer(6)
      vi.advanceTimersByTime(quiescingTimeoutMs - 1)
      expect(kit.runner.phase.kind).toBe('running')
      vi.advanceTimersByTime(1)
      await expectFailed(kit, /no answer to quiescing of csi/)
    })

    it('but not when the role was taken back before: that answer is too late', async () => {
      const kit = await quiescing()
      kit.answer(6)
      kit.set('ACTIVE', 7)
      await kit.settle()
      kit.runner.quiesced(kit.life, 6, 0x1f)
      expect(kit.runner.phase.kind).toBe('running')
      kit.answer(7)
      expect(kit.runner.facts.assignments[0]).toMatchObject({ haState: 'ACTIVE', confirmed: true })
    })
  })
})

describe('ends', () => {
  it('says how an active component died', async () => {
    const kit = new RunnerKit()
    kit.start()
    kit.process.exit({ code: null, signal: 'SIGSEGV' })
    await kit.settle()
    expect(kit.events.at(-1)).toMatchObject({
      kind: 'componentFailed',
      incarnation: 101,
      recovery: 'noRecommendation',
      cause: expect.stringContaining('killed by SIGSEGV'),
    })
    expect(kit.runner.facts).toMatchObject({ presence: 'UNINSTANTIATED', pid: null })
  })

  it('does not call a component gone before its exit was seen', async () => {
    const kit = new RunnerKit()
    kit.start()
    kit.set('STANDBY', 5)
    kit.process.mortal = false
    kit.runner.disconnected('caller1')
    await kit.settle()
    expect(kit.process.killed).toBe(true)
    expect(kit.kinds).not.toContain('componentFailed')
    expect(kit.runner.facts.assignments).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(10_001)
    expect(kit.kinds.at(-1)).toBe('cleanupFailed')
    kit.process.exit({ code: null, signal: 'SIGKILL' })
    await kit.settle()
    expect(kit.kinds.at(-1)).toBe('componentFailed')
  })

  it.each([
    ['leaves after its callback', true],
    ['is killed when it stays', false],
  ])('a terminated component %s', async (_, leaves) => {
    const kit = new RunnerKit()
    kit.start()
    kit.runner.terminate(kit.life.incarnation, 'test')
    expect(kit.callbacks).toEqual(['terminate -1'])
    kit.answer(-1)
    if (leaves) kit.process.exit({ code: 0, signal: null })
    else await vi.advanceTimersByTimeAsync(501)
    await kit.settle()
    expect(kit.process.killed).toBe(!leaves)
    expect(kit.events.at(-1)).toEqual({
      kind: 'componentTerminated',
      component: 'sequence1',
      incarnation: 101,
    })
  })

  it.each(['terminate', 'cleanup'] as const)('answers %s of a life that is over', (kind) => {
    const kit = new RunnerKit()
    kit.start()
    kit.runner[kind](55, 'test')
    expect(kit.events.at(-1)).toMatchObject({ kind: 'componentTerminated', incarnation: 55 })
    expect(kit.runner.presence).toBe('INSTANTIATED')
  })

  it('launches again after the end when that was asked for meanwhile', async () => {
    const kit = new RunnerKit()
    kit.start()
    kit.runner.cleanup(kit.life.incarnation, 'test')
    kit.instantiate('test')
    await kit.settle()
    expect(kit.kinds.at(-1)).toBe('componentTerminated')
    expect(kit.processes).toHaveLength(2)
  })

  it('reports a clean-up command that fails', async () => {
    const kit = new RunnerKit({ cleanup: { argv: ['/bin/false'], timeoutMs: 100 } })
    kit.cleanupCode = 1
    kit.start()
    kit.process.exit({ code: 1, signal: null })
    await kit.settle()
    expect(kit.kinds.at(-1)).toBe('cleanupFailed')
    expect(kit.runner.presence).toBe('TERMINATION_FAILED')
  })

  it.each([
    ['componentRestart', false, 2],
    ['componentRestart', true, 1],
    ['componentFailover', false, 1],
  ] as const)(
    'alone, recovery %s, director %s: %i launches',
    async (recovery, directed, launches) => {
      const kit = new RunnerKit({ recovery })
      kit.start()
      kit.directed = directed
      kit.process.exit({ code: 1, signal: null })
      await kit.settle()
      expect(kit.processes).toHaveLength(launches)
      if (launches === 2) expect(kit.runner.facts.assignments).toEqual([])
    },
  )

  it('leaves no timer behind', async () => {
    const kit = new RunnerKit()
    kit.start()
    kit.set('STANDBY', 5)
    kit.runner.cleanup(kit.life.incarnation, 'test')
    await kit.settle()
    await vi.advanceTimersByTimeAsync(0)
    expect(vi.getTimerCount()).toBe(0)
    await kit.runner.whenIdle()
  })
})

describe('busy', () => {
  it('is raised once for two reasons and cleared when both are gone for the hold time', async () => {
    const kit = new RunnerKit()
    kit.start()
    const told = (): boolean[] => kit.events.flatMap((e) => (e.kind === 'busy' ? [e.busy] : []))
    kit.runner.setBusy('stamp', true, 250)
    kit.runner.setBusy('healthCheck', true, 300)
    kit.runner.setBusy('stamp', false, 0)
    kit.runner.setBusy('healthCheck', false, 0)
    await vi.advanceTimersByTimeAsync(999)
    kit.runner.setBusy('function', true, 0, 'S.f runs on past its deadline')
    await vi.advanceTimersByTimeAsync(5_000)
    kit.runner.setBusy('function', false, 0)
    expect(kit.runner.facts.busy).toBe(true)
    expect(told()).toEqual([true])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(told()).toEqual([true, false])
    // Stamps were held where they are judged.
    kit.runner.setBusy('stamp', true, 250)
    kit.runner.setBusy('stamp', false, 0)
    expect(told()).toEqual([true, false, true, false])
  })
})

describe('the external monitor', () => {
  const command = (name: string) => ({ argv: [name], timeoutMs: 1_000 })
  const monitored = { amStart: command('am-start'), amStop: command('am-stop') }
  const said = (kit: RunnerKit) =>
    kit.events.flatMap((event) => (event.kind === 'monitoring' ? [event.monitored] : []))

  it('begins with each life, stops and starts when asked, and stops before an orderly end', async () => {
    const kit = new RunnerKit(monitored)
    kit.start()
    await kit.settle()
    expect(kit.runner.facts.monitored).toBe(true)
    const { incarnation } = kit.life
    kit.runner.monitor(incarnation, false)
    await kit.settle()
    expect(kit.runner.facts.monitored).toBe(false)
    kit.runner.monitor(incarnation, false)
    kit.runner.monitor(incarnation - 1, true)
    await kit.settle()
    expect(kit.commands).toEqual(['am-start', 'am-stop'])
    expect(said(kit)).toEqual([true, false, false])
    kit.runner.monitor(incarnation, true)
    await kit.settle()
    kit.runner.terminate(incarnation, 'test')
    await kit.settle()
    expect(kit.commands).toEqual(['am-start', 'am-stop', 'am-start', 'am-stop'])
  })

  it('is not stopped twice', async () => {
    const kit = new RunnerKit(monitored)
    kit.start()
    await kit.settle()
    kit.runner.monitor(kit.life.incarnation, false)
    await kit.settle()
    kit.runner.terminate(kit.life.incarnation, 'test')
    await kit.settle()
    expect(kit.commands).toEqual(['am-start', 'am-stop'])
    expect(kit.callbacks).toEqual(['terminate -1'])
  })

  it('ends as it was asked for last, when it is asked while its command runs', async () => {
    const kit = new RunnerKit(monitored)
    kit.start()
    kit.runner.monitor(kit.life.incarnation, false)
    await kit.settle()
    expect(kit.commands).toEqual(['am-start', 'am-stop'])
    expect(said(kit)).toEqual([false])
  })

  it('whose command fails in every attempt means that the component has failed', async () => {
    const kit = new RunnerKit(monitored)
    kit.start()
    await kit.settle()
    kit.cleanupCode = 1
    kit.runner.monitor(kit.life.incarnation, false)
    await kit.settle()
    expect(kit.commands).toEqual(['am-start', 'am-stop', 'am-stop'])
    expect(kit.events.at(-1)).toMatchObject({
      kind: 'componentFailed',
      cause: expect.stringContaining('its external monitor could not be stopped'),
    })
  })
})
