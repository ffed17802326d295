import { describe, expect, test } from 'vitest'
import { ERRORS } from '../../idl/index.ts'
import { exists, FLOORS, pathsOf, textOf } from './sources.ts'

describe.each([...FLOORS, 'test'])('%s/README.md', (folder) => {
  const text = textOf(`${folder}/README.md`)

  test('is there', () => {
    expect(text, `${folder}/README.md`).toBeDefined()
  })

  test('lists only what there is', () => {
    const wrong = listed(text ?? '').filter((name) => !exists(`${folder}/${name}`))
    expect(wrong).toEqual([])
  })

  test('leaves out no file', () => {
    const names = listed(text ?? '')
    const covered = (path: string): boolean =>
      names.some((name) => path === name || (name.endsWith('/') && path.startsWith(name)))
    const wrong = pathsOf(folder)
      .map((path) => path.slice(folder.length + 1))
      .filter((path) => !covered(path))
    expect(wrong).toEqual([])
  })
})

test('the error table of idl/README.md has every code', () => {
  const text = textOf('idl/README.md') ?? ''
  const rows = [...text.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, code = '']) => code)
  expect([...rows].sort()).toEqual(Object.keys(ERRORS).sort())
})

/** Files and folders (`name/`) in the first cells of the tables of a README. */
function listed(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .flatMap((line) => {
      const cell = line.split('|')[1] ?? ''
      return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '')
    })
    .filter((name) => /^[\w./-]+(\.ts|\.json|\.yaml|\/)$/.test(name))
}
