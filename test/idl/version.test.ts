import { describe, expect, test } from 'vitest'
import {
  defineInterface,
  servesVersion,
  versionDistance,
  versionNumber,
  versionText,
} from '../../idl/index.ts'

const serves = (version: string, since: string, requested: string): boolean =>
  servesVersion(versionNumber(version), versionNumber(since), versionNumber(requested))

describe('versions', () => {
  // Examples of SAFplus, section 2.3, with B.1.1 supported, and those of `since`.
  test.each([
    ['B.1.1', '', 'A.1.1', false],
    ['B.1.1', '', 'C.1.1', false],
    ['B.1.1', '', 'B.0.1', true],
    ['B.1.1', '', 'B.123.1', false],
    ['B.1.1', '', 'B.1.0', true],
    ['B.1.1', '', 'B.1.200', true],
    ['B.3.1', 'B.2.1', 'B.1.9', false],
    ['B.3.1', 'B.2.1', 'B.2.0', true],
    ['B.3.1', 'B.2.1', 'B.3.7', true],
    ['B.3.1', 'B.2.1', 'B.4.0', false],
    ['B.3.1', 'B.2.1', '', true],
  ])('%s (since "%s") asked for "%s": %s', (version, since, requested, expected) => {
    expect(serves(version, since, requested)).toBe(expected)
  })

  test.each([
    [['B.1.1', 'B.2.1'], 'B.1.1', 'B.1.1'],
    [['B.2.1', 'B.1.1', 'B.1.3'], 'B.1.2', 'B.1.3'],
    [['B.4.1', 'B.3.1', 'B.3.0'], 'B.2.9', 'B.3.1'],
    [['B.1.1', 'C.0.0', 'B.9.9'], '', 'C.0.0'],
  ])('of %j the caller of "%s" gets %s', (versions, requested, expected) => {
    const asked = versionNumber(requested)
    const distance = (version: string): number => versionDistance(versionNumber(version), asked)
    expect(versions.toSorted((a, b) => distance(a) - distance(b))[0]).toBe(expected)
  })

  test('a number and its text are inverses', () => {
    for (const text of ['A.0.0', 'B.1.1', 'Z.999.999']) {
      expect(versionText(versionNumber(text))).toBe(text)
    }
    expect([versionText(0), versionNumber('1.2.3')]).toEqual(['any', 0])
  })

  test.each(['C.1.1', 'B.2.2', 'now'])('an interface B.2.1 refuses a method since %s', (since) => {
    const none = {} as never
    expect(() =>
      defineInterface({
        name: 'Bad',
        clientId: 20,
        version: 'B.2.1',
        methods: { it: { serviceId: 0, input: none, output: none, since } },
      }),
    ).toThrow(/Bad\.it\.since: must be a version of release B up to B\.2\.1/)
  })
})
