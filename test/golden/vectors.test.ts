import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

/**
 * Every vector of the AMF reference is named by a scenario file, or by the test that holds it. A scenario that says
 * `NM-1 to NM-6` names all six.
 */
const SERIES: Readonly<Record<string, number>> = {
  '2N-': 25,
  'NM-': 31,
  'NW-': 19,
  'NA-': 13,
  'NR-': 5,
  'SD-': 11,
  'ND-': 6,
  E: 22,
  C: 6,
  R: 13,
}

/** Of components that are not pre-instantiable, and of external ones. */
const COMING = ['2N-21', 'E17', 'R11']

const directory = new URL('.', import.meta.url)
const readiness = new URL('../amf/engine/readiness.test.ts', import.meta.url)
const texts = [
  ...readdirSync(directory)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => titlesOf(readFileSync(new URL(name, directory), 'utf8'))),
  [...readFileSync(readiness, 'utf8').matchAll(/'(R\d+)\b/g)].map(([, id]) => id).join('\n'),
]

/** Only titles: a vector that a comment names has no scenario yet. */
function titlesOf(text: string): string {
  return [...text.matchAll(/^# (.*)$/gm)].map(([, title]) => title).join('\n')
}

function isNamed(series: string, number: number): boolean {
  const id = new RegExp(`(?<![\\w-])${series}${String(number)}(?![\\d])`)
  const range = new RegExp(`(?<![\\w-])${series}(\\d+) to ${series}(\\d+)`, 'g')
  return texts.some(
    (text) =>
      id.test(text) ||
      [...text.matchAll(range)].some(([, from, to]) => {
        return Number(from) <= number && number <= Number(to)
      }),
  )
}

it.each(Object.entries(SERIES))('every vector %s1 and on has a scenario', (series, last) => {
  const numbers = Array.from({ length: last }, (_, index) => index + 1)
  const missing = numbers.filter((number) => !isNamed(series, number))
  const names = missing.map((number) => `${series}${String(number)}`)
  expect(names.filter((name) => !COMING.includes(name))).toEqual([])
})

it('a vector that nothing names is found', () => {
  expect(isNamed('2N-', 26)).toBe(false)
})
