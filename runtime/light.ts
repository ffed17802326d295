/** The door for the program that becomes a component: it loads what a component needs, and nothing else. */
export { keepNewSpaceSmall } from './eo/new-space.ts'

/** See `eo/boot.ts`, which is loaded by the call: how much memory that takes is decided before. */
export const runComponentFile = async (path: string, onStarted?: () => void): Promise<void> =>
  (await import('./eo/boot.ts')).runComponentFile(path, onStarted)
