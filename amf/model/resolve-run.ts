import { dirname, join, relative, resolve } from 'node:path'
import type { ParseOptions } from './parse.ts'

export type RunLookup =
  | { readonly kind: 'found'; readonly path: string }
  | { readonly kind: 'missing'; readonly tried: readonly string[] }

/**
 * Finds the module of a `run:` key: beside the model file first (a path relative to it), else at the same place under
 * `dist/` of the nearest parent directory with a `package.json`. A `.ts` or `.mts` name means the compiled file, since
 * Node.js 20 runs no TypeScript.
 */
export function resolveRun(run: string, options: ParseOptions): RunLookup {
  const beside = compiledName(resolve(dirname(options.path), run))
  if (options.fileExists(beside)) return { kind: 'found', path: beside }
  const tried = [beside]
  const packageDir = nearestPackage(dirname(beside), options.fileExists)
  if (packageDir !== null) {
    const built = join(packageDir, 'dist', relative(packageDir, beside))
    if (options.fileExists(built)) return { kind: 'found', path: built }
    tried.push(built)
  }
  return { kind: 'missing', tried }
}

function compiledName(path: string): string {
  return path
    .replace(/\.ts$/, '.js')
    .replace(/\.mts$/, '.mjs')
    .replace(/\.cts$/, '.cjs')
}

function nearestPackage(start: string, fileExists: (path: string) => boolean): string | null {
  let directory = start
  for (;;) {
    if (fileExists(join(directory, 'package.json'))) return directory
    const parent = dirname(directory)
    if (parent === directory) return null
    directory = parent
  }
}
