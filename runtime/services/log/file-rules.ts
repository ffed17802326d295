import type { LogAttributes } from './interface.ts'

/** Full files that ROTATE keeps when nothing is said. */
const ROTATED_COUNT = 64

/** How many bytes one piece of a stream's files has at most, and how many pieces there are. */
export interface PieceRules {
  readonly sizeBytesMax: number
  readonly countMax: number
}

/** WRAP keeps two halves, so that between half a file and a whole one is always left. */
export function pieceRules({
  fileFullAction,
  fileUnitSize,
  maxFilesRotated,
}: Pick<LogAttributes, 'fileFullAction' | 'fileUnitSize' | 'maxFilesRotated'>): PieceRules {
  switch (fileFullAction) {
    case 'ROTATE':
      return { sizeBytesMax: fileUnitSize, countMax: (maxFilesRotated || ROTATED_COUNT) + 1 }
    case 'WRAP':
      return { sizeBytesMax: Math.floor(fileUnitSize / 2), countMax: 2 }
    case 'HALT':
      return { sizeBytesMax: fileUnitSize, countMax: 1 }
  }
}

/** One piece of a stream's files. */
export interface Piece {
  /** Part of its name: counts from 1. */
  readonly index: number
  /** Number of its first record. */
  readonly first: number
  readonly count: number
  readonly sizeBytes: number
}

export type Placement = 'here' | 'nextPiece' | 'full'

/** Where a line goes. A piece takes at least one record, however long. */
export function placeLine(
  rules: PieceRules,
  last: Piece | undefined,
  lineBytes: number,
): Placement {
  if (last === undefined) return 'nextPiece'
  if (last.count === 0 || last.sizeBytes + lineBytes <= rules.sizeBytesMax) return 'here'
  return rules.countMax === 1 ? 'full' : 'nextPiece'
}

/** Pieces that go when there is one more. */
export function surplus(rules: PieceRules, pieces: readonly Piece[]): readonly Piece[] {
  return pieces.slice(0, Math.max(0, pieces.length - rules.countMax))
}

/** The piece that has a record, or the oldest one when it is gone; undefined past the end. */
export function pieceOf(pieces: readonly Piece[], number: number): Piece | undefined {
  return pieces.find(({ first, count }) => number < first + count)
}
