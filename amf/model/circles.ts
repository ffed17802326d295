import type { Problem } from './problem.ts'

/** One problem for each circle, at its first member. */
export function reportCycles(
  edges: ReadonlyMap<string, readonly string[]>,
  pathOf: (name: string) => readonly string[],
  problems: Problem[],
): void {
  const done = new Set<string>()
  const visit = (name: string, trail: readonly string[]): void => {
    const start = trail.indexOf(name)
    if (start >= 0) {
      const circle = [...trail.slice(start), name].join(' -> ')
      problems.push({
        path: pathOf(name),
        message: `depends on itself: ${circle}; break the circle`,
      })
      return
    }
    if (done.has(name)) return
    for (const sponsor of edges.get(name) ?? []) visit(sponsor, [...trail, name])
    done.add(name)
  }
  for (const name of edges.keys()) visit(name, [])
}
