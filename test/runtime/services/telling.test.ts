import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SdkError } from '../../../idl/index.ts'
import { Telling } from '../../../runtime/services/telling.ts'

const silent = pino({ enabled: false })
let answers: ('yes' | 'TRY_AGAIN' | 'TIMEOUT' | 'NOT_EXIST')[]
let asked: string[]
let telling: Telling<{ readonly kind: string }>

beforeEach(() => {
  vi.useFakeTimers()
  answers = []
  asked = []
  telling = new Telling(({ kind }) => {
    asked.push(kind)
    const answer = answers.shift() ?? 'yes'
    return answer === 'yes' ? Promise.resolve() : Promise.reject(new SdkError(answer, 'no'))
  }, silent)
})
afterEach(() => void vi.useRealTimers())

const tell = (...kinds: string[]): void => {
  for (const kind of kinds) telling.tell({ kind })
}

describe('what all nodes have to hear', () => {
  test('goes one after the other; what is refused for good is left out', async () => {
    answers = ['yes', 'NOT_EXIST']
    tell('a', 'b', 'c')
    expect(asked).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(0)
    expect(asked).toEqual(['a', 'b', 'c'])
  })

  test('goes once when it timed out: the order has it, or will take it', async () => {
    answers = ['TIMEOUT']
    tell('a', 'b')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(asked).toEqual(['a', 'b'])
  })

  test('goes again when the order does not take it, in order', async () => {
    answers = ['TRY_AGAIN', 'TRY_AGAIN']
    tell('a', 'b')
    await vi.advanceTimersByTimeAsync(499)
    expect(asked).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(1)
    expect(asked).toEqual(['a', 'a'])
    telling.again()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(asked).toEqual(['a', 'a', 'a', 'b'])
  })

  test('ends with the node, whatever is under way', async () => {
    answers = ['TRY_AGAIN', 'TRY_AGAIN']
    tell('a')
    await vi.advanceTimersByTimeAsync(499)
    telling.again()
    telling.close()
    tell('b')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(asked).toEqual(['a', 'a'])
    expect(vi.getTimerCount()).toBe(0)
  })
})
