import { describe, expect, test } from 'vitest'
import {
  CL_CID,
  CL_ERR,
  CL_OK,
  decodeWireError,
  encodeValue,
  encodeWireError,
  ERRORS,
  fromWireError,
  isSdkError,
  rcComponent,
  rcError,
  rcOf,
  rcText,
  SdkError,
  toWireError,
} from '../../idl/index.ts'

describe('return codes', () => {
  test.each<[number, number, number, string]>([
    [CL_CID.IOC, 0x108, 0x0005_0108, 'IOC/COMP_UNREACHABLE (0x50108)'],
    [CL_CID.RMD, CL_ERR.TIMEOUT, 0x0006_0014, 'RMD/TIMEOUT (0x60014)'],
    [CL_CID.EO, 0x101, 0x0004_0101, 'EO/EO_SUSPENDED (0x40101)'],
    [0xffff, 0xfffe, 0xffff_fffe, '0xffff/0xfffe (0xfffffffe)'],
    [CL_CID.CKPT, 0, CL_OK, 'OK'],
  ])('%i, %i', (cid, error, rc, text) => {
    expect(rcOf(cid, error)).toBe(rc)
    expect(rcText(rc)).toBe(text)
    if (rc !== CL_OK) {
      expect(rcComponent(rc)).toBe(cid)
      expect(rcError(rc)).toBe(error)
    }
  })

  test('component ids and errors are given once', () => {
    for (const table of [CL_CID, CL_ERR]) {
      const values = Object.values(table)
      expect(new Set(values).size).toBe(values.length)
    }
  })

  test('no two codes of the SDK share a return code, and every row says what to do', () => {
    const rcs = Object.keys(ERRORS).map((code) => new SdkError(code, '').rc)
    expect(new Set(rcs).size).toBe(rcs.length)
    for (const row of Object.values(ERRORS)) {
      expect(row.meaning).not.toBe('')
      expect(row.remedy).not.toBe('')
      // What may have run is not safely repeated.
      expect(row.kind === 'mayHaveRun' && row.retryable).toBe(false)
    }
  })
})

describe('SdkError', () => {
  test.each<[string, boolean, boolean]>([
    ['TRY_AGAIN', true, false],
    ['TIMEOUT', false, true],
    ['COMP_UNREACHABLE', true, false],
    ['HANDLER_FAILED', false, false],
    ['SOLD_OUT', false, false],
  ])('%s', (code, retryable, mayHaveRun) => {
    const error = new SdkError(code, 'text')
    expect([error.retryable, error.mayHaveRun]).toEqual([retryable, mayHaveRun])
  })

  test('a code that may be retried is not when the call may have run', () => {
    const error = new SdkError('COMP_UNREACHABLE', 'text', { mayHaveRun: true })
    expect(error.retryable).toBe(false)
  })

  test('is recognised by its brand and code', () => {
    const cause = new Error('first')
    const error: unknown = new SdkError('NO_OP', 'text', { cause })
    expect(isSdkError(error)).toBe(true)
    expect(isSdkError(error, 'NO_OP')).toBe(true)
    expect(isSdkError(error, 'TIMEOUT')).toBe(false)
    expect((error as Error).cause).toBe(cause)
    for (const other of [new Error('x'), null, undefined, 'NO_OP', { code: 'NO_OP' }]) {
      expect(isSdkError(other)).toBe(false)
    }
  })
})

describe('an error crosses to another process', () => {
  const crossed = (error: unknown, origin?: string): SdkError =>
    fromWireError(decodeWireError(Uint8Array.from(encodeWireError(toWireError(error, origin)))))

  test('with its code, message and context', () => {
    const error = crossed(new SdkError('NO_OP', 'twice', { context: { a: [1] } }), 'c1 on node1')
    expect(error.code).toBe('NO_OP')
    expect(error.message).toBe('twice')
    expect(error.context).toEqual({ a: [1], origin: 'c1 on node1' })
  })

  test('with what its sender knew about having run', () => {
    const sent = new SdkError('COMP_UNREACHABLE', 'gone', { mayHaveRun: true })
    expect(crossed(sent).mayHaveRun).toBe(true)
  })

  test('with a code that is not known here', () => {
    const error = crossed(new SdkError('FROM_THE_FUTURE', 'text'))
    expect(error.code).toBe('FROM_THE_FUTURE')
    expect(rcError(error.rc)).toBe(CL_ERR.UNSPECIFIED)
  })

  test('with its first origin when it is handed on', () => {
    const twice = crossed(crossed(new SdkError('NO_OP', ''), 'first'), 'second')
    expect(twice.context['origin']).toBe('first')
  })

  test.each<[string, unknown, string]>([
    ['a bug', new TypeError('x is not a function'), 'TypeError: x is not a function'],
    ['text', 'plain text', 'plain text'],
    ['nothing', undefined, 'undefined'],
    ['an object without text', Object.create(null), 'object'],
  ])('as HANDLER_FAILED without stack: %s', (_name, thrown, message) => {
    const error = crossed(thrown)
    expect(error.code).toBe('HANDLER_FAILED')
    expect(error.message).toBe(message)
    expect(JSON.stringify(toWireError(thrown))).not.toContain('errors.test')
  })

  test('also when its message and context cannot travel as they are', () => {
    const loop: Record<string, unknown> = {}
    loop['self'] = loop
    const error = crossed(
      new SdkError('NO_OP', `half \ud800 ${'x'.repeat(9_000)}`, {
        context: { loop, f: () => 1, big: 'y'.repeat(4_000), n: 5, gone: undefined },
      }),
    )
    expect(error.message.length).toBeLessThan(4_200)
    expect(error.context['n']).toBe(5)
    expect(error.context['loop']).toBe('[object Object]')
    const huge = crossed(new SdkError('NO_OP', '', { context: { huge: 'y'.repeat(20_000) } }))
    expect(huge.context).toEqual({ contextLeftOutBytes: expect.any(Number) as number })
  })

  test.each<[string, unknown]>([
    ['a number', 5],
    ['a short list', ['A']],
    ['no context', ['A', 'b', null, '', false]],
  ])('bytes that are no error: %s', (_name, value) => {
    expect(() => decodeWireError(encodeValue(value))).toThrow('not the bytes of an error')
  })

  test('what a newer peer adds is ignored', () => {
    const bytes = encodeValue(['NO_OP', 'm', {}, '', false, 'new'])
    expect(decodeWireError(bytes).code).toBe('NO_OP')
  })
})
