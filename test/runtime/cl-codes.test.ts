import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { CL_CID, CL_OK, rcOf, type ClRcT } from '../../idl/index.ts'
import * as cl from '../../runtime/cl/index.ts'

/**
 * Longer than usual: a row for each function.
 *
 * One function of the basic libraries: called once as it should be, and once as it should not. */
type Row = readonly [
  name: string,
  good: () => unknown,
  bad: () => unknown,
  code: number | null | false,
]

const directory = mkdtempSync(join(tmpdir(), 'hf-codes-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const NULL_POINTER = 0x03
const NOT_EXIST = 0x04
const INVALID_HANDLE = 0x05
const INVALID_PARAMETER = 0x02
const none = null as never
/** What is no handle of anything. */
const junk = { value: 1 } as never
const out = <T>(): cl.ClOut<T | undefined> => ({ value: undefined })
/** A place for something that nobody looks at. */
const any = () => ({ value: undefined }) as cl.ClOut<never>
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const nothing = (): void => {}
const compare = (a: number, b: number): number => a - b

/** Makes something by its function of the original. */
function made<T>(make: (place: cl.ClOut<T | undefined>) => ClRcT): T {
  const place = out<T>()
  expect(make(place)).toBe(CL_OK)
  return place.value!
}

const buffer = (text = 'abc'): cl.ClBufferHandleT => {
  const message = made(cl.clBufferCreate)
  cl.clBufferNBytesWrite(message, bytes(text), text.length)
  return message
}
const tree = (keys: readonly number[] = [1, 1, 2]): cl.ClCntHandleT<number, string> => {
  const container = made<cl.ClCntHandleT<number, string>>((place) =>
    cl.clCntRbtreeCreate(compare, null, null, cl.CL_CNT_NON_UNIQUE_KEY, place),
  )
  for (const key of keys) cl.clCntNodeAdd(container, key, `d${key}`, null)
  return container
}
const clist = (items: readonly string[] = ['a', 'b']): cl.ClClistT<string> => {
  const list = made<cl.ClClistT<string>>((place) =>
    cl.clClistCreate(0, cl.CL_NO_DROP, nothing, nothing, place),
  )
  for (const item of items) cl.clClistLastNodeAdd(list, item)
  return list
}
const queue = (items: readonly number[] = [1, 2]): cl.ClQueueT<number> => {
  const made_ = made<cl.ClQueueT<number>>((place) => cl.clQueueCreate(0, null, null, place))
  for (const item of items) cl.clQueueNodeInsert(made_, item)
  return made_
}
const rule = (length = 2): cl.ClRuleExprT => made((place) => cl.clRuleExprAllocate(length, place))
const timer = (type: number = cl.CL_TIMER_ONE_SHOT): cl.ClTimerHandleT =>
  made((place) =>
    cl.clTimerCreate({ tsSec: 60, tsMilliSec: 0 }, type, 0, nothing, undefined, place),
  )
const mutex = (): cl.ClOsalMutexIdT => made(cl.clOsalMutexCreate)
const semaphore = (count = 1): cl.ClOsalSemIdT => made((place) => cl.clOsalSemCreate(count, place))
const locked = (): cl.ClOsalMutexIdT => made(cl.clOsalMutexCreateAndLock)
let databases = 0
const database = (): cl.ClDBHandleT => {
  const db = made<cl.ClDBHandleT>((place) =>
    cl.clDbalOpen(directory, `db${databases++}`, cl.CL_DB_CREAT, 100, 100, place),
  )
  cl.clDbalRecordInsert(db, bytes('k'), bytes('v'))
  return db
}
const first = <N>(get: (place: cl.ClOut<N | undefined>) => ClRcT): N => made(get)
const node = (container: cl.ClCntHandleT<number, string>): cl.ClCntNodeHandleT<number, string> =>
  first((place) => cl.clCntFirstNodeGet(container, place))
const clistNode = (list: cl.ClClistT<string>): cl.ClClistNodeT<string> =>
  first((place) => cl.clClistFirstNodeGet(list, place))
const now = { tsSec: 0, tsMilliSec: 0 }
const file = (name: string): string => join(directory, name)
const descriptor = (): number =>
  made<number>((place) => cl.clOsalFileOpen(file('f'), 'w+', place as cl.ClOut<number>))

const BUFFER: readonly Row[] = [
  ['Create', () => cl.clBufferCreate(out()), () => cl.clBufferCreate(none), NULL_POINTER],
  [
    'CreateAndAllocate',
    () => cl.clBufferCreateAndAllocate(9_000, out()),
    () => cl.clBufferCreateAndAllocate(-1, out()),
    INVALID_PARAMETER,
  ],
  [
    'Delete',
    () => cl.clBufferDelete({ value: buffer() }),
    () => cl.clBufferDelete({ value: null }),
    INVALID_HANDLE,
  ],
  ['Clear', () => cl.clBufferClear(buffer()), () => cl.clBufferClear(junk), INVALID_HANDLE],
  [
    'LengthGet',
    () => cl.clBufferLengthGet(buffer(), { value: 0 }),
    () => cl.clBufferLengthGet(buffer(), none),
    NULL_POINTER,
  ],
  [
    'LengthCalc',
    () => cl.clBufferLengthCalc(buffer(), { value: 0 }),
    () => cl.clBufferLengthCalc(junk, { value: 0 }),
    INVALID_HANDLE,
  ],
  [
    'NBytesRead',
    () => cl.clBufferNBytesRead(buffer(), new Uint8Array(9), { value: 9 }),
    () => cl.clBufferNBytesRead(buffer(), new Uint8Array(9), { value: -1 }),
    INVALID_PARAMETER,
  ],
  [
    'NBytesWrite',
    () => cl.clBufferNBytesWrite(buffer(), bytes('xyz'), 2),
    () => cl.clBufferNBytesWrite(buffer(), bytes('xyz'), -1),
    INVALID_PARAMETER,
  ],
  [
    'DataPrepend',
    () => cl.clBufferDataPrepend(buffer(), bytes('xyz'), 3),
    () => cl.clBufferDataPrepend(buffer(), bytes('xyz'), 4),
    INVALID_PARAMETER,
  ],
  [
    'HeaderTrim',
    () => cl.clBufferHeaderTrim(buffer(), 3),
    () => cl.clBufferHeaderTrim(buffer(), 4),
    INVALID_PARAMETER,
  ],
  [
    'TrailerTrim',
    () => cl.clBufferTrailerTrim(buffer(), 3),
    () => cl.clBufferTrailerTrim(buffer(), 4),
    INVALID_PARAMETER,
  ],
  [
    'Concatenate',
    () => cl.clBufferConcatenate(buffer(), { value: buffer() }),
    () => {
      const message = buffer()
      made<cl.ClBufferHandleT>((place) => cl.clBufferClone(message, place))
      return cl.clBufferConcatenate(message, { value: buffer() })
    },
    INVALID_PARAMETER,
  ],
  [
    'ToBufferCopy',
    () => cl.clBufferToBufferCopy(buffer(), 1, buffer(), 2),
    () => cl.clBufferToBufferCopy(buffer(), 0, none, 1),
    INVALID_HANDLE,
  ],
  [
    'Duplicate',
    () => cl.clBufferDuplicate(buffer(), out()),
    () => cl.clBufferDuplicate(none, out()),
    INVALID_HANDLE,
  ],
  [
    'Clone',
    () => cl.clBufferClone(buffer(), out()),
    () => cl.clBufferClone(none, out()),
    INVALID_HANDLE,
  ],
  [
    'ReadOffsetGet',
    () => cl.clBufferReadOffsetGet(buffer(), { value: 0 }),
    () => cl.clBufferReadOffsetGet(none, { value: 0 }),
    INVALID_HANDLE,
  ],
  [
    'WriteOffsetGet',
    () => cl.clBufferWriteOffsetGet(buffer(), { value: 0 }),
    () => cl.clBufferWriteOffsetGet(none, { value: 0 }),
    INVALID_HANDLE,
  ],
  [
    'ReadOffsetSet',
    () => cl.clBufferReadOffsetSet(buffer(), -1, cl.CL_BUFFER_SEEK_END),
    () => cl.clBufferReadOffsetSet(buffer(), 0, 3),
    INVALID_PARAMETER,
  ],
  [
    'WriteOffsetSet',
    () => cl.clBufferWriteOffsetSet(buffer(), 0, cl.CL_BUFFER_SEEK_SET),
    () => cl.clBufferWriteOffsetSet(buffer(), 4, cl.CL_BUFFER_SEEK_SET),
    INVALID_PARAMETER,
  ],
  [
    'Flatten',
    () => cl.clBufferFlatten(buffer(), { value: bytes('') }),
    () => cl.clBufferFlatten(none, { value: bytes('') }),
    INVALID_HANDLE,
  ],
  [
    'Vectorize',
    () => cl.clBufferVectorize(buffer(), { value: [] }),
    () => cl.clBufferVectorize(none, { value: [] }),
    INVALID_HANDLE,
  ],
  [
    'AppendHeap',
    () => cl.clBufferAppendHeap(buffer(), bytes('x')),
    () => cl.clBufferAppendHeap(buffer(), none),
    NULL_POINTER,
  ],
  [
    'Checksum16Compute',
    () => cl.clBufferChecksum16Compute(buffer(), 0, 3, { value: 0 }),
    () => cl.clBufferChecksum16Compute(buffer(), 1, 3, { value: 0 }),
    INVALID_PARAMETER,
  ],
  [
    'Checksum32Compute',
    () => cl.clBufferChecksum32Compute(buffer(), 0, 3, { value: 0 }),
    () => cl.clBufferChecksum32Compute(buffer(), -1, 1, { value: 0 }),
    INVALID_PARAMETER,
  ],
  ['Shrink', () => cl.clBufferShrink(buffer()), () => cl.clBufferShrink(none), INVALID_HANDLE],
  ['StatsGet', () => cl.clBufferStatsGet(out()), () => cl.clBufferStatsGet(none), NULL_POINTER],
  [
    'PoolStatsGet',
    () => cl.clBufferPoolStatsGet(out()),
    () => cl.clBufferPoolStatsGet(none),
    NULL_POINTER,
  ],
]

const HEAP: readonly Row[] = [
  ['Allocate', () => cl.clHeapAllocate(8) !== null && CL_OK, () => cl.clHeapAllocate(0), null],
  ['Calloc', () => cl.clHeapCalloc(2, 4) !== null && CL_OK, () => cl.clHeapCalloc(-1, 4), null],
  [
    'Realloc',
    () => cl.clHeapRealloc(cl.clHeapAllocate(8), 16) !== null && CL_OK,
    () => cl.clHeapRealloc(new Uint8Array(8), 16),
    null,
  ],
  [
    'Free',
    () => cl.clHeapFree(cl.clHeapAllocate(8)),
    () => cl.clHeapFree(new Uint8Array(8)),
    INVALID_PARAMETER,
  ],
  ['ModeGet', () => cl.clHeapModeGet({ value: 0 }), () => cl.clHeapModeGet(none), NULL_POINTER],
  ['StatsGet', () => cl.clHeapStatsGet(out()), () => cl.clHeapStatsGet(none), NULL_POINTER],
]

const TIMER: readonly Row[] = [
  [
    'Create',
    () => cl.clTimerCreate(now, 0, 0, nothing, 0, out()),
    () => cl.clTimerCreate({ tsSec: -1, tsMilliSec: 2_000 }, 0, 0, nothing, 0, out()),
    INVALID_PARAMETER,
  ],
  [
    'CreateAndStart',
    () => cl.clTimerCreateAndStart(now, 0, 0, nothing, 0, out()),
    () => cl.clTimerCreateAndStart(now, 3, 0, nothing, 0, out()),
    0x102,
  ],
  ['Start', () => cl.clTimerStart(timer()), () => cl.clTimerStart(none), INVALID_PARAMETER],
  [
    'Stop',
    () => cl.clTimerStop(timer()),
    () => cl.clTimerStop(undefined as never),
    INVALID_PARAMETER,
  ],
  ['Restart', () => cl.clTimerRestart(timer()), () => cl.clTimerRestart(junk), INVALID_HANDLE],
  [
    'Update',
    () => cl.clTimerUpdate(timer(), { tsSec: 0xffff_ffff, tsMilliSec: 0 }),
    () => cl.clTimerUpdate(none, now),
    INVALID_HANDLE,
  ],
  [
    'Delete',
    () => cl.clTimerDelete({ value: timer() }),
    () => cl.clTimerDelete({ value: timer(cl.CL_TIMER_VOLATILE) }),
    0x20,
  ],
  [
    'DeleteAsync',
    () => cl.clTimerDeleteAsync({ value: timer() }),
    () => cl.clTimerDeleteAsync({ value: null }),
    INVALID_HANDLE,
  ],
  [
    'CheckAndDelete',
    () => cl.clTimerCheckAndDelete({ value: timer() }),
    () => cl.clTimerCheckAndDelete({ value: null }),
    INVALID_HANDLE,
  ],
  [
    'TypeGet',
    () => cl.clTimerTypeGet(timer(), { value: 0 }),
    () => cl.clTimerTypeGet(timer(), none),
    NULL_POINTER,
  ],
  [
    'IsRunning',
    () => cl.clTimerIsRunning(timer(), { value: true }),
    () => cl.clTimerIsRunning(none, { value: true }),
    INVALID_HANDLE,
  ],
  [
    'IsStopped',
    () => cl.clTimerIsStopped(timer(), { value: false }),
    () => cl.clTimerIsStopped(none, { value: false }),
    INVALID_HANDLE,
  ],
  [
    'StatsGet',
    () => cl.clTimerStatsGet(timer(), out()),
    () => cl.clTimerStatsGet(none, out()),
    INVALID_HANDLE,
  ],
]

const creates = (
  [
    ['LlistCreate', cl.clCntLlistCreate],
    ['OrderedLlistCreate', cl.clCntOrderedLlistCreate],
    ['RbtreeCreate', cl.clCntRbtreeCreate],
    ['ThreadSafeLlistCreate', cl.clCntThreadSafeLlistCreate],
    ['ThreadSafeOrderedLlistCreate', cl.clCntThreadSafeOrderedLlistCreate],
    ['ThreadSafeRbtreeCreate', cl.clCntThreadSafeRbtreeCreate],
  ] as const
).map(([name, create]): Row => [
  name,
  () => create(compare, null, null, cl.CL_CNT_UNIQUE_KEY, any()),
  () => create(compare, null, null, 3, any()),
  INVALID_PARAMETER,
])
const CNT: readonly Row[] = [
  ...creates,
  ...(
    [
      ['HashtblCreate', cl.clCntHashtblCreate],
      ['ThreadSafeHashtblCreate', cl.clCntThreadSafeHashtblCreate],
    ] as const
  ).map(([name, create]): Row => [
    name,
    () => create(4, compare, (key) => key, null, null, cl.CL_CNT_UNIQUE_KEY, any()),
    () => create(4, compare, none, null, null, cl.CL_CNT_UNIQUE_KEY, any()),
    NULL_POINTER,
  ]),
  [
    'NodeAdd',
    () => cl.clCntNodeAdd(tree(), 1, 'x', null),
    () => {
      const unique = made<cl.ClCntHandleT<number, number>>((place) =>
        cl.clCntRbtreeCreate(compare, null, null, cl.CL_CNT_UNIQUE_KEY, place),
      )
      cl.clCntNodeAdd(unique, 1, 1, null)
      return cl.clCntNodeAdd(unique, 1, 2, null)
    },
    0x08,
  ],
  [
    'NodeAddAndNodeGet',
    () => cl.clCntNodeAddAndNodeGet(tree(), 1, 'x', null, out()),
    () => cl.clCntNodeAddAndNodeGet(none, 1, 'x', null, out()),
    INVALID_HANDLE,
  ],
  [
    'NodeFind',
    () => cl.clCntNodeFind(tree(), 2, out()),
    () => cl.clCntNodeFind(tree(), 3, out()),
    NOT_EXIST,
  ],
  [
    'DataForKeyGet',
    () => cl.clCntDataForKeyGet(tree(), 1, { value: '' }),
    () => cl.clCntDataForKeyGet(tree([]), 1, { value: '' }),
    NOT_EXIST,
  ],
  [
    'NonUniqueKeyFind',
    () => cl.clCntNonUniqueKeyFind(tree(), 1, 'd1', (a, b) => a.localeCompare(b), { value: '' }),
    () => cl.clCntNonUniqueKeyFind(tree(), 1, 'd2', (a, b) => a.localeCompare(b), { value: '' }),
    NOT_EXIST,
  ],
  [
    'NonUniqueKeyDelete',
    () => {
      const container = tree()
      const size = { value: 0 }
      const rc = cl.clCntNonUniqueKeyDelete(container, 1, 'd1', (a, b) => a.localeCompare(b))
      cl.clCntKeySizeGet(container, 1, size)
      return size.value === 1 && rc
    },
    () => cl.clCntNonUniqueKeyDelete(tree(), 3, 'd1', (a, b) => a.localeCompare(b)),
    NOT_EXIST,
  ],
  [
    'FirstNodeGet',
    () => cl.clCntFirstNodeGet(tree(), out()),
    () => cl.clCntFirstNodeGet(tree([]), out()),
    NOT_EXIST,
  ],
  [
    'LastNodeGet',
    () => cl.clCntLastNodeGet(tree(), out()),
    () => cl.clCntLastNodeGet(tree([]), out()),
    NOT_EXIST,
  ],
  [
    'NextNodeGet',
    () => {
      const container = tree()
      return cl.clCntNextNodeGet(container, node(container), out())
    },
    () => cl.clCntNextNodeGet(tree(), node(tree()), out()),
    INVALID_HANDLE,
  ],
  [
    'PreviousNodeGet',
    () => {
      const container = tree()
      const last = made<cl.ClCntNodeHandleT<number, string>>((place) =>
        cl.clCntLastNodeGet(container, place),
      )
      return cl.clCntPreviousNodeGet(container, last, out())
    },
    () => {
      const container = tree()
      return cl.clCntPreviousNodeGet(container, node(container), out())
    },
    NOT_EXIST,
  ],
  [
    'NodeUserKeyGet',
    () => {
      const container = tree()
      return cl.clCntNodeUserKeyGet(container, node(container), { value: 0 })
    },
    () => cl.clCntNodeUserKeyGet(tree(), junk, { value: 0 }),
    INVALID_HANDLE,
  ],
  [
    'NodeUserDataGet',
    () => {
      const container = tree()
      return cl.clCntNodeUserDataGet(container, node(container), { value: '' })
    },
    () => cl.clCntNodeUserDataGet(tree(), none, { value: '' }),
    INVALID_HANDLE,
  ],
  [
    'SizeGet',
    () => cl.clCntSizeGet(tree(), { value: 0 }),
    () => {
      const container = tree()
      cl.clCntDelete(container)
      return cl.clCntSizeGet(container, { value: 0 })
    },
    INVALID_HANDLE,
  ],
  [
    'KeySizeGet',
    () => cl.clCntKeySizeGet(tree(), 9, { value: 0 }),
    () => cl.clCntKeySizeGet(tree(), 9, none),
    NULL_POINTER,
  ],
  [
    'NodeDelete',
    () => {
      const container = tree()
      return cl.clCntNodeDelete(container, node(container))
    },
    () => {
      const container = tree()
      const gone = node(container)
      cl.clCntNodeDelete(container, gone)
      return cl.clCntNodeDelete(container, gone)
    },
    INVALID_HANDLE,
  ],
  [
    'AllNodesForKeyDelete',
    () => cl.clCntAllNodesForKeyDelete(tree(), 1),
    () => cl.clCntAllNodesForKeyDelete(tree(), 3),
    NOT_EXIST,
  ],
  [
    'AllNodesDelete',
    () => cl.clCntAllNodesDelete(tree([])),
    () => cl.clCntAllNodesDelete(junk),
    INVALID_HANDLE,
  ],
  [
    'Delete',
    () => cl.clCntDelete(tree()),
    () => {
      const container = tree()
      cl.clCntDelete(container)
      return cl.clCntDelete(container)
    },
    INVALID_HANDLE,
  ],
  [
    'Walk',
    () => cl.clCntWalk(tree([]), () => 1, 0, 0),
    () => cl.clCntWalk(tree(), none, 0, 0),
    NULL_POINTER,
  ],
  [
    'WalkFailSafe',
    () => cl.clCntWalkFailSafe(tree(), () => 1, 0, 0),
    () => cl.clCntWalkFailSafe(none, () => 1, 0, 0),
    INVALID_HANDLE,
  ],
]

const withNode = (
  step: (list: cl.ClClistT<string>, node: cl.ClClistNodeT<string>) => ClRcT,
): Pick<Row, 1 | 2> => ({
  1: () => {
    const list = clist()
    return step(list, clistNode(list))
  },
  2: () => step(clist(), clistNode(clist())),
})
const clistRow = (name: string, step: Parameters<typeof withNode>[0]): Row => {
  const calls = withNode(step)
  return [name, calls[1], calls[2], INVALID_HANDLE]
}
const CLIST: readonly Row[] = [
  [
    'Create',
    () => cl.clClistCreate(2, cl.CL_DROP_FIRST, nothing, nothing, any()),
    () => cl.clClistCreate(2, 2, nothing, nothing, any()),
    INVALID_PARAMETER,
  ],
  [
    'FirstNodeAdd',
    () => cl.clClistFirstNodeAdd(clist(), 'x'),
    () => cl.clClistFirstNodeAdd(junk, 'x'),
    INVALID_HANDLE,
  ],
  [
    'LastNodeAdd',
    () => cl.clClistLastNodeAdd(clist(), 'x'),
    () => cl.clClistLastNodeAdd(none, 'x'),
    INVALID_HANDLE,
  ],
  clistRow('AfterNodeAdd', (list, at) => cl.clClistAfterNodeAdd(list, at, 'x')),
  clistRow('BeforeNodeAdd', (list, at) => cl.clClistBeforeNodeAdd(list, at, 'x')),
  clistRow('NodeDelete', (list, at) => cl.clClistNodeDelete(list, at)),
  clistRow('NextNodeGet', (list, at) => cl.clClistNextNodeGet(list, at, out())),
  clistRow('PreviousNodeGet', (list, at) => cl.clClistPreviousNodeGet(list, at, out())),
  clistRow('DataGet', (list, at) => cl.clClistDataGet(list, at, { value: '' })),
  [
    'FirstNodeGet',
    () => cl.clClistFirstNodeGet(clist(), out()),
    () => cl.clClistFirstNodeGet(clist([]), out()),
    NOT_EXIST,
  ],
  [
    'LastNodeGet',
    () => cl.clClistLastNodeGet(clist(), out()),
    () => cl.clClistLastNodeGet(clist([]), out()),
    NOT_EXIST,
  ],
  [
    'SizeGet',
    () => cl.clClistSizeGet(clist(), { value: 0 }),
    () => cl.clClistSizeGet(clist(), none),
    NULL_POINTER,
  ],
  ['Delete', () => cl.clClistDelete(clist()), () => cl.clClistDelete(none), INVALID_HANDLE],
  [
    'Walk',
    () => cl.clClistWalk(clist(), () => CL_OK, 0),
    () => cl.clClistWalk(clist(), none, 0),
    NULL_POINTER,
  ],
]

const QUEUE: readonly Row[] = [
  [
    'Create',
    () => cl.clQueueCreate(0, nothing, nothing, any()),
    () => cl.clQueueCreate(-1, nothing, nothing, any()),
    INVALID_PARAMETER,
  ],
  [
    'NodeInsert',
    () => cl.clQueueNodeInsert(queue(), 1),
    () => cl.clQueueNodeInsert(none, 1),
    INVALID_HANDLE,
  ],
  [
    'NodeDelete',
    () => cl.clQueueNodeDelete(queue(), { value: 0 }),
    () => cl.clQueueNodeDelete(queue([]), { value: 0 }),
    NOT_EXIST,
  ],
  [
    'SizeGet',
    () => cl.clQueueSizeGet(queue(), { value: 0 }),
    () => cl.clQueueSizeGet(none, { value: 0 }),
    INVALID_HANDLE,
  ],
  ['Delete', () => cl.clQueueDelete(queue()), () => cl.clQueueDelete(none), INVALID_HANDLE],
  [
    'Walk',
    () => cl.clQueueWalk(queue([]), () => 1, 0),
    () => cl.clQueueWalk(queue(), none, 0),
    NULL_POINTER,
  ],
]

const packed = (): Uint8Array => {
  const place: cl.ClOut<Uint8Array | null> = { value: null }
  cl.clRuleExprPack(rule(), place)
  return place.value!
}
const RULE: readonly Row[] = [
  [
    'ExprAllocate',
    () => cl.clRuleExprAllocate(255, out()),
    () => cl.clRuleExprAllocate(256, out()),
    INVALID_PARAMETER,
  ],
  [
    'ExprDeallocate',
    () => cl.clRuleExprDeallocate({ value: rule() }),
    () => cl.clRuleExprDeallocate({ value: null }),
    NULL_POINTER,
  ],
  [
    'ExprAppend',
    () => cl.clRuleExprAppend(rule(), rule()),
    () => {
      const one = rule()
      return cl.clRuleExprAppend(one, one)
    },
    INVALID_PARAMETER,
  ],
  [
    'ExprDuplicate',
    () => cl.clRuleExprDuplicate(rule(), out()),
    () => cl.clRuleExprDuplicate(none, out()),
    NULL_POINTER,
  ],
  [
    'ExprEvaluate',
    () => cl.clRuleExprEvaluate(null, null, 0) && CL_OK,
    () => cl.clRuleExprEvaluate(rule(), new Uint32Array(2), -1),
    false,
  ],
  [
    'DoubleExprEvaluate',
    () => cl.clRuleDoubleExprEvaluate(rule(), rule()) && CL_OK,
    () => cl.clRuleDoubleExprEvaluate(rule(), rule(1)),
    false,
  ],
  [
    'ExprLocalConvert',
    () => cl.clRuleExprLocalConvert(rule()),
    () => cl.clRuleExprLocalConvert(none),
    NULL_POINTER,
  ],
  [
    'ExprConvert',
    () => cl.clRuleExprConvert(rule()),
    () => cl.clRuleExprConvert(none),
    NULL_POINTER,
  ],
  [
    'ExprFlagsSet',
    () => cl.clRuleExprFlagsSet(rule(), 0xff),
    () => cl.clRuleExprFlagsSet(rule(), 0x100),
    INVALID_PARAMETER,
  ],
  [
    'ExprFlagsGet',
    () => cl.clRuleExprFlagsGet(rule(), { value: 0 }),
    () => cl.clRuleExprFlagsGet(rule(), none),
    NULL_POINTER,
  ],
  [
    'ExprOffsetSet',
    () => cl.clRuleExprOffsetSet(rule(), 0xffff),
    () => cl.clRuleExprOffsetSet(rule(), 0x1_0000),
    0x100,
  ],
  [
    'ExprOffsetGet',
    () => cl.clRuleExprOffsetGet(rule(), { value: 0 }),
    () => cl.clRuleExprOffsetGet(none, { value: 0 }),
    NULL_POINTER,
  ],
  ...(
    [
      ['Mask', cl.clRuleExprMaskSet, cl.clRuleExprMaskGet],
      ['Value', cl.clRuleExprValueSet, cl.clRuleExprValueGet],
    ] as const
  ).flatMap(([what, set, get]): Row[] => [
    [`Expr${what}Set`, () => set(rule(), 1, 0xffff_ffff), () => set(rule(), 2, 1), 0x100],
    [
      `Expr${what}Get`,
      () => get(rule(), 0, { value: 0 }),
      () => get(rule(), -1, { value: 0 }),
      0x100,
    ],
  ]),
  [
    'ExprMemLenGet',
    () => {
      const chain = rule(2)
      cl.clRuleExprAppend(chain, rule(1))
      return cl.clRuleExprMemLenGet(chain) === 24 + 16 && CL_OK
    },
    () => cl.clRuleExprMemLenGet(null),
    0,
  ],
  [
    'ExprPack',
    () => cl.clRuleExprPack(rule(), { value: null }),
    () => cl.clRuleExprPack(rule(), none),
    NULL_POINTER,
  ],
  [
    'ExprUnpack',
    () => cl.clRuleExprUnpack(packed(), { value: null }),
    () => cl.clRuleExprUnpack(packed(), undefined as never),
    INVALID_PARAMETER,
  ],
  ['ExprPrint', () => cl.clRuleExprPrint(rule()), () => cl.clRuleExprPrint(none), NULL_POINTER],
]

const TASK = new URL('data:text/javascript,0')
const task = (): cl.ClOsalTaskIdT =>
  made((place) => cl.clOsalTaskCreateAttached({ name: 't', module: TASK }, place))
const OSAL: readonly Row[] = [
  [
    'MutexCreate',
    () => cl.clOsalMutexCreate(out()),
    () => cl.clOsalMutexCreate(none),
    NULL_POINTER,
  ],
  [
    'MutexErrorCheckCreate',
    () => cl.clOsalMutexErrorCheckCreate(out()),
    () => cl.clOsalMutexErrorCheckCreate(none),
    NULL_POINTER,
  ],
  [
    'RecursiveMutexInit',
    () => cl.clOsalRecursiveMutexInit(out()),
    () => cl.clOsalRecursiveMutexInit(none),
    NULL_POINTER,
  ],
  [
    'MutexCreateAndLock',
    () => cl.clOsalMutexCreateAndLock(out()),
    () => cl.clOsalMutexCreateAndLock(none),
    NULL_POINTER,
  ],
  ['MutexLock', () => cl.clOsalMutexLock(mutex()), () => cl.clOsalMutexLock(locked()), 0x18],
  [
    'MutexTryLock',
    () => cl.clOsalMutexTryLock(mutex()),
    () => cl.clOsalMutexTryLock(junk),
    INVALID_HANDLE,
  ],
  ['MutexUnlock', () => cl.clOsalMutexUnlock(locked()), () => cl.clOsalMutexUnlock(mutex()), 0x18],
  [
    'MutexDelete',
    () => cl.clOsalMutexDelete({ value: mutex() }),
    () => cl.clOsalMutexDelete({ value: null }),
    INVALID_HANDLE,
  ],
  ['CondCreate', () => cl.clOsalCondCreate(out()), () => cl.clOsalCondCreate(none), NULL_POINTER],
  [
    'CondDelete',
    () => cl.clOsalCondDelete({ value: made(cl.clOsalCondCreate) }),
    () => cl.clOsalCondDelete({ value: null }),
    INVALID_HANDLE,
  ],
  [
    'CondSignal',
    () => cl.clOsalCondSignal(made(cl.clOsalCondCreate)),
    () => cl.clOsalCondSignal(none),
    INVALID_HANDLE,
  ],
  [
    'CondBroadcast',
    () => cl.clOsalCondBroadcast(made(cl.clOsalCondCreate)),
    () => cl.clOsalCondBroadcast(none),
    INVALID_HANDLE,
  ],
  // Nobody signals: what is right of the call is that it ends, and by which code.
  [
    'CondWait',
    () =>
      cl.clOsalCondWait(made(cl.clOsalCondCreate), now, locked()) === rcOf(CL_CID.OSAL, 0x14) &&
      CL_OK,
    () => cl.clOsalCondWait(made(cl.clOsalCondCreate), 5 as never, locked()),
    INVALID_PARAMETER,
  ],
  [
    'SemCreate',
    () => cl.clOsalSemCreate(0, out()),
    () => cl.clOsalSemCreate(-1, out()),
    INVALID_PARAMETER,
  ],
  ['SemLock', () => cl.clOsalSemLock(semaphore()), () => cl.clOsalSemLock(none), INVALID_HANDLE],
  [
    'SemTryLock',
    () => cl.clOsalSemTryLock(semaphore()),
    () => cl.clOsalSemTryLock(semaphore(0)),
    0x15,
  ],
  [
    'SemUnlock',
    () => cl.clOsalSemUnlock(semaphore()),
    () => cl.clOsalSemUnlock(semaphore(2 ** 30)),
    0x21,
  ],
  [
    'SemValueGet',
    () => cl.clOsalSemValueGet(semaphore(), { value: 0 }),
    () => cl.clOsalSemValueGet(none, { value: 0 }),
    INVALID_HANDLE,
  ],
  [
    'SemDelete',
    () => cl.clOsalSemDelete({ value: semaphore() }),
    () => cl.clOsalSemDelete({ value: null }),
    INVALID_HANDLE,
  ],
  [
    'TaskCreateAttached',
    () => cl.clOsalTaskCreateAttached({ name: 't', module: TASK }, out()),
    () => cl.clOsalTaskCreateAttached({ name: 'x'.repeat(33), module: TASK }, out()),
    0x1a,
  ],
  [
    'TaskCreateDetached',
    () => cl.clOsalTaskCreateDetached({ name: 't', module: TASK }),
    () => cl.clOsalTaskCreateDetached({ name: '', module: TASK }),
    INVALID_PARAMETER,
  ],
  [
    'TaskJoin',
    () => cl.clOsalTaskJoin(task(), { value: 0 }),
    () => cl.clOsalTaskJoin(none, { value: 0 }),
    INVALID_HANDLE,
  ],
  [
    'TaskDetach',
    () => cl.clOsalTaskDetach(task()),
    () => cl.clOsalTaskDetach(none),
    INVALID_HANDLE,
  ],
  ['TaskKill', () => cl.clOsalTaskKill(task()), () => cl.clOsalTaskKill(none), INVALID_HANDLE],
  [
    'TaskDelete',
    () => cl.clOsalTaskDelete(task()),
    () => cl.clOsalTaskDelete(none),
    INVALID_HANDLE,
  ],
  [
    'TaskDelay',
    () => cl.clOsalTaskDelay(now),
    () => cl.clOsalTaskDelay(5 as never),
    INVALID_PARAMETER,
  ],
  [
    'SelfTaskIdGet',
    () => cl.clOsalSelfTaskIdGet({ value: 0 }),
    () => cl.clOsalSelfTaskIdGet(none),
    NULL_POINTER,
  ],
  [
    'TaskNameGet',
    () => cl.clOsalTaskNameGet({ value: '' }),
    () => cl.clOsalTaskNameGet(none),
    NULL_POINTER,
  ],
  [
    'TaskKeyCreate',
    () => cl.clOsalTaskKeyCreate({ value: '' }),
    () => cl.clOsalTaskKeyCreate(none),
    NULL_POINTER,
  ],
  [
    'TaskKeyDelete',
    () => cl.clOsalTaskKeyDelete('k'),
    () => cl.clOsalTaskKeyDelete(none),
    NULL_POINTER,
  ],
  [
    'TaskDataSet',
    () => cl.clOsalTaskDataSet('k', 1),
    () => cl.clOsalTaskDataSet(none, 1),
    NULL_POINTER,
  ],
  [
    'TaskDataGet',
    () => {
      cl.clOsalTaskDataSet('codes', 1)
      return cl.clOsalTaskDataGet('codes', out())
    },
    () => cl.clOsalTaskDataGet('no such', out()),
    NOT_EXIST,
  ],
  [
    'ProcessCreate',
    () => cl.clOsalProcessCreate({ command: '/bin/true' }, out()),
    () => cl.clOsalProcessCreate({ command: '/no/such' }, out()),
    0x100,
  ],
  [
    'ProcessWait',
    async () => {
      const child = out<cl.ClOsalPidT>()
      await cl.clOsalProcessCreate({ command: '/bin/true' }, child)
      return cl.clOsalProcessWait(child.value!, out())
    },
    () => cl.clOsalProcessWait(none, out()),
    INVALID_HANDLE,
  ],
  [
    'ProcessDelete',
    async () => {
      const child = out<cl.ClOsalPidT>()
      await cl.clOsalProcessCreate({ command: '/bin/sleep', args: ['60'] }, child)
      return cl.clOsalProcessDelete(child.value!)
    },
    () => cl.clOsalProcessDelete(none),
    INVALID_HANDLE,
  ],
  [
    'ProcessSelfIdGet',
    () => cl.clOsalProcessSelfIdGet({ value: 0 }),
    () => cl.clOsalProcessSelfIdGet(none),
    NULL_POINTER,
  ],
  ['SigHandlerInitialize', () => CL_OK, () => cl.clOsalSigHandlerInitialize(none), NULL_POINTER],
  [
    'TimeOfDayGet',
    () => cl.clOsalTimeOfDayGet(out()),
    () => cl.clOsalTimeOfDayGet(none),
    NULL_POINTER,
  ],
  [
    'NanoTimeGet',
    () => cl.clOsalNanoTimeGet({ value: 0n }),
    () => cl.clOsalNanoTimeGet(none),
    NULL_POINTER,
  ],
  [
    'FileOpen',
    () => descriptor() > 2 && CL_OK,
    () => cl.clOsalFileOpen(file('no'), 'r', { value: 0 }),
    0x100,
  ],
  ['FileClose', () => cl.clOsalFileClose(descriptor()), () => cl.clOsalFileClose(-1), 0x100],
  [
    'FileRead',
    () => cl.clOsalFileRead(descriptor(), new Uint8Array(1), { value: 0 }),
    () => cl.clOsalFileRead(-1, new Uint8Array(1), { value: 0 }),
    0x100,
  ],
  [
    'FileWrite',
    () => cl.clOsalFileWrite(descriptor(), bytes('x'), { value: 0 }),
    () => cl.clOsalFileWrite(-1, bytes('x'), { value: 0 }),
    0x100,
  ],
  [
    'FileRename',
    () => cl.clOsalFileRename(file('f'), file('g')),
    () => cl.clOsalFileRename(file('no'), file('x')),
    0x100,
  ],
  ['FileUnlink', () => cl.clOsalFileUnlink(file('g')), () => cl.clOsalFileUnlink(file('g')), 0x100],
]

const open = (name: string, flag: number): ClRcT =>
  cl.clDbalOpen(directory, name, flag, 64, 64, out())
const DBAL: readonly Row[] = [
  ['Open', () => open('a', cl.CL_DB_APPEND), () => open('none', cl.CL_DB_OPEN), NOT_EXIST],
  [
    'TxnOpen',
    () => cl.clDbalTxnOpen(directory, 'b', cl.CL_DB_CREAT | cl.CL_DB_SYNC, 64, 64, out()),
    () => cl.clDbalTxnOpen(directory, 'b', 3, 64, 64, out()),
    INVALID_PARAMETER,
  ],
  [
    'Close',
    () => cl.clDbalClose({ value: database() }),
    () => cl.clDbalClose({ value: null }),
    INVALID_HANDLE,
  ],
  ['Sync', () => cl.clDbalSync(database()), () => cl.clDbalSync(none), INVALID_HANDLE],
  [
    'RecordInsert',
    () => cl.clDbalRecordInsert(database(), bytes('l'), bytes('')),
    () => cl.clDbalRecordInsert(database(), bytes('k'), bytes('')),
    0x08,
  ],
  [
    'RecordReplace',
    () => cl.clDbalRecordReplace(database(), bytes('k'), bytes('w')),
    () => cl.clDbalRecordReplace(database(), bytes('k'), new Uint8Array(101)),
    0x1d,
  ],
  [
    'RecordGet',
    () => cl.clDbalRecordGet(database(), bytes('k'), out()),
    () => cl.clDbalRecordGet(database(), bytes('x'), out()),
    NOT_EXIST,
  ],
  [
    'RecordDelete',
    () => cl.clDbalRecordDelete(database(), bytes('k')),
    () => cl.clDbalRecordDelete(database(), bytes('x')),
    NOT_EXIST,
  ],
  [
    'FirstRecordGet',
    () => cl.clDbalFirstRecordGet(database(), out()),
    () => cl.clDbalFirstRecordGet(junk, out()),
    INVALID_HANDLE,
  ],
  [
    'NextRecordGet',
    () => cl.clDbalNextRecordGet(database(), bytes('a'), out()),
    () => cl.clDbalNextRecordGet(database(), bytes('k'), out()),
    NOT_EXIST,
  ],
  [
    'KeyFree',
    () => cl.clDbalKeyFree(database(), bytes('k')),
    () => cl.clDbalKeyFree(database(), none),
    NULL_POINTER,
  ],
  [
    'RecordFree',
    () => cl.clDbalRecordFree(database(), bytes('k')),
    () => cl.clDbalRecordFree(none, bytes('')),
    INVALID_HANDLE,
  ],
  ...(
    [
      ['Commit', cl.clDbalTransactionCommit],
      ['Abort', cl.clDbalTransactionAbort],
    ] as const
  ).map(([name, end]): Row => [
    `Transaction${name}`,
    () => {
      const db = database()
      cl.clDbalTransactionBegin(db)
      return end(db)
    },
    () => end(database()),
    0x12,
  ]),
  [
    'TransactionBegin',
    () => cl.clDbalTransactionBegin(database()),
    () => cl.clDbalTransactionBegin(none),
    INVALID_HANDLE,
  ],
]

const LIBRARIES = [
  ['Buffer', 'BUFFER', BUFFER],
  ['Heap', 'HEAP', HEAP],
  ['Timer', 'TIMER', TIMER],
  ['Cnt', 'CNT', CNT],
  ['Clist', 'CLIST', CLIST],
  ['Queue', 'QUEUE', QUEUE],
  ['Rule', 'RULE', RULE],
  ['Osal', 'OSAL', OSAL],
  ['Dbal', 'DBAL', DBAL],
] as const
const ROWS = LIBRARIES.flatMap(([prefix, component, rows]) =>
  rows.map((row) => [`cl${prefix}${row[0]}`, component, row] as const),
)

test.each(ROWS)('%s of %s', async (_name, component, [, good, bad, code]) => {
  expect(await good()).toBe(CL_OK)
  const expected = typeof code === 'number' && code > 0 ? rcOf(CL_CID[component], code) : code
  expect(await bad()).toBe(expected)
})

test('every function of these libraries was called', () => {
  const called = new Set<string>(ROWS.map(([name]) => name))
  // They have no code to give, or change what the others do: see cl-libraries.test.ts.
  const apart = /(Initialize|Finalize|StopWatchTimeGet|MaxPathGet)$/
  const functions = Object.keys(cl).filter(
    (name) => LIBRARIES.some(([prefix]) => name.startsWith(`cl${prefix}`)) && !called.has(name),
  )
  expect(functions.filter((name) => !apart.test(name))).toEqual([])
})

test('functions of a component say what is missing, and throw nothing', async () => {
  const place = any()
  const rows: readonly (readonly [number | Promise<number>, number])[] = [
    [cl.clEoMyEoObjectSet(none), rcOf(CL_CID.EO, NULL_POINTER)],
    [cl.clEoMyEoObjectGet(none), rcOf(CL_CID.EO, NULL_POINTER)],
    [cl.clEoMyEoIocPortGet(none), rcOf(CL_CID.EO, NULL_POINTER)],
    [cl.clEoClientInstall(none, none, null), NULL_POINTER],
    [cl.clEoServiceValidate(none, 1), NULL_POINTER],
    [cl.clEoPrivateDataGet(none, 1, place), NULL_POINTER],
    [cl.clEoNameGet(none, '1:1', place), NULL_POINTER],
    [cl.clEoProgNameGet(none), NULL_POINTER],
    [cl.clRmdStatsGet(none), rcOf(CL_CID.RMD, NULL_POINTER)],
    [cl.clRmdMaxNumbRetriesGet(none), rcOf(CL_CID.RMD, NULL_POINTER)],
    [cl.clRmdMaxPayloadSizeGet(none), rcOf(CL_CID.RMD, NULL_POINTER)],
    [cl.clRmdResponseDefer(none), rcOf(CL_CID.RMD, NULL_POINTER)],
    [cl.clRmdSyncResponseSend(none, 1, 0), rcOf(CL_CID.RMD, INVALID_HANDLE)],
    [cl.clCpmClientInitialize(none, none), rcOf(CL_CID.CPM, NULL_POINTER)],
    [cl.clCpmClientFinalize(none), rcOf(CL_CID.CPM, INVALID_HANDLE)],
    [cl.clCpmComponentRegister(none), rcOf(CL_CID.CPM, INVALID_HANDLE)],
    [cl.clCpmComponentUnregister(junk), rcOf(CL_CID.CPM, INVALID_HANDLE)],
    [cl.clCpmComponentNameGet(none, place), rcOf(CL_CID.CPM, INVALID_HANDLE)],
    [cl.clCpmComponentIdGet(none, 'c', place), rcOf(CL_CID.CPM, INVALID_HANDLE)],
    [cl.clCpmHAStateGet(none, 'c', 'csi', place), rcOf(CL_CID.CPM, INVALID_HANDLE)],
    [cl.clCpmResponse(none, 1, 0), rcOf(CL_CID.CPM, INVALID_HANDLE)],
    [cl.clCpmCSIQuiescingComplete(none, 1, 0), rcOf(CL_CID.CPM, INVALID_HANDLE)],
    [
      cl.clCpmComponentFailureReport(none, 'c', 0n, 'suRestart', ''),
      rcOf(CL_CID.CPM, INVALID_HANDLE),
    ],
    [cl.clIocCommPortCreate(0, 2, place), rcOf(CL_CID.IOC, INVALID_PARAMETER)],
    [cl.clIocCommPortDelete(none), rcOf(CL_CID.IOC, INVALID_HANDLE)],
    [cl.clIocReceive(none, none, place), rcOf(CL_CID.IOC, NULL_POINTER)],
    [cl.clIocSend(none, bytes('x'), 0x80, '1:1'), rcOf(CL_CID.IOC, INVALID_HANDLE)],
  ]
  const codes = await Promise.all(rows.map(async ([rc]) => rc))
  expect(codes).toEqual(rows.map(([, expected]) => expected))
})
