import { logAttributesSchema } from './interface.ts'

const FILE = {
  fileUnitSize: 2_000_000,
  recordSize: 8_192,
  fileFullAction: 'ROTATE',
  maxFilesRotated: 4,
} as const

/** The streams that are always there keep whole lines of `app.log`, and at most 10 MB each. */
export const PERENNIAL_ATTRIBUTES = {
  system: logAttributesSchema.parse({ ...FILE, fileName: 'sys' }),
  application: logAttributesSchema.parse({ ...FILE, fileName: 'app' }),
} as const
