/** Where something stands in a source file. `line` counts from 1. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** One thing that an import has to say. */
export interface Finding extends Place {
  /** `error`: the sources contradict themselves, nothing is written. `note`: has no counterpart, or was changed. */
  readonly level: 'error' | 'note'
  /** Class and name of the object, as the source spells it; null when it is about the file. */
  readonly object: string | null
  readonly attribute: string | null
  /** What, and what was done with it or what to do. */
  readonly message: string
}

/** Everything found in one import, each thing once. At most `FINDINGS_MAX`; what is above is counted. */
export class Findings {
  readonly #list: Finding[] = []
  readonly #seen = new Set<string>()
  #dropped = 0

  add(finding: Finding): void {
    const { level, file, line, object, attribute, message } = finding
    const key = JSON.stringify([level, file, line, object, attribute, message])
    if (this.#seen.has(key)) return
    if (this.#list.length >= FINDINGS_MAX) {
      this.#dropped += 1
      return
    }
    this.#seen.add(key)
    this.#list.push(finding)
  }

  /** Something wrong with a file as a whole, or at a line of it. */
  fileError(place: Place, message: string): void {
    this.add({ ...place, level: 'error', object: null, attribute: null, message })
  }

  /** By file and line, files in the order of their first finding. */
  of(level: Finding['level']): readonly Finding[] {
    return this.#list
      .filter((finding) => finding.level === level)
      .map((finding, index) => ({ finding, index }))
      .sort((a, b) =>
        a.finding.file === b.finding.file
          ? a.finding.line - b.finding.line || a.index - b.index
          : this.#fileAt(a.finding.file) - this.#fileAt(b.finding.file),
      )
      .map(({ finding }) => finding)
  }

  #fileAt(file: string): number {
    return this.#list.findIndex((finding) => finding.file === file)
  }

  /** How many findings were not kept. */
  get dropped(): number {
    return this.#dropped
  }
}

const FINDINGS_MAX = 20_000
