/**
 * Versions of interfaces, `release.major.minor`. A release is a contract of its own; a higher major of the same
 * release serves callers of a lower one; the minor never decides. SAFplus, section 2.3.
 */

const RELEASE_STEP = 0x10_0000
const MAJOR_STEP = 0x400

/** `B.1.1` as one number, higher for later versions of a release; 0 for a text of another shape. */
export function versionNumber(version: string): number {
  const match = /^([A-Z])\.(\d{1,3})\.(\d{1,3})$/.exec(version)
  if (match === null) return 0
  return match[1]!.charCodeAt(0) * RELEASE_STEP + Number(match[2]) * MAJOR_STEP + Number(match[3])
}

/** The inverse of {@link versionNumber}; `any` for 0. */
export function versionText(version: number): string {
  if (version === 0) return 'any'
  const major = Math.floor(version / MAJOR_STEP) % MAJOR_STEP
  return `${String.fromCharCode(releaseOf(version))}.${major}.${version % MAJOR_STEP}`
}

/**
 * True when a function of `version`, which has its present form since `since` (0: since ever in its release), serves a
 * caller that asks for `requested`. 0 asks for any.
 */
export function servesVersion(version: number, since: number, requested: number): boolean {
  if (requested === 0) return true
  if (releaseOf(version) !== releaseOf(requested)) return false
  const major = stepOf(requested)
  return major <= stepOf(version) && (since === 0 || major >= stepOf(since))
}

/** How far a version that serves is from the one asked for: the caller gets the least. Equal ones are the best. */
export function versionDistance(version: number, requested: number): number {
  if (version === requested) return -1
  // Among equal majors the highest minor is the best; asked for any, the highest of all.
  if (requested === 0) return -version
  const majors = stepOf(version) - stepOf(requested)
  return majors * MAJOR_STEP + (MAJOR_STEP - 1 - (version % MAJOR_STEP))
}

const releaseOf = (version: number): number => Math.floor(version / RELEASE_STEP)
const stepOf = (version: number): number => Math.floor(version / MAJOR_STEP)
