import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { NodeCommand } from '../../../amf/director/agent-command.ts'
import { LAUNCH_AFTER_GRANT_MS, LaunchGate } from '../../../amf/director/launch-gate.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const why = 'test'
const launch = (component: string): NodeCommand => ({
  kind: 'instantiate',
  node: 'node1',
  component,
  mediation: null,
  descriptor: null,
  why,
})
const cleanup: NodeCommand = {
  kind: 'cleanup',
  node: 'node1',
  component: 'c1',
  incarnation: 1,
  mediation: null,
  why,
}
const grant: NodeCommand = {
  kind: 'csiSet',
  node: 'node2',
  component: 'c2',
  incarnation: 1,
  invocation: 1,
  haState: 'ACTIVE',
  descriptor: {
    csi: 'csi',
    flags: 'TARGET_ONE',
    haState: 'ACTIVE',
    epoch: 1,
    transition: null,
    activeComponent: null,
    standbyRank: 0,
    attributes: {},
  },
  replicas: [],
  inSync: null,
  why,
}

function gate(): { readonly gate: LaunchGate; readonly passed: NodeCommand[] } {
  const passed: NodeCommand[] = []
  return {
    gate: new LaunchGate(
      (held) => void passed.push(...held),
      () => Date.now(),
    ),
    passed,
  }
}

describe('a launch', () => {
  it('passes when no role was given lately', () => {
    expect(gate().gate.admit(launch('c1'))).toEqual([launch('c1')])
  })

  it('waits after a grant, in order', async () => {
    const { gate: one, passed } = gate()
    expect(one.admit(grant)).toEqual([grant])
    expect(one.admit(launch('c1'))).toEqual([])
    expect(one.admit(launch('c3'))).toEqual([])
    await vi.advanceTimersByTimeAsync(LAUNCH_AFTER_GRANT_MS - 1)
    expect(passed).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(passed).toEqual([launch('c1'), launch('c3')])
    expect(one.admit(launch('c4'))).toEqual([launch('c4')])
  })

  it('goes before a later command for the same component', async () => {
    const { gate: one, passed } = gate()
    one.admit(grant)
    one.admit(launch('c1'))
    one.admit(launch('c3'))
    expect(one.admit(cleanup)).toEqual([launch('c1'), cleanup])
    await vi.advanceTimersByTimeAsync(LAUNCH_AFTER_GRANT_MS)
    expect(passed).toEqual([launch('c3')])
  })

  it('is forgotten when the director ends', async () => {
    const { gate: one, passed } = gate()
    one.admit(grant)
    one.admit(launch('c1'))
    one.close()
    await vi.advanceTimersByTimeAsync(LAUNCH_AFTER_GRANT_MS)
    expect(passed).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })
})
