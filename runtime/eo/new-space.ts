import { setFlagsFromString } from 'node:v8'
import type { Worker } from 'node:worker_threads'

/** Who keeps it small at the moment. */
let keeperCount = 0

/**
 * Keeps V8's space for young objects at the size that it has. While modules are loaded nearly everything survives, so
 * that it would grow to its largest and stay there, full of what start-up left: 11 of the 88 MiB of a component that
 * has nothing to do. @returns the function that lets it grow again, as calls then make it.
 */
export function keepNewSpaceSmall(): () => void {
  if (keeperCount++ === 0) process.on('worker', onWorker)
  forbidGrowth()
  return () => {
    if (--keeperCount > 0) return
    process.off('worker', onWorker)
    setFlagsFromString('--semi-space-growth-factor=2')
  }
}

const forbidGrowth = (): void => setFlagsFromString('--semi-space-growth-factor=1')

/** V8 sets the flag of the whole process back when it makes the heap of a new thread, some time before that runs. */
function onWorker(worker: Worker): void {
  let isMade = false
  const again = (): void => {
    if (keeperCount === 0) return
    forbidGrowth()
    if (!isMade) setImmediate(again).unref()
  }
  const made = (): void => {
    isMade = true
    again()
  }
  worker.once('online', made).once('exit', made)
  again()
}
