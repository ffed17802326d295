export { createEmbeddedBackplane } from './embedded/embedded-backplane.ts'
export {
  identityOf,
  isAlive,
  killProcess,
  ownIdentity,
  proveGone,
  readProcessStat,
  sameProcess,
} from './process-identity.ts'
export { processLockHolder, tryProcessLock } from './process-lock.ts'
export { isFinished } from './process-stat.ts'
export type { ProcessStat } from './process-stat.ts'
