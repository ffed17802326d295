import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ocEv } from '../../../../runtime/index.ts'

/** Class, event, unsigned, signed. OCF events, draft 0.1, section 4.1. */
const VECTORS: readonly (readonly [number, number, number, number])[] = [
  [0, 0, 0x00000000, 0],
  [0, 1, 0x00000001, 1],
  [0, 4194303, 0x003fffff, 4194303],
  [1, 0, 0x00400000, 4194304],
  [1, 1, 0x00400001, 4194305],
  [1, 2, 0x00400002, 4194306],
  [1, 3, 0x00400003, 4194307],
  [2, 0, 0x00800000, 8388608],
  [2, 1, 0x00800001, 8388609],
  [2, 2, 0x00800002, 8388610],
  [2, 3, 0x00800003, 8388611],
  [2, 4, 0x00800004, 8388612],
  [2, 4194303, 0x00bfffff, 12582911],
  [3, 0, 0x00c00000, 12582912],
  [3, 1, 0x00c00001, 12582913],
  [3, 2, 0x00c00002, 12582914],
  [3, 3, 0x00c00003, 12582915],
  [3, 4, 0x00c00004, 12582916],
  [4, 0, 0x01000000, 16777216],
  [511, 4194303, 0x7fffffff, 2147483647],
  [512, 0, 0x80000000, -2147483648],
  [512, 1, 0x80000001, -2147483647],
  [1023, 0, 0xffc00000, -4194304],
  [1023, 1, 0xffc00001, -4194303],
  [1023, 4194303, 0xffffffff, -1],
]

describe('event descriptors', () => {
  it.each(VECTORS)('class %i, event %i: both ways', (eventClass, event, unsigned, signed) => {
    expect(ocEv.makeDescriptor(eventClass, event)).toBe(unsigned)
    for (const descriptor of [unsigned, signed]) {
      expect(ocEv.getClass(descriptor)).toBe(eventClass)
      expect(ocEv.getEvent(descriptor)).toBe(event)
    }
  })

  it.each([
    [2, 4194304],
    [2, 4194305],
    [1024, 0],
    [1025, 1],
    [-1, 0],
    [0, -1],
    [1.5, 0],
    [0, 0.5],
    [NaN, 0],
  ])('class %d, event %d is refused', (eventClass, event) => {
    expect(() => ocEv.makeDescriptor(eventClass, event)).toThrow(RangeError)
  })

  it.each([2 ** 32, -(2 ** 31) - 1, 0.5, NaN])('%d has not 32 bits', (descriptor) => {
    expect(() => ocEv.getClass(descriptor)).toThrow(RangeError)
    expect(() => ocEv.getEvent(descriptor)).toThrow(RangeError)
  })

  it('are inverses', () => {
    const any = fc.tuple(fc.integer({ min: 0, max: 1_023 }), fc.integer({ min: 0, max: 4_194_303 }))
    fc.assert(
      fc.property(any, ([eventClass, event]) => {
        const descriptor = ocEv.makeDescriptor(eventClass, event)
        expect([ocEv.getClass(descriptor), ocEv.getEvent(descriptor)]).toEqual([eventClass, event])
        // Without bit operations: 2^22 events a class.
        expect(descriptor).toBe(eventClass * 4_194_304 + event)
      }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (descriptor) => {
        const [eventClass, event] = [ocEv.getClass(descriptor), ocEv.getEvent(descriptor)]
        expect(ocEv.makeDescriptor(eventClass, event)).toBe(descriptor)
      }),
    )
  })
})

it('the names of both drafts stand for their numbers', () => {
  expect(ocEv).toMatchObject({
    OC_SUCCESS: 0,
    OC_FAILURE: -1,
    OC_EV_CLASS_SHIFT: 22,
    OC_EV_EVENT_SHIFT: 10,
    OC_EV_EVENT_MASK: 4194303,
    OC_EV_COMM_CLASS: 1,
    OC_EV_CONN_CLASS: 1,
    OC_EV_MEMB_CLASS: 2,
    OC_EV_MS_CLASS: 2,
    OC_EV_GROUP_CLASS: 3,
    OC_EV_CS_INVALID: 4194304,
    OC_EV_CS_INTERFACE: 4194305,
    OC_EV_CS_ELIGIBLE: 4194306,
    OC_EV_CS_CONNECT: 4194307,
    OC_EV_MS_INVALID: 8388608,
    OC_EV_MS_NEWVIEW: 8388609,
    OC_EV_MS_NEW_MEMBERSHIP: 8388609,
    OC_EV_MS_SUSPECT: 8388610,
    OC_EV_MS_NOT_PRIMARY: 8388610,
    OC_EV_MS_RECOVERED: 8388611,
    OC_EV_MS_PRIMARY_RESTORED: 8388611,
    OC_EV_MS_EVICTED: 8388612,
    OC_EV_MS_SERVICE_SHUTDOWN: 8388613,
    OC_EV_GS_INVALID: 12582912,
    OC_EV_GS_JOIN: 12582913,
    OC_EV_GS_LEAVE: 12582914,
    OC_EV_GS_CAST: 12582915,
    OC_EV_GS_REPLY: 12582916,
    OC_EV_AS_NORETURN: 1,
    OC_EV_AS_GET_FD: 2,
    OC_EV_AS_SIGNAL: 3,
    OC_EV_AS_DIRECT: 4,
    OC_EV_PRIO_HIGH: 0,
    OC_EV_PRIO_MED: 100,
    OC_EV_PRIO_LOW: 200,
  })
  expect(ocEv).not.toHaveProperty('OC_EV_MS_SHUTDOWN')
  expect(ocEv.draft01.OC_EV_MS_SHUTDOWN).toBe(8388612)
})
