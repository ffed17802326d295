import { SdkError, type ClRcT } from '../../idl/index.ts'
import {
  Timers,
  Timer,
  type TimerContext,
  type TimerStatistics,
  type TimerType,
} from '../basic/timer/timers.ts'
import { ClLibrary, given, handlesOf } from './library.ts'
import type { ClOut } from './process.ts'
import { milliseconds, type ClTimerTimeOutT } from './time-out.ts'

/** A timer. */
export type ClTimerHandleT = Timer

/** Types and contexts of timers. SAFplus, section 20.3. */
export const CL_TIMER_ONE_SHOT = 0
export const CL_TIMER_REPETITIVE = 1
export const CL_TIMER_VOLATILE = 2
export const CL_TIMER_TASK_CONTEXT = 0
export const CL_TIMER_SEPARATE_CONTEXT = 1
const TYPES: readonly TimerType[] = ['oneShot', 'repetitive', 'volatile']
const CONTEXTS: readonly TimerContext[] = ['task', 'separate']

const LIBRARY = new ClLibrary('TIMER')
const handle = handlesOf(Timer)
/** The timers of the original are of one set a process. */
const TIMERS = new Timers()

/** INITIALIZED the second time. */
export function clTimerInitialize(): ClRcT {
  return LIBRARY.initialize()
}

/** Stops every timer. Until it is initialised again, everything answers NOT_INITIALIZED. */
export function clTimerFinalize(): ClRcT {
  TIMERS.stopAll()
  return LIBRARY.finalize()
}

/** `Timers.create`; the function is called with `argument`. */
export function clTimerCreate<T>(
  timeOut: ClTimerTimeOutT,
  type: number,
  context: number,
  callback: (argument: T) => void | Promise<void>,
  argument: T,
  out: ClOut<ClTimerHandleT | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => {
    if (typeof callback !== 'function') throw new SdkError('NULL_TIMER_CALLBACK', 'no callback')
    return TIMERS.create({
      timeoutMs: milliseconds(timeOut),
      type: TYPES[type] ?? (`${type}` as TimerType),
      context: CONTEXTS[context] ?? (`${context}` as TimerContext),
      run: () => callback(argument),
    })
  })
}

/** `clTimerCreate`, then `clTimerStart`. */
export function clTimerCreateAndStart<T>(
  timeOut: ClTimerTimeOutT,
  type: number,
  context: number,
  callback: (argument: T) => void | Promise<void>,
  argument: T,
  out: ClOut<ClTimerHandleT | undefined>,
): ClRcT {
  const rc = clTimerCreate(timeOut, type, context, callback, argument, out)
  return rc === 0 ? LIBRARY.run(() => handle(out.value).start()) : rc
}

/** `Timer.start`; on one that runs down it begins again. */
export function clTimerStart(timer: ClTimerHandleT): ClRcT {
  return LIBRARY.run(() => needed(timer).start())
}

/** `Timer.stop`. */
export function clTimerStop(timer: ClTimerHandleT): ClRcT {
  return LIBRARY.run(() => needed(timer).stop())
}

/** The same as start. */
export function clTimerRestart(timer: ClTimerHandleT): ClRcT {
  return LIBRARY.run(() => needed(timer).start())
}

/** `Timer.update`. */
export function clTimerUpdate(timer: ClTimerHandleT, timeOut: ClTimerTimeOutT): ClRcT {
  return LIBRARY.run(() => handle(timer).update(milliseconds(timeOut)))
}

/** `Timer.delete`; the handle becomes null. */
export function clTimerDelete(timer: ClOut<ClTimerHandleT | null>): ClRcT {
  return LIBRARY.run(() => {
    handle(given('timer', timer).value).delete()
    timer.value = null
  })
}

/** The same: a delete never waits, because no callback runs in another thread. */
export const clTimerDeleteAsync = clTimerDelete

/** BAD_OPERATION while the callback runs, else `clTimerDelete`. */
export function clTimerCheckAndDelete(timer: ClOut<ClTimerHandleT | null>): ClRcT {
  return LIBRARY.run(() => {
    const found = handle(given('timer', timer).value)
    if (found.isRunning) throw new SdkError('BAD_OPERATION', 'the callback of the timer runs')
    found.delete()
    timer.value = null
  })
}

/** One of the types above. */
export function clTimerTypeGet(timer: ClTimerHandleT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => TYPES.indexOf(handle(timer).type))
}

/** True while the callback runs. */
export function clTimerIsRunning(timer: ClTimerHandleT, out: ClOut<boolean>): ClRcT {
  return LIBRARY.get(out, () => handle(timer).isRunning)
}

/** True when it does not run down. */
export function clTimerIsStopped(timer: ClTimerHandleT, out: ClOut<boolean>): ClRcT {
  return LIBRARY.get(out, () => handle(timer).isStopped)
}

/** `Timer.statistics`. */
export function clTimerStatsGet(
  timer: ClTimerHandleT,
  out: ClOut<TimerStatistics | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => handle(timer).statistics())
}

/** Starting and stopping no timer is INVALID_PARAMETER, everything else INVALID_HANDLE. */
function needed(timer: ClTimerHandleT | null): ClTimerHandleT {
  if (timer) return handle(timer)
  throw new SdkError('INVALID_PARAMETER', 'there is no timer')
}
