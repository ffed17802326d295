import { describe, expect, expectTypeOf, test } from 'vitest'
import { CL_CID, CL_ERR, rcOf, rcOfCode, SdkError } from '../../idl/index.ts'
import * as cl from '../../runtime/cl/index.ts'
import type { App, CpmClient } from '../../runtime/index.ts'

const OTHER = rcOf(CL_CID.CPM, CL_ERR.INVALID_PARAMETER)

/** Notes what reaches `app.cpm`. */
function made(answer: (name: string) => unknown = () => null) {
  const asked: [name: string, request: unknown][] = []
  const cpm = new Proxy({} as CpmClient, {
    get: (_, name) => async (request: unknown) => {
      asked.push([String(name), request])
      return answer(String(name))
    },
  })
  return { asked, handle: new cl.ClCpmHandleT({ component: 'c1', cpm } as unknown as App) }
}

type Call = (handle: cl.ClCpmHandleT) => Promise<number>

test.each<[name: string, call: Call, request: unknown]>([
  [
    'healthCheckStart',
    (h) => cl.clCpmHealthcheckStart(h, 'c1', 'k', cl.CL_CPM_HEALTHCHECK_AMF_INVOKED, 'suRestart'),
    { key: 'k', invocation: 'AMF_INVOKED', recovery: 'suRestart' },
  ],
  [
    'healthCheckStart',
    (h) =>
      cl.clCpmHealthcheckStart(h, 'c1', 'k', cl.CL_CPM_HEALTHCHECK_CLIENT_INVOKED, 'suFailover'),
    { key: 'k', invocation: 'COMPONENT_INVOKED', recovery: 'suFailover' },
  ],
  ['healthCheckConfirm', (h) => cl.clCpmHealthcheckConfirm(h, 'c1', 'k', 0), { key: 'k' }],
  [
    'healthCheckConfirm',
    (h) => cl.clCpmHealthcheckConfirm(h, 'c1', 'k', 0x1f),
    { key: 'k', error: expect.any(String) },
  ],
  ['healthCheckStop', (h) => cl.clCpmHealthcheckStop(h, 'c1', 'k'), { key: 'k' }],
  [
    'pmStart',
    (h) =>
      cl.clCpmPmStart(
        h,
        'c1',
        7,
        -1,
        cl.CL_AMS_PM_NON_ZERO_EXIT | cl.CL_AMS_PM_ABNORMAL_END,
        'suRestart',
      ),
    { pid: 7, descendants: -1, errors: ['EXIT_NON_ZERO', 'ABNORMAL_END'], recovery: 'suRestart' },
  ],
  [
    'pmStop',
    (h) => cl.clCpmPmStop(h, 'c1', cl.CL_AMS_PM_PROC, 7, cl.CL_AMS_PM_ZERO_EXIT),
    { pid: 7, scope: 'PROCESS', errors: ['EXIT_ZERO'] },
  ],
  [
    'haReadinessStateSet',
    (h) => cl.clCpmHAReadinessStateSet(h, 'c1', null, cl.CL_AMS_HARS_NOT_READY_FOR_ACTIVE),
    { csi: 'all', state: 'NOT_READY_FOR_ACTIVE' },
  ],
  [
    'protectionGroupTrack',
    (h) => cl.clCpmProtectionGroupTrack(h, 'csi', cl.CL_AMS_PG_TRACK_CHANGES, null),
    { csi: 'csi', flags: ['CHANGES'] },
  ],
  ['protectionGroupTrackStop', (h) => cl.clCpmProtectionGroupTrackStop(h, 'csi'), { csi: 'csi' }],
])('%s gets what the original function was called with', async (name, call, request) => {
  const { asked, handle } = made()
  expect(await call(handle)).toBe(0)
  expect(asked).toEqual([[name, request]])
})

describe('what the original would refuse', () => {
  test.each<[what: string, call: Call]>([
    ['another component', (h) => cl.clCpmHealthcheckStop(h, 'c2', 'k')],
    ['an unknown invocation type', (h) => cl.clCpmHealthcheckStart(h, 'c1', 'k', 3, 'suRestart')],
    ['an unknown readiness', (h) => cl.clCpmHAReadinessStateSet(h, 'c1', 'csi', 9)],
    ['an unknown error bit', (h) => cl.clCpmPmStart(h, 'c1', 7, 0, 8, 'suRestart')],
    ['no error at all', (h) => cl.clCpmPmStop(h, 'c1', cl.CL_AMS_PM_PROC, 7, 0)],
    ['an unknown qualifier', (h) => cl.clCpmPmStop(h, 'c1', 0, 7, 1)],
  ])('%s is INVALID_PARAMETER and reaches nobody', async (_, call) => {
    const { asked, handle } = made()
    expect(await call(handle)).toBe(OTHER)
    expect(asked).toEqual([])
  })
})

test('the group now comes by the buffer, an error by its code', async () => {
  const group = { csi: 'csi', members: [], numberOfMembers: 0 }
  const buffer = { value: null as typeof group | null }
  const flags = cl.CL_AMS_PG_TRACK_CURRENT
  expect(await cl.clCpmProtectionGroupTrack(made(() => group).handle, 'csi', flags, buffer)).toBe(0)
  expect(buffer.value).toEqual(group)
  const { handle } = made(() => {
    throw new SdkError('NOT_EXIST', 'no such CSI')
  })
  const rc = await cl.clCpmProtectionGroupTrack(handle, 'csi', flags, buffer)
  expect(rc).toBe(rcOfCode('NOT_EXIST'))
})

test('types', () => {
  expectTypeOf(cl.clCpmHealthcheckStart).returns.resolves.toEqualTypeOf<number>()
  expectTypeOf(cl.clCpmPmStart).parameter(2).toEqualTypeOf<number>()
  expectTypeOf(cl.clCpmHAReadinessStateSet).parameter(2).toEqualTypeOf<string | null>()
  expectTypeOf<NonNullable<cl.ClCpmCallbacksT['appProtectionGroupTrack']>>()
    .parameter(2)
    .toEqualTypeOf<number>()
  expectTypeOf(cl.clCpmHealthcheckStart).parameter(4).not.toEqualTypeOf<number>()
})

test.each<[code: string, call: Call, rc: number]>([
  ['NOT_INITIALIZED', (h) => cl.clCpmComponentRegister(h, 'c1', null), 0x106],
  ['ALREADY_EXIST', (h) => cl.clCpmComponentRegister(h, 'c1', null), 0x108],
  ['BAD_OPERATION', (h) => cl.clCpmComponentUnregister(h, 'c1', null), 0x107],
])('%s of a component life is a code of the component manager', async (code, call, rc) => {
  const { handle } = made(() => {
    throw new SdkError(code, 'x')
  })
  expect(await call(handle)).toBe(rcOf(CL_CID.CPM, rc))
})

test('an error is reported with its time', async () => {
  const told: unknown[][] = []
  const cpm = { errorReport: async (...args: unknown[]) => void told.push(args) }
  const handle = new cl.ClCpmHandleT({ component: 'c1', cpm } as unknown as App)
  for (const timeNs of [0n, 1_000_000_000n]) {
    const rc = await cl.clCpmComponentFailureReport(handle, 'c1', timeNs, 'suRestart', 'broken')
    expect(rc).toBe(0)
  }
  expect(told).toEqual([
    ['broken', 'suRestart', 'c1'],
    ['broken (detected at 1970-01-01T00:00:01.000Z)', 'suRestart', 'c1'],
  ])
})

test('the state of another component is not known', () => {
  const cpm = { haStateGet: (csi: string) => (csi === 'csi' ? 'STANDBY' : null) }
  const handle = new cl.ClCpmHandleT({ component: 'c1', cpm } as unknown as App)
  const state = (component: string, csi: string): readonly number[] => {
    const out = { value: -1 }
    return [cl.clCpmHAStateGet(handle, component, csi, out), out.value]
  }
  expect(state('c1', 'csi')).toEqual([0, cl.CL_AMS_HA_STATE_STANDBY])
  expect(state('c1', 'other')).toEqual([0, cl.CL_AMS_HA_STATE_NONE])
  expect(state('c2', 'csi')).toEqual([rcOf(CL_CID.CPM, CL_ERR.DOESNT_EXIST), -1])
})

test('a callback that throws has answered', async () => {
  const { handle } = made()
  let asked = 0
  const answer = handle.ask((invocation) => {
    asked = invocation
    throw new Error('broken')
  })
  await expect(answer).rejects.toThrow('broken')
  expect(cl.clCpmResponse(handle, asked, 0)).toBe(rcOf(CL_CID.CPM, CL_ERR.DOESNT_EXIST))
})
