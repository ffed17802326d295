/** One thing wrong in a model text: where, and what with its remedy. */
export interface Problem {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** Finds the line (from 1) of a path in the text, or null. */
export type LineOf = (path: readonly PropertyKey[]) => number | null

/** `line 7: serviceGroups.sg.redundancy: what; remedy`. */
export function describeProblem(problem: Problem, lineOf: LineOf): string {
  const line = lineOf(problem.path)
  const place = problem.path.length === 0 ? 'the document' : pathText(problem.path)
  return `${line === null ? '' : `line ${String(line)}: `}${place}: ${problem.message}`
}

export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) =>
      typeof step === 'number' ? `[${String(step)}]` : `${index === 0 ? '' : '.'}${String(step)}`,
    )
    .join('')
}
