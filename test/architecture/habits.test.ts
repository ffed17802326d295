import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { FLOORS, lineOf, sourcesOf, type SourceFile, walk } from './sources.ts'

const LINES_MAX = 500
const FUNCTION_LINES_MAX = 70
const COLUMNS_MAX = 100
const COMMENT_COLUMNS_MAX = 120

/** Written so that this file does not find itself. */
const MARKERS = new RegExp(
  [
    'TO' + 'DO',
    'FIX' + 'ME',
    'XX' + 'X',
    'HA' + 'CK',
    '@ts-' + '(ignore|expect-error|nocheck)',
    '(es|ox)' + 'lint-disable',
    'not ' + 'implemented yet',
    '\\b(test|it|describe)\\.' + '(only|skip|todo)\\b',
  ].join('|'),
)

describe.each([...FLOORS, 'test'])('%s', (folder) => {
  const sources = sourcesOf(folder)

  test(`files above ${LINES_MAX} lines say why at their top`, () => {
    const wrong = sources
      .filter(({ lines }) => lines.length > LINES_MAX + 1)
      .filter(({ lines }) => !lines.slice(0, 40).some((line) => /Longer than usual:/.test(line)))
      .map(({ path, lines }) => `${path} has ${lines.length} lines ("Longer than usual: why")`)
    expect(wrong).toEqual([])
  })

  test(`lines have at most ${COLUMNS_MAX} columns, comments ${COMMENT_COLUMNS_MAX}`, () => {
    const wrong = sources.flatMap((source) => {
      const text = linesWithText(source)
      return source.lines.flatMap((line, i) =>
        line.length > (isComment(line) ? COMMENT_COLUMNS_MAX : COLUMNS_MAX) && !text.has(i)
          ? [`${source.path}:${i + 1} has ${line.length} columns`]
          : [],
      )
    })
    expect(wrong).toEqual([])
  })

  test('there are no debt markers and no silenced checks', () => {
    const wrong = sources.flatMap(({ path, lines }) =>
      lines.flatMap((line, i) => (MARKERS.test(line) ? [`${path}:${i + 1} ${line.trim()}`] : [])),
    )
    expect(wrong).toEqual([])
  })
})

describe.each(FLOORS.map((folder) => ({ folder })))('$folder', ({ folder }) => {
  const sources = sourcesOf(folder)

  test(`functions have at most ${FUNCTION_LINES_MAX} lines`, () => {
    expect(sources.flatMap((source) => longFunctions(source))).toEqual([])
  })

  test('names and words: no enum, no namespace, no default export', () => {
    const wrong = sources.flatMap((source) => {
      const found: string[] = []
      walk(source.tree, (node) => {
        const place = (): string => `${source.path}:${lineOf(source, node)}`
        if (ts.isEnumDeclaration(node)) found.push(`${place()} enum`)
        if (ts.isModuleDeclaration(node)) found.push(`${place()} namespace`)
        if (ts.isExportAssignment(node)) found.push(`${place()} default export`)
      })
      return found
    })
    expect(wrong).toEqual([])
  })

  test('files have names of small letters and hyphens', () => {
    const wrong = sources
      .map(({ path }) => path)
      .filter((path) => !/^([a-z0-9-]+\/)+[a-z0-9-]+(\.[a-z]+)?\.ts$/.test(path))
    expect(wrong).toEqual([])
  })
})

function isComment(line: string): boolean {
  return /^\s*(\/\*\*?|\*|\/\/)/.test(line)
}

/** Lines (from 0) with text in them: text is not broken at a column, and the formatter sees to the rest. */
function linesWithText({ tree }: SourceFile): ReadonlySet<number> {
  const lines = new Set<number>()
  walk(tree, (node) => {
    if (!ts.isStringLiteralLike(node) && !ts.isTemplateExpression(node)) return
    if (ts.isStringLiteralLike(node) && ts.isImportDeclaration(node.parent)) return
    const { line: first } = tree.getLineAndCharacterOfPosition(node.getStart(tree))
    const { line: last } = tree.getLineAndCharacterOfPosition(node.getEnd())
    for (let line = first; line <= last; line += 1) lines.add(line)
  })
  return lines
}

function longFunctions(source: SourceFile): string[] {
  const found: string[] = []
  walk(source.tree, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return
    const { line: first } = source.tree.getLineAndCharacterOfPosition(node.getStart(source.tree))
    const { line: last } = source.tree.getLineAndCharacterOfPosition(node.getEnd())
    const length = last - first + 1
    if (length > FUNCTION_LINES_MAX) found.push(`${source.path}:${first + 1} has ${length} lines`)
  })
  return found
}
