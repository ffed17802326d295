import type { CheckpointSnapshot } from './interface.ts'

type Sections = CheckpointSnapshot['sections']

/** Bytes of sections in one message, about; a larger section goes alone. */
export const PART_SIZE_BYTES = 1_024 * 1_024

/** Cuts sections into runs that fit into a message each. */
export function* partsOf(
  sections: Sections,
  sizeBytesMax: number = PART_SIZE_BYTES,
): Generator<Sections> {
  let part: Sections = []
  let sizeBytes = 0
  for (const section of sections) {
    const [name, value] = section
    part.push(section)
    sizeBytes += name.length + value.byteLength + 16
    if (sizeBytes < sizeBytesMax) continue
    yield part
    part = []
    sizeBytes = 0
  }
  if (part.length > 0) yield part
}

/** Parts of a content on their way in, until the last of them makes it whole. */
export class ContentParts {
  #epoch = 0
  #parts: Sections[] = []

  /** Part 0 begins anew. @returns false when the one before it is missing. */
  add(epoch: number, part: number, sections: Sections): boolean {
    if (part === 0) {
      this.#epoch = epoch
      this.#parts = []
    }
    if (epoch !== this.#epoch || part !== this.#parts.length) return false
    this.#parts.push(sections)
    return true
  }

  /** The whole content; what came is forgotten. @returns null when parts of it are missing. */
  join(epoch: number, parts: number, last: CheckpointSnapshot): CheckpointSnapshot | null {
    const isWhole = parts === 0 || (epoch === this.#epoch && parts === this.#parts.length)
    const before = parts === 0 ? [] : this.#parts
    this.#parts = []
    if (!isWhole) return null
    return { ...last, sections: [...before.flat(), ...last.sections] }
  }
}
