import { describe, expect, it } from 'vitest'
import { SdkError } from '../../idl/index.ts'
import { untilDone } from '../../amf/operator/retry.ts'

const what = 'lock of x'

/** Fails with these codes in turn, then answers. */
function answering(...codes: readonly string[]) {
  const left = [...codes]
  const remaining: number[] = []
  return {
    remaining,
    attempt: async (remainingMs: number): Promise<string> => {
      remaining.push(remainingMs)
      const code = left.shift()
      if (code !== undefined) throw new SdkError(code, `says ${code}`)
      return 'done'
    },
  }
}

describe('untilDone', () => {
  it('asks again while the condition may pass, with less time left each time', async () => {
    const { attempt, remaining } = answering('TRY_AGAIN', 'COMP_UNREACHABLE', 'NOT_ACTIVE')
    expect(await untilDone(attempt, { timeoutMs: 5_000, what })).toBe('done')
    expect(remaining).toHaveLength(4)
    expect(remaining.toSorted((a, b) => b - a)).toEqual(remaining)
  })

  it.each(['BAD_OPERATION', 'NO_OP', 'NOT_EXIST', 'HANDLER_FAILED'])(
    'hands on %s at once',
    async (code) => {
      const { attempt, remaining } = answering(code)
      await expect(untilDone(attempt, { timeoutMs: 5_000, what })).rejects.toMatchObject({ code })
      expect(remaining).toHaveLength(1)
    },
  )

  it('hands on what the caller calls final', async () => {
    const { attempt } = answering('NAME_NOT_FOUND')
    const options = { timeoutMs: 5_000, what, final: ['NAME_NOT_FOUND'] }
    await expect(untilDone(attempt, options)).rejects.toMatchObject({ code: 'NAME_NOT_FOUND' })
  })

  it('ends with the last reason when the time is over', async () => {
    const attempt = (): Promise<never> => Promise.reject(new SdkError('TRY_AGAIN', 'busy'))
    await expect(untilDone(attempt, { timeoutMs: 60, what })).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: 'lock of x: not done within 0.06 s; the last answer was TRY_AGAIN: busy',
    })
  })

  it('ends when the user gives up, also in a pause', async () => {
    const stop = new AbortController()
    const attempt = (): Promise<never> => {
      setTimeout(() => stop.abort(), 5)
      return Promise.reject(new SdkError('TRY_AGAIN', 'busy'))
    }
    const options = { timeoutMs: 60_000, what, signal: stop.signal }
    await expect(untilDone(attempt, options)).rejects.toMatchObject({ code: 'INTERRUPT' })
  })
})
