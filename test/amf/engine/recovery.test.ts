import { expect, test } from 'vitest'
import { count } from '../../../amf/engine/recovery.ts'

/** Two actions in 1000 ms. */
const limit = { max: 2, windowMs: 1_000 }

test.each<[string, { count: number; sinceMs: number }, number, unknown]>([
  ['the first one opens the window', { count: 0, sinceMs: 0 }, 5_000, { count: 1, sinceMs: 5_000 }],
  ['one more within it', { count: 1, sinceMs: 5_000 }, 5_999, { count: 2, sinceMs: 5_000 }],
  ['one too many at its last moment', { count: 2, sinceMs: 5_000 }, 5_999, null],
  [
    'at its end another one opens',
    { count: 2, sinceMs: 5_000 },
    6_000,
    { count: 1, sinceMs: 6_000 },
  ],
])('actions of a recovery are counted: %s', (_, window, nowMs, after) => {
  expect(count(window, limit, nowMs)).toEqual(after)
})
