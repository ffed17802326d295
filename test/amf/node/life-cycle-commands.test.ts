import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ANY_INCARNATION } from '../../../amf/director/running-table.ts'
import type { ComponentModel } from '../../../amf/model/model.ts'
import { NO_RETRY_EXIT_CODE, runLifeCycleCommand } from '../../../amf/node/component-commands.ts'
import { componentModel, RunnerKit } from './agent-runner-kit.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const command = (name: string, timeoutMs = 400): NonNullable<ComponentModel['cleanup']> => ({
  argv: [name],
  timeoutMs,
})

/** A program started by a command that returns, with a command for everything. */
const DAEMON: Partial<ComponentModel> = {
  category: 'nonSaAware',
  preInstantiable: false,
  foreground: false,
  instantiate: command('start', 1_000),
  terminate: command('stop'),
  cleanup: command('clean'),
}
const PROGRAM: Partial<ComponentModel> = {
  category: 'nonSaAware',
  preInstantiable: false,
  instantiate: command('serve'),
}

const descriptor = {
  csi: 'csi',
  flags: 'ADD_ONE',
  haState: 'ACTIVE',
  epoch: 4,
  transition: 'NEW_ASSIGN',
  activeComponent: null,
  standbyRank: 0,
  attributes: {},
} as const

function run(kit: RunnerKit): void {
  kit.runner.instantiate({ mediation: null, descriptor, why: 'test' })
}

async function daemon(changes: Partial<ComponentModel> = {}): Promise<RunnerKit> {
  const kit = new RunnerKit({ ...DAEMON, ...changes })
  kit.leaves = true
  run(kit)
  kit.process.commandReturns(0)
  await kit.settle()
  return kit
}

describe('one command', () => {
  const ran: string[] = []
  const attempt = (codes: readonly number[], attemptsMax?: number): Promise<string | null> => {
    const left = [...codes]
    ran.length = 0
    return runLifeCycleCommand(
      {
        runCommand: (model) => {
          ran.push(model.name)
          const code = left.shift() ?? 0
          const outcome = { code, signal: null, timedOut: code === 99, stderrTail: 'no disk\n' }
          return Promise.resolve(outcome)
        },
      },
      {
        model: componentModel,
        what: 'clean-up',
        command: command('clean'),
        assigned: null,
        ...(attemptsMax === undefined ? {} : { attemptsMax }),
      },
    )
  }

  it.each([
    ['works at once', [0], 2, 1, null],
    ['is tried once unless told otherwise', [1, 0], undefined, 1, 'exited with code 1'],
    ['works at the second attempt', [1, 0], 2, 2, null],
    ['fails as often as it may', [1, 2], 2, 2, 'exited with code 2'],
    ['asks for no further attempt', [NO_RETRY_EXIT_CODE, 0], 3, 1, 'exited with code 200'],
    ['takes too long', [99], 1, 1, 'took over 400 ms: no disk'],
  ] as const)('%s', async (_, codes, attemptsMax, count, cause) => {
    const said = await attempt(codes, attemptsMax)
    expect(ran).toHaveLength(count)
    if (cause === null) expect(said).toBeNull()
    else expect(said).toContain(cause)
  })
})

describe('attempts to start', () => {
  const failing = async (changes: Partial<ComponentModel>, code: number): Promise<RunnerKit> => {
    const kit = new RunnerKit(changes)
    kit.instantiate('test')
    kit.process.exit({ code, signal: null })
    await kit.settle()
    return kit
  }

  it('are made at once first, then after the delay', async () => {
    const attempts = { instantiateAttemptsMax: 4, instantiateWithoutDelayMax: 2 }
    const kit = await failing({ ...attempts, instantiateDelayMs: 5_000 }, 1)
    const failNext = async (): Promise<void> => {
      kit.process.exit({ code: 1, signal: null })
      await kit.settle()
    }
    await vi.advanceTimersByTimeAsync(0)
    expect(kit.processes).toHaveLength(2)
    await failNext()
    for (const count of [3, 4]) {
      await vi.advanceTimersByTimeAsync(4_999)
      expect(kit.processes).toHaveLength(count - 1)
      expect(kit.runner.presence).toBe('INSTANTIATING')
      await vi.advanceTimersByTimeAsync(1)
      expect(kit.processes).toHaveLength(count)
      await failNext()
    }
    expect(kit.kinds).toEqual(['instantiationFailed'])
    expect(kit.events[0]).toMatchObject({ cause: expect.stringContaining('in 4 attempts') })
  })

  it('end with exit code 200', async () => {
    const kit = await failing({}, NO_RETRY_EXIT_CODE)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kit.processes).toHaveLength(1)
    expect(kit.kinds).toEqual(['instantiationFailed'])
    expect(kit.runner.presence).toBe('INSTANTIATION_FAILED')
  })

  it('clean up after each, and not while it is still cleaned up', async () => {
    const kit = new RunnerKit({ cleanup: command('clean') })
    let cleaned: (outcome: object) => void = () => undefined
    kit.outcomes.push(new Promise((resolve) => (cleaned = resolve)))
    kit.instantiate('test')
    kit.process.exit({ code: 1, signal: null })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(kit.commands).toEqual(['clean'])
    expect(kit.processes).toHaveLength(1)
    cleaned({})
    await vi.advanceTimersByTimeAsync(10)
    expect(kit.processes).toHaveLength(2)
  })

  it('wait for no delay when it is not wanted any more', async () => {
    const kit = await failing({ instantiateDelayMs: 5_000 }, 1)
    await vi.advanceTimersByTimeAsync(0)
    kit.runner.cleanup(ANY_INCARNATION, 'test')
    await kit.settle()
    expect(kit.kinds).toEqual(['componentTerminated'])
    expect(vi.getTimerCount()).toBe(0)
    await kit.runner.whenIdle()
  })
})

describe('a program in the foreground', () => {
  it('runs for its CSI, and is ACTIVE for it from its launch on', () => {
    const kit = new RunnerKit(PROGRAM)
    run(kit)
    expect(kit.kinds).toEqual(['componentRegistered'])
    expect(kit.runner.facts.assignments).toEqual([
      { csi: 'csi', haState: 'ACTIVE', epoch: 4, confirmed: true, told: null },
    ])
  })

  it('is asked to end by SIGTERM, or by its command', async () => {
    for (const terminate of [null, command('stop')]) {
      const kit = new RunnerKit({ ...PROGRAM, terminate })
      run(kit)
      kit.runner.terminate(kit.life.incarnation, 'test')
      await kit.settle()
      expect(kit.process.askedToEnd).toBe(terminate === null)
      expect(kit.commands).toEqual(terminate === null ? [] : ['stop for csi'])
      expect(kit.kinds.at(-1)).toBe('componentTerminated')
      expect(kit.runner.facts.assignments).toEqual([])
    }
  })
})

describe('a program that its command leaves behind', () => {
  it('is there when the command has returned', async () => {
    const kit = new RunnerKit(DAEMON)
    kit.leaves = true
    run(kit)
    await kit.settle()
    expect(kit.runner.facts.assignments[0]?.confirmed).toBe(false)
    expect(kit.kinds).toEqual([])
    kit.process.commandReturns(0)
    await kit.settle()
    expect(kit.kinds).toEqual(['componentRegistered'])
    expect(kit.runner.facts.assignments[0]?.confirmed).toBe(true)
  })

  it.each([
    ['fails', 1, 3],
    ['asks for no further attempt', NO_RETRY_EXIT_CODE, 1],
  ])('%s: attempts', async (_, code, count) => {
    const kit = new RunnerKit(DAEMON)
    kit.leaves = true
    run(kit)
    for (let at = 0; at < 3; at += 1) {
      kit.process.commandReturns(code)
      await vi.advanceTimersByTimeAsync(20)
    }
    expect(kit.processes).toHaveLength(count)
    // Whatever an attempt left behind is cleaned up before the next one.
    expect(kit.commands).toEqual(Array.from({ length: count }, () => 'clean for csi'))
    expect(kit.kinds).toEqual(['instantiationFailed'])
  })

  it('is killed with its command when that takes too long', async () => {
    const kit = new RunnerKit({ ...DAEMON, instantiateAttemptsMax: 1 })
    kit.leaves = true
    run(kit)
    await vi.advanceTimersByTimeAsync(1_000)
    await kit.settle()
    expect(kit.process.killed).toBe(true)
    expect(kit.commands).toEqual(['clean for csi'])
    expect(kit.events[0]).toMatchObject({
      kind: 'instantiationFailed',
      cause: expect.stringContaining('did not start within 1000 ms'),
    })
  })

  it('is terminated, then cleaned up', async () => {
    const kit = await daemon()
    kit.runner.terminate(kit.life.incarnation, 'test')
    await kit.settle()
    expect(kit.commands).toEqual(['stop for csi', 'clean for csi'])
    expect(kit.kinds.at(-1)).toBe('componentTerminated')
  })

  it('is cleaned up when its terminate command fails', async () => {
    const kit = await daemon()
    kit.outcomes.push({ code: 1 })
    kit.runner.terminate(kit.life.incarnation, 'test')
    await kit.settle()
    expect(kit.commands).toEqual(['stop for csi', 'clean for csi'])
    expect(kit.kinds.at(-1)).toBe('componentTerminated')
  })
})

describe('an external monitor', () => {
  const MONITORED: Partial<ComponentModel> = {
    ...PROGRAM,
    amStart: command('watch'),
    amStop: command('unwatch'),
  }

  it('starts after the component, and stops before it', async () => {
    const kit = new RunnerKit(MONITORED)
    run(kit)
    expect(kit.kinds).toEqual(['componentRegistered'])
    await kit.settle()
    expect(kit.commands).toEqual(['watch for csi'])
    kit.runner.terminate(kit.life.incarnation, 'test')
    expect(kit.process.askedToEnd).toBe(false)
    await kit.settle()
    expect(kit.commands).toEqual(['watch for csi', 'unwatch for csi'])
    expect(kit.process.askedToEnd).toBe(true)
    expect(kit.kinds.at(-1)).toBe('componentTerminated')
  })

  it('that cannot be started fails the component, after its attempts', async () => {
    const kit = new RunnerKit({ ...MONITORED, amStartAttemptsMax: 3 })
    kit.cleanupCode = 4
    run(kit)
    await kit.settle()
    expect(kit.commands.filter((one) => one.startsWith('watch'))).toHaveLength(3)
    expect(kit.process.killed).toBe(true)
    expect(kit.events.at(-1)).toMatchObject({
      kind: 'componentFailed',
      cause: expect.stringContaining('AM_START command of sequence1 failed: it exited with code 4'),
    })
  })

  it('that cannot be stopped: the component is ended without ceremony', async () => {
    const kit = new RunnerKit({ ...MONITORED, amStopAttemptsMax: 2 })
    run(kit)
    await kit.settle()
    kit.outcomes.push({ code: 1 }, { code: 1 })
    kit.runner.terminate(kit.life.incarnation, 'test')
    await kit.settle()
    expect(kit.commands.filter((one) => one.startsWith('unwatch'))).toHaveLength(2)
    expect([kit.process.killed, kit.process.askedToEnd]).toEqual([true, false])
    expect(kit.kinds.at(-1)).toBe('componentTerminated')
  })

  it('is stopped too when the component has failed', async () => {
    const kit = new RunnerKit(MONITORED)
    run(kit)
    await kit.settle()
    kit.process.exit({ code: null, signal: 'SIGSEGV' })
    await kit.settle()
    expect(kit.commands).toEqual(['watch for csi', 'unwatch for csi'])
    expect(kit.kinds.at(-1)).toBe('componentFailed')
  })

  it('that is being started when the component fails is stopped when that is through', async () => {
    const kit = new RunnerKit(MONITORED)
    let end: (outcome: object) => void = () => undefined
    kit.outcomes.push(new Promise((resolve) => (end = resolve)))
    run(kit)
    kit.process.exit({ code: 1, signal: null })
    await kit.settle()
    expect(kit.commands).toEqual(['watch for csi'])
    expect(kit.kinds).toEqual(['componentRegistered'])
    end({ code: 1 })
    await kit.settle()
    expect(kit.commands).toEqual(['watch for csi', 'unwatch for csi'])
    expect(kit.kinds).toEqual(['componentRegistered', 'componentFailed'])
  })

  it('of a life that is over says nothing about the next one', async () => {
    const kit = new RunnerKit({ ...MONITORED, amStop: null, amStartAttemptsMax: 1 })
    let end: (outcome: object) => void = () => undefined
    kit.outcomes.push(new Promise((resolve) => (end = resolve)))
    run(kit)
    kit.process.exit({ code: 1, signal: null })
    await kit.settle()
    run(kit)
    end({ code: 1 })
    await kit.settle()
    expect(kit.kinds).toEqual([
      'componentRegistered',
      'componentFailed',
      'componentRegistered',
      'monitoring',
    ])
    expect(kit.process.killed).toBe(false)
  })
})

describe('a health check by command', () => {
  it.each([
    ['passes', { code: 0 }, null],
    ['says that it does not work', { code: 3 }, 'exited with code 3'],
    ['takes too long', { code: null, signal: 'SIGKILL', timedOut: true }, 'took over 50 ms'],
  ])('%s', async (_, outcome, cause) => {
    const kit = await daemon()
    kit.outcomes.push(outcome)
    const passed = await kit.runner.checkByCommand(kit.life, command('ask', 50))
    await kit.settle()
    expect(passed).toBe(cause === null)
    expect(kit.commands[0]).toBe('ask for csi')
    if (cause === null) expect(kit.kinds).toEqual(['componentRegistered'])
    else {
      expect(kit.events.at(-1)).toMatchObject({
        kind: 'componentFailed',
        cause: expect.stringContaining(cause),
      })
    }
  })
})
