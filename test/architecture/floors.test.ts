import { describe, expect, test } from 'vitest'
import { FLOORS, sourcesOf, type SourceFile } from './sources.ts'

/** Doors of a folder, and of a room inside it. `light.ts` is for threads that must import next to nothing. */
const DOORS = ['index.ts', 'internal.ts', 'light.ts']

describe.each(FLOORS.map((folder, floor) => ({ folder, floor })))(
  '$folder',
  ({ folder, floor }) => {
    const sources = sourcesOf(folder)

    test('imports point down only, and through doors', () => {
      const wrong: string[] = []
      for (const source of sources) {
        for (const { target, line } of source.imports) {
          if (target === undefined) continue
          const [other = '', ...rest] = target.split('/')
          if (other === folder) continue
          const otherFloor = FLOORS.indexOf(other as (typeof FLOORS)[number])
          const place = `${source.path}:${line} imports ${target}`
          if (folder === 'samples') wrong.push(`${place}: samples import 'holdfast/...' only`)
          else if (otherFloor < 0) wrong.push(`${place}: which is on no floor`)
          else if (otherFloor >= floor) wrong.push(`${place}: which is above`)
          else if (!DOORS.includes(rest.at(-1) ?? '')) wrong.push(`${place}: which is no door`)
        }
      }
      expect(wrong).toEqual([])
    })

    test('nothing inside goes through its own doors', () => {
      const doors = DOORS.map((door) => `${folder}/${door}`)
      const wrong = sources
        .filter(({ path }) => !doors.includes(path))
        .flatMap((source) =>
          source.imports
            .filter(({ target }) => target !== undefined && doors.includes(target))
            .map(({ target, line }) => `${source.path}:${line} imports ${target}`),
        )
      expect(wrong).toEqual([])
    })

    test('only samples import the package by its name', () => {
      const wrong =
        folder === 'samples'
          ? []
          : sources.flatMap((source) =>
              source.imports
                .filter(({ specifier }) => /^holdfast(\/|$)/.test(specifier))
                .map(({ line }) => `${source.path}:${line}`),
            )
      expect(wrong).toEqual([])
    })

    test('doors have explicit lists', () => {
      const wrong = sources
        .filter(({ path }) => DOORS.some((door) => path.endsWith(`/${door}`)))
        .filter(({ text }) => /^export \*/m.test(text))
        .map(({ path }) => path)
      expect(wrong).toEqual([])
    })
  },
)

test('third-party parts stay on their floor', () => {
  // Design, section 2. What is used on every floor is not listed.
  const allowed: Readonly<Record<string, readonly string[]>> = {
    msgpackr: ['idl'],
    lmdb: ['ioc', 'runtime'],
    piscina: ['runtime'],
    pino: ['runtime', 'amf'],
    commander: ['amf'],
    yaml: ['amf'],
  }
  const wrong = FLOORS.flatMap((folder) =>
    sourcesOf(folder).flatMap((source) =>
      source.imports
        .filter(({ typeOnly }) => !typeOnly)
        .filter(({ specifier }) => !(allowed[specifier] ?? [folder]).includes(folder))
        .map(({ specifier, line }) => `${source.path}:${line} imports ${specifier}`),
    ),
  )
  expect(wrong).toEqual([])
})

// Types go away when the program is built: a cycle of them alone orders nothing.
test('there are no import cycles', () => {
  const all = new Map(FLOORS.flatMap((folder) => sourcesOf(folder)).map((it) => [it.path, it]))
  expect(cycles(all)).toEqual([])
})

function cycles(all: ReadonlyMap<string, SourceFile>): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const open: string[] = []
  const visit = (path: string): void => {
    const at = open.indexOf(path)
    if (at >= 0) found.push([...open.slice(at), path].join(' -> '))
    if (at >= 0 || done.has(path)) return
    open.push(path)
    for (const { target, typeOnly } of all.get(path)?.imports ?? []) {
      if (!typeOnly && target !== undefined && all.has(target)) visit(target)
    }
    open.pop()
    done.add(path)
  }
  for (const path of all.keys()) visit(path)
  return found
}
