import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml'
import type { z } from 'zod'
import { SdkError } from '../../idl/index.ts'
import { buildModel } from './build.ts'
import type { Model } from './model.ts'
import { describeProblem, type LineOf, type Problem } from './problem.ts'
import { clusterSchema } from './schema.ts'
import { knownKeysAt } from './known-keys.ts'
import { suggestion } from './suggest.ts'
import { validate } from './validate.ts'

/** What `parseModel` needs to know about its surroundings. It does no input or output of its own. */
export interface ParseOptions {
  /** Absolute path of the model file: `run:` and `workingDir:` are relative to it. */
  readonly path: string
  /** Absolute path of the `holdfast` program's main module: what `run:` components are started by. */
  readonly cliPath: string
  /** Absolute path of the Node.js program. */
  readonly nodePath: string
  readonly fileExists: (path: string) => boolean
}

/**
 * Reads the text of a `cluster.yaml` into a complete, frozen model.
 *
 * `run: ./component.js` is looked up beside the model file first, then at the same path under `dist/` of the nearest
 * parent directory that has a `package.json`. `run: ./component.ts` stands for the compiled `component.js` there.
 * @throws SdkError INVALID_PARAMETER listing every problem found, one a line: `line N: path.to.key: what; remedy`.
 */
export function parseModel(text: string, options: ParseOptions): Model {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const lineOf = lineFinder(document, lines)
  if (document.errors.length > 0) {
    refuse(
      options.path,
      document.errors.map((error) => yamlProblem(error, lines)),
    )
  }
  const parsed = clusterSchema.safeParse(document.toJS())
  if (!parsed.success) {
    refuse(
      options.path,
      shapeProblems(parsed.error).map((p) => describeProblem(p, lineOf)),
    )
  }
  const { problems, warnings } = validate(parsed.data)
  const built = buildModel(parsed.data, options)
  const all = [...problems, ...built.problems]
  if (all.length > 0)
    refuse(
      options.path,
      all.map((p) => describeProblem(p, lineOf)),
    )
  return deepFreeze({
    ...built.model,
    warnings: warnings.map((problem) => describeProblem(problem, lineOf)),
  })
}

/** What is wrong with a `cluster.yaml` as plain data, programs and modules on this machine aside. */
export function findProblems(text: unknown): readonly Problem[] {
  const parsed = clusterSchema.safeParse(text)
  return parsed.success ? validate(parsed.data).problems : shapeProblems(parsed.error)
}

function refuse(path: string, problems: readonly string[]): never {
  const count = problems.length === 1 ? '1 problem' : `${String(problems.length)} problems`
  throw new SdkError('INVALID_PARAMETER', `${path}: ${count}\n  ${problems.join('\n  ')}`, {
    context: { path, problems },
  })
}

function yamlProblem(
  error: { message: string; pos: [number, number] },
  lines: LineCounter,
): string {
  const line = lines.linePos(error.pos[0]).line
  const message = (error.message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '')
  return `line ${String(line)}: ${message}; correct the YAML`
}

/** zod's issues, one problem each, unknown keys one by one. */
function shapeProblems(error: z.ZodError): Problem[] {
  const problems: Problem[] = []
  for (const issue of error.issues) {
    if (issue.code !== 'unrecognized_keys') {
      problems.push({ path: issue.path, message: shapeMessage(issue) })
      continue
    }
    const known = knownKeysAt(clusterSchema, issue.path)
    for (const key of issue.keys) {
      problems.push({
        path: [...issue.path, key],
        message: `unknown key${suggestion(key, known)}; known here: ${known.join(', ')}`,
      })
    }
  }
  return problems
}

function shapeMessage(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') {
    return `must be one of ${issue.values.map((value) => String(value)).join(', ')}`
  }
  if (issue.code === 'invalid_key') {
    return `bad name: ${issue.issues.map((inner) => inner.message).join(', ')}`
  }
  if (
    issue.code === 'invalid_type' &&
    issue.input === undefined &&
    / undefined$/.test(issue.message)
  ) {
    return `missing; give ${issue.expected === 'record' ? 'a map of names' : `a ${issue.expected}`}`
  }
  return issue.message.replace(/^Invalid input: /, '')
}

/** Walks the parsed YAML along a path; the line of the deepest key that exists. */
function lineFinder(document: Document, lines: LineCounter): LineOf {
  return (path) => {
    let node: unknown = document.contents
    let offset: number | null = null
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find(
          (item) => isScalar(item.key) && String(item.key.value) === String(step),
        )
        if (pair === undefined) break
        if (isScalar(pair.key) && pair.key.range) offset = pair.key.range[0]
        node = pair.value
      } else if (isSeq(node) && typeof step === 'number') {
        node = node.items[step]
        if (isScalar(node) && node.range) offset = node.range[0]
      } else break
    }
    return offset === null ? null : lines.linePos(offset).line
  }
}

/** Freezes objects, arrays and the values of maps. (A Map itself cannot be frozen; its type is readonly.) */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  const inner: Iterable<unknown> = value instanceof Map ? value.values() : Object.values(value)
  for (const item of inner) deepFreeze(item)
  return value
}
