import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  type Monitor,
  monitorWith,
  monitorWithout,
  pollMonitor,
  type ProcessTableView,
  type ProcessView,
} from '../../../amf/node/passive-monitor.ts'
import { childrenOf, lookAt } from '../../../amf/node/process-table.ts'

type Table = Record<number, ProcessView & { readonly children?: readonly number[] }>

const view = (table: Table): ProcessTableView => ({
  look: (pid) => table[pid] ?? null,
  childrenOf: (pid) => table[pid]?.children ?? [],
})
const alive = (startTime: number, ...children: number[]) => ({ startTime, ended: null, children })
const ALL = ['EXIT_ZERO', 'EXIT_NON_ZERO', 'ABNORMAL_END'] as const

function monitor(depth = 0, errors: readonly (typeof ALL)[number][] = ALL): Monitor {
  const recovery = 'componentRestart'
  return monitorWith(undefined, { pid: 10, startTime: 1, depth, errors, recovery })
}

describe('a monitored process', () => {
  it.each([
    ['EXIT_ZERO', 'monitored process 10 exited with code 0'],
    ['EXIT_NON_ZERO', 'monitored process 10 exited with an error'],
    ['ABNORMAL_END', 'monitored process 10 was ended by a signal'],
  ] as const)('that ended with %s is an error when that is monitored', (ended, cause) => {
    const table = view({ 10: { startTime: 1, ended } })
    expect(pollMonitor(monitor(), table).failure?.cause).toBe(cause)
    const others = ALL.filter((error) => error !== ended)
    expect(pollMonitor(monitor(0, others), table)).toEqual({ monitor: null, failure: null })
  })

  it('that is gone without a trace, or whose pid is another one now, is an error', () => {
    for (const table of [view({}), view({ 10: alive(2) })]) {
      const { failure } = pollMonitor(monitor(0, ['EXIT_NON_ZERO']), table)
      expect(failure).toEqual({
        recovery: 'componentRestart',
        cause: 'monitored process 10 is gone',
      })
    }
  })

  it('has the recovery that was given for how it ended', () => {
    const request = { pid: 10, startTime: 1, depth: 0, recovery: 'suFailover' } as const
    const both = monitorWith(monitor(), { ...request, errors: ['ABNORMAL_END'] })
    const end = (ended: ProcessView['ended']): unknown =>
      pollMonitor(both, view({ 10: { startTime: 1, ended } })).failure?.recovery
    expect(end('ABNORMAL_END')).toBe('suFailover')
    expect(end('EXIT_ZERO')).toBe('componentRestart')
  })

  it('is monitored no more when nothing of its ends is', () => {
    expect(monitorWithout(monitor(), ['EXIT_ZERO'])?.errors.size).toBe(2)
    expect(monitorWithout(monitor(), ALL)).toBeNull()
  })
})

describe('descendants', () => {
  const family: Table = { 10: alive(1, 11), 11: alive(2, 12), 12: alive(3, 13), 13: alive(4) }

  it.each([
    [0, []],
    [1, [11]],
    [2, [11, 12]],
    [-1, [11, 12, 13]],
  ])('to depth %i are found', (depth, pids) => {
    const found = pollMonitor(monitor(depth), view(family)).monitor
    expect([...(found?.descendants.keys() ?? [])]).toEqual(pids)
  })

  it('are monitored on when their parent is gone, and their end is an error', () => {
    const found = pollMonitor(monitor(-1, ['ABNORMAL_END']), view(family)).monitor ?? monitor()
    const ended = { startTime: 2, ended: 'EXIT_ZERO' } as const
    const later = pollMonitor(found, view({ 10: alive(1), 11: ended, 12: alive(3) }))
    expect(later.failure?.cause).toBe('monitored process 13, a descendant of 10, is gone')
    const well = pollMonitor(found, view({ 10: alive(1), 11: ended, 12: alive(3), 13: alive(4) }))
    expect([...(well.monitor?.descendants.keys() ?? [])]).toEqual([12, 13])
  })
})

it('sees real processes, their children and how zombies ended', async () => {
  // The outer shell keeps its dead children as zombies, because sleep replaces it and never reaps.
  const child = spawn('sh', ['-c', '(exit 0) & (exit 3) & exec sleep 60'])
  try {
    const pid = child.pid ?? 0
    await expect.poll(() => zombies(pid), { timeout: 5_000 }).toHaveLength(2)
    expect(lookAt(pid)?.ended).toBeNull()
    expect(childrenOf(process.pid)).toContain(pid)
    expect(zombies(pid).toSorted()).toEqual(['EXIT_NON_ZERO', 'EXIT_ZERO'])
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  expect(lookAt(child.pid ?? 0)).toBeNull()
})

function zombies(pid: number): string[] {
  return childrenOf(pid).flatMap((each) => lookAt(each)?.ended ?? [])
}
