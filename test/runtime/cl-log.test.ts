import { pino } from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { CL_CID, CL_ERR, CL_OK, rcOf, type ClRcT } from '../../idl/index.ts'
import { type App, bindMyEo, type LogStream, type StoredRecord } from '../../runtime/index.ts'
import {
  CL_LOG_CRITICAL,
  CL_LOG_DEBUG,
  CL_LOG_ERROR,
  CL_LOG_FILE_FULL_ACTION_HALT,
  CL_LOG_FILTER_ASSIGN,
  CL_LOG_HANDLE_APP,
  CL_LOG_HANDLER_WILL_ACK,
  CL_LOG_INFO,
  CL_LOG_MSGID_BUFFER,
  CL_LOG_MSGID_PRINTF_FMT,
  CL_LOG_STREAM_CREATE,
  CL_LOG_STREAM_GLOBAL,
  CL_LOG_STREAM_LOCAL,
  CL_LOG_TAG_BASIC_SIGNED,
  CL_LOG_TAG_STRING,
  CL_LOG_TAG_TERMINATE,
  clLog,
  clLogFileClose,
  clLogFileMetaDataGet,
  clLogFileOpen,
  clLogFileRecordsGet,
  clLogFilterSet,
  clLogFinalize,
  clLogHandlerDeregister,
  clLogHandlerRecordAck,
  clLogHandlerRegister,
  clLogInitialize,
  clLogSeverityStringGet,
  clLogSeverityValueGet,
  clLogStreamClose,
  clLogStreamListGet,
  clLogStreamOpen,
  clLogWrite,
  clLogWriteAsync,
  clLogWriteAsyncWithHeader,
  type ClLogHandleT,
  type ClLogStreamAttributesT,
} from '../../runtime/cl/index.ts'
import { logLibrary } from '../../runtime/services/log/client.ts'
import { carryStreams } from '../../runtime/services/log/component-log.ts'
import { logServerOf } from '../../runtime/services/log/server.ts'
import { ServiceRig } from './services/rig.ts'

/** Machines may be busy. */
const SOON = { timeout: 10_000 }

const open: ServiceRig[] = []
const log = pino({ level: 'info' }, { write: () => undefined })
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

/** A component on each of two nodes; the first is the bound EO. */
async function start(): Promise<ClLogHandleT> {
  const rig = new ServiceRig(logServerOf('/nowhere'))
  open.push(rig)
  await rig.start(1, 2)
  const { client, rmd } = await rig.component(1, 'a', logLibrary)
  const of = { component: 'a', node: 'node1', address: rmd.address, rmd: {} }
  const app = { ...of, log: carryStreams(log, client) }
  bindMyEo(app as unknown as App)
  const out: { value: ClLogHandleT | undefined } = { value: undefined }
  expect(clLogInitialize(out, null, { value: 'B.1.1' })).toBe(CL_OK)
  return out.value as ClLogHandleT
}

async function openStream(
  handle: ClLogHandleT,
  attributes: ClLogStreamAttributesT | null,
  { name = 'own', scope = CL_LOG_STREAM_LOCAL, flags = CL_LOG_STREAM_CREATE } = {},
): Promise<{ rc: ClRcT; stream: LogStream | undefined }> {
  const out: { value: LogStream | undefined } = { value: undefined }
  const rc = await clLogStreamOpen(handle, name, scope, attributes, flags, 0, out)
  return { rc, stream: out.value }
}

const error = (name: keyof typeof CL_ERR): ClRcT => rcOf(CL_CID.LOG, CL_ERR[name])

async function recordsOf(handle: ClLogHandleT, name: string): Promise<readonly StoredRecord[]> {
  const file: Parameters<typeof clLogFileOpen>[3] = { value: undefined }
  if ((await clLogFileOpen(handle, name, '.:log', file)) !== CL_OK) return []
  const out: { value: readonly StoredRecord[] } = { value: [] }
  expect(await clLogFileRecordsGet(file.value, 1, 100, out)).toBe(CL_OK)
  return out.value
}

describe('the names of the log service', () => {
  it('write text, bytes and tagged values, with severities and headers', async () => {
    const handle = await start()
    const { rc, stream } = await openStream(handle, { flushInterval: 5_000 })
    expect(rc).toBe(CL_OK)
    const text = CL_LOG_MSGID_PRINTF_FMT
    expect(
      clLogWriteAsync(stream, CL_LOG_ERROR, 4, text, 'rc [0x%04x] %s %u%%', 0x1a, 'x', 7),
    ).toBe(CL_OK)
    clLogWriteAsync(stream, CL_LOG_INFO, 4, CL_LOG_MSGID_BUFFER, Uint8Array.of(1, 2))
    const tagged = [CL_LOG_TAG_BASIC_SIGNED, -5, CL_LOG_TAG_STRING, 'x', CL_LOG_TAG_TERMINATE]
    clLogWriteAsync(stream, CL_LOG_INFO, 4, 77, ...tagged)
    const header = { area: 'DBA', context: 'INI' }
    clLogWriteAsyncWithHeader(stream, CL_LOG_DEBUG, 4, text, header, '%5d|%-4s|%.2f', 12, 'ab', 1)
    await expect.poll(async () => (await recordsOf(handle, 'own')).length, SOON).toBe(4)
    const records = await recordsOf(handle, 'own')
    expect(records[0]).toMatchObject({ severity: 4, serviceId: 4, text: 'rc [0x001a] x 7%' })
    expect([...(records[1]?.data ?? [])]).toEqual([1, 2])
    expect(JSON.parse(records[2]?.fields ?? '')).toEqual({
      values: [
        { tag: CL_LOG_TAG_BASIC_SIGNED, value: -5 },
        { tag: CL_LOG_TAG_STRING, value: 'x' },
      ],
    })
    expect(records[3]).toMatchObject({ ...header, text: '   12|ab  |1.00' })

    clLog(CL_LOG_CRITICAL, 'APP', 'RUN', 'gone: %s', 'disk')
    expect(clLogWrite(CL_LOG_HANDLE_APP, CL_LOG_DEBUG, 'CompA', 'below the level')).toBe(CL_OK)
    log.level = 'debug'
    clLogWrite(CL_LOG_HANDLE_APP, CL_LOG_DEBUG, 'CompA', 'rc %x', 255)
    log.level = 'info'
    await expect.poll(async () => (await recordsOf(handle, 'app')).length, SOON).toBe(2)
    expect(await recordsOf(handle, 'app')).toMatchObject([
      { severity: 3, area: 'APP', context: 'RUN', text: 'gone: disk' },
      { severity: 8, text: 'rc ff', fields: '{"service":"CompA"}' },
    ])
  })

  it('answer with the codes of the reference', async () => {
    const handle = await start()
    const version = { value: 'C.1.1' }
    expect(clLogInitialize({ value: undefined }, null, version)).toBe(error('VERSION_MISMATCH'))
    expect(version.value).toBe('B.1.1')
    expect((await openStream(handle, null, { flags: 0 })).rc).toBe(error('NOT_EXIST'))
    expect((await openStream(handle, {}, { flags: 2 })).rc).toBe(error('BAD_FLAG'))
    expect((await openStream(handle, { fileFullAction: 3 })).rc).toBe(error('INVALID_PARAMETER'))
    const { stream } = await openStream(handle, { recordSize: 400 })
    expect((await openStream(handle, { recordSize: 500 })).rc).toBe(error('ALREADY_EXIST'))
    expect(clLogWriteAsync(undefined, CL_LOG_INFO, 0, 1, 'x')).toBe(error('INVALID_HANDLE'))
    expect(clLogWriteAsync(stream, CL_LOG_INFO, 70_000, 1, 'x')).toBe(error('INVALID_PARAMETER'))
    expect(await clLogFilterSet(stream, 9, { severityFilter: 1 })).toBe(error('BAD_FLAG'))
    expect(await clLogStreamClose(stream)).toBe(CL_OK)
    expect(await clLogStreamClose(stream)).toBe(error('INVALID_HANDLE'))
    expect(await clLogFileOpen(handle, 'none', '.:log', { value: undefined })).toBe(
      error('NOT_EXIST'),
    )
    expect(await clLogFinalize(handle)).toBe(CL_OK)
    expect(await clLogFinalize(handle)).toBe(error('NOT_INITIALIZED'))
    expect([clLogSeverityStringGet(3), clLogSeverityValueGet('notice')]).toEqual(['CRITICAL', 6])
    expect(clLogSeverityValueGet('loud')).toBe(0)
  })

  it('tell of a full file, filter, hand over and list', async () => {
    const handle = await start()
    const halt = { fileFullAction: CL_LOG_FILE_FULL_ACTION_HALT, fileUnitSize: 2_048 }
    const small = await openStream(handle, { ...halt, flushInterval: 1_000 }, { name: 'small' })
    const write = (text: string): ClRcT =>
      clLogWriteAsync(small.stream, CL_LOG_INFO, 0, CL_LOG_MSGID_PRINTF_FMT, '%s', text)
    await expect.poll(() => write('x'.repeat(200)), SOON).toBe(rcOf(CL_CID.LOG, 0x101))

    const shared = { fileLocation: 'node2:log', flushInterval: 1_000 }
    const global = { name: 'shared', scope: CL_LOG_STREAM_GLOBAL }
    expect(await openStream(handle, { ...shared, haProperty: true }, global)).toMatchObject({
      rc: CL_OK,
      stream: { attributes: { haProperty: true } },
    })
    const { stream } = await openStream(handle, { ...shared, haProperty: true }, global)
    const batches: [number, number][] = []
    const handler: Parameters<typeof clLogHandlerRegister>[5] = { value: undefined }
    const deliver = (sequence: number, _: unknown, count: number): void => {
      batches.push([sequence, count])
      expect(clLogHandlerRecordAck(handler.value, sequence, count)).toBe(CL_OK)
    }
    const flags = CL_LOG_HANDLER_WILL_ACK
    expect(
      await clLogHandlerRegister(handle, deliver, 'shared', CL_LOG_STREAM_GLOBAL, flags, handler),
    ).toBe(CL_OK)
    const only = { severityFilter: 1 << (CL_LOG_ERROR - 1) }
    expect(await clLogFilterSet(stream, CL_LOG_FILTER_ASSIGN, only)).toBe(CL_OK)
    clLogWriteAsync(stream, CL_LOG_ERROR, 0, CL_LOG_MSGID_PRINTF_FMT, 'through')
    clLogWriteAsync(stream, CL_LOG_INFO, 0, CL_LOG_MSGID_PRINTF_FMT, 'not through')
    await expect.poll(() => batches, SOON).toEqual([[1, 1]])
    expect(clLogHandlerRecordAck(handler.value, 1, 1)).toBe(error('NOT_EXIST'))
    expect(clLogHandlerDeregister(handler.value)).toBe(CL_OK)
    expect(clLogHandlerDeregister(handler.value)).toBe(error('INVALID_HANDLE'))
    const list: Parameters<typeof clLogStreamListGet>[1] = { value: [] }
    expect(await clLogStreamListGet(handle, list)).toBe(CL_OK)
    expect(list.value.map(({ name, owner }) => [name, owner])).toEqual([
      ['shared', 'node2'],
      ['sysStream', 'node1'],
      ['appStream', 'node1'],
      ['small', 'node1'],
    ])
    const file: Parameters<typeof clLogFileOpen>[3] = { value: undefined }
    expect(await clLogFileOpen(handle, 'shared', 'node2:log', file)).toBe(CL_OK)
    const data: Parameters<typeof clLogFileMetaDataGet>[1] = { value: undefined }
    await clLogFileMetaDataGet(file.value, data)
    expect(data.value).toMatchObject({ node: 'node2', stream: 'shared', first: 1, next: 2 })
    expect(clLogFileClose(file)).toBe(CL_OK)
    expect(clLogFileClose(file)).toBe(error('INVALID_HANDLE'))
  })
})
