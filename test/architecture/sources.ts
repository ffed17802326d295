import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** Floors, lowest first: imports point to an earlier one only. */
export const FLOORS = ['idl', 'ioc', 'runtime', 'amf', 'samples'] as const

/** One import, export-from or dynamic import of a file. */
export interface ImportLine {
  /** As written. */
  readonly specifier: string
  /** Repository path of the target; undefined for packages. */
  readonly target: string | undefined
  readonly typeOnly: boolean
  readonly line: number
}

/** One TypeScript file of the repository. */
export interface SourceFile {
  /** Repository path with `/`. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
  readonly tree: ts.SourceFile
  readonly imports: readonly ImportLine[]
}

/** Repository paths of every TypeScript file under a top folder. */
export function pathsOf(folder: string): readonly string[] {
  if (!existsSync(join(ROOT, folder))) return []
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => posix.join(folder, name.split(sep).join('/')))
    .sort((a, b) => a.localeCompare(b))
}

const parsed = new Map<string, readonly SourceFile[]>()

/** Every TypeScript file under a top folder, parsed once. */
export function sourcesOf(folder: string): readonly SourceFile[] {
  const known = parsed.get(folder) ?? pathsOf(folder).map(read)
  parsed.set(folder, known)
  return known
}

/** Text of a repository file; undefined where there is none. */
export function textOf(path: string): string | undefined {
  const file = join(ROOT, path)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** True when the repository has this file or folder. */
export function exists(path: string): boolean {
  return existsSync(join(ROOT, path))
}

/** Calls back for a node and everything inside it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}

/** Line of a node, from 1. */
export function lineOf({ tree }: SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1
}

function read(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true)
  const imports: ImportLine[] = []
  const add = (literal: ts.Node, typeOnly: boolean): void => {
    if (!ts.isStringLiteral(literal)) return
    const specifier = literal.text
    const target = specifier.startsWith('.')
      ? relative(ROOT, join(ROOT, dirname(path), specifier))
          .split(sep)
          .join('/')
      : undefined
    const { line } = tree.getLineAndCharacterOfPosition(literal.getStart(tree))
    imports.push({ specifier, target, typeOnly, line: line + 1 })
  }
  walk(tree, (node) => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      add(node.moduleSpecifier, node.isTypeOnly)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments
      if (argument !== undefined) add(argument, false)
    }
  })
  return { path, text, lines: text.split('\n'), tree, imports }
}
