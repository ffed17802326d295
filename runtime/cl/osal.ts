import { closeSync, openSync, readSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { SdkError, type ClRcT } from '../../idl/index.ts'
import { Condition, Mutex, Semaphore } from '../osal/lock.ts'
import { handleSignals, OsProcess, type ProcessEnd, type ProcessOptions } from '../osal/process.ts'
import { delay, Task, taskId, taskName, type TaskOptions } from '../osal/task.ts'
import {
  createTaskKey,
  deleteTaskLocal,
  setTaskLocal,
  taskLocal,
  type TaskKey,
} from '../osal/task-local.ts'
import { ClLibrary, given, handlesOf } from './library.ts'
import type { ClOut } from './process.ts'
import { milliseconds, type ClTimerTimeOutT } from './time-out.ts'

export type ClOsalMutexIdT = Mutex
export type ClOsalSemIdT = Semaphore
export type ClOsalCondIdT = Condition
export type ClOsalTaskIdT = Task
export type ClOsalTaskKeyT = TaskKey
export type ClOsalPidT = OsProcess

const LIBRARY = new ClLibrary('OSAL')
const mutexOf = handlesOf(Mutex)
const semOf = handlesOf(Semaphore)
const condOf = handlesOf(Condition)
const taskOf = handlesOf(Task)
const processOf = handlesOf(OsProcess)

/** INITIALIZED the second time. */
export function clOsalInitialize(): ClRcT {
  return LIBRARY.initialize()
}

/** Until it is initialised again, everything answers NOT_INITIALIZED. */
export function clOsalFinalize(): ClRcT {
  return LIBRARY.finalize()
}

/** A mutex that its thread may lock once. */
export function clOsalMutexCreate(out: ClOut<ClOsalMutexIdT | undefined>): ClRcT {
  return LIBRARY.get(out, () => new Mutex())
}

/** A mutex that its thread may lock again. */
export function clOsalRecursiveMutexInit(out: ClOut<ClOsalMutexIdT | undefined>): ClRcT {
  return LIBRARY.get(out, () => new Mutex('recursive'))
}

/** The same: every mutex checks its owner. */
export const clOsalMutexErrorCheckCreate = clOsalMutexCreate

/** A mutex, locked already. */
export function clOsalMutexCreateAndLock(out: ClOut<ClOsalMutexIdT | undefined>): ClRcT {
  return LIBRARY.get(out, () => {
    const mutex = new Mutex()
    mutex.lock()
    return mutex
  })
}

/** `Mutex.lock`: blocks the thread. */
export function clOsalMutexLock(mutex: ClOsalMutexIdT): ClRcT {
  return LIBRARY.run(() => mutexOf(mutex).lock())
}

/** `Mutex.tryLock`; INUSE when another thread has it. */
export function clOsalMutexTryLock(mutex: ClOsalMutexIdT): ClRcT {
  return LIBRARY.run(() => {
    if (!mutexOf(mutex).tryLock()) throw new SdkError('INUSE', 'another thread has the mutex')
  })
}

/** `Mutex.unlock`. */
export function clOsalMutexUnlock(mutex: ClOsalMutexIdT): ClRcT {
  return LIBRARY.run(() => mutexOf(mutex).unlock())
}

/** The handle becomes null; the garbage collector does the rest. */
export function clOsalMutexDelete(mutex: ClOut<ClOsalMutexIdT | null>): ClRcT {
  return LIBRARY.run(() => {
    mutexOf(given('mutex', mutex).value)
    mutex.value = null
  })
}

/** A condition. */
export function clOsalCondCreate(out: ClOut<ClOsalCondIdT | undefined>): ClRcT {
  return LIBRARY.get(out, () => new Condition())
}

/** The handle becomes null; the garbage collector does the rest. */
export function clOsalCondDelete(condition: ClOut<ClOsalCondIdT | null>): ClRcT {
  return LIBRARY.run(() => {
    condOf(given('condition', condition).value)
    condition.value = null
  })
}

/** `Condition.wait`. */
export function clOsalCondWait(
  condition: ClOsalCondIdT,
  timeOut: ClTimerTimeOutT,
  mutex: ClOsalMutexIdT,
): ClRcT {
  return LIBRARY.run(() => condOf(condition).wait(mutexOf(mutex), milliseconds(timeOut)))
}

/** `Condition.signal`. */
export function clOsalCondSignal(condition: ClOsalCondIdT): ClRcT {
  return LIBRARY.run(() => condOf(condition).signal())
}

/** `Condition.broadcast`. */
export function clOsalCondBroadcast(condition: ClOsalCondIdT): ClRcT {
  return LIBRARY.run(() => condOf(condition).broadcast())
}

/** A semaphore that begins with `count`. */
export function clOsalSemCreate(count: number, out: ClOut<ClOsalSemIdT | undefined>): ClRcT {
  return LIBRARY.get(out, () => new Semaphore(count))
}

/** `Semaphore.wait`: blocks the thread. */
export function clOsalSemLock(semaphore: ClOsalSemIdT): ClRcT {
  return LIBRARY.run(() => semOf(semaphore).wait())
}

/** `Semaphore.tryWait`; INUSE when there is none. */
export function clOsalSemTryLock(semaphore: ClOsalSemIdT): ClRcT {
  return LIBRARY.run(() => {
    if (!semOf(semaphore).tryWait()) throw new SdkError('INUSE', 'the semaphore is 0')
  })
}

/** `Semaphore.post`. */
export function clOsalSemUnlock(semaphore: ClOsalSemIdT): ClRcT {
  return LIBRARY.run(() => semOf(semaphore).post())
}

/** `Semaphore.value`. */
export function clOsalSemValueGet(semaphore: ClOsalSemIdT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => semOf(semaphore).value)
}

/** The handle becomes null; the garbage collector does the rest. */
export function clOsalSemDelete(semaphore: ClOut<ClOsalSemIdT | null>): ClRcT {
  return LIBRARY.run(() => {
    semOf(given('semaphore', semaphore).value)
    semaphore.value = null
  })
}

/** Starts a task that somebody joins. */
export function clOsalTaskCreateAttached(
  options: TaskOptions,
  out: ClOut<ClOsalTaskIdT | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => new Task(options))
}

/** Starts a task that nobody waits for. */
export function clOsalTaskCreateDetached(options: TaskOptions): ClRcT {
  return LIBRARY.run(() => new Task(options).detach())
}

/** `Task.join`; the exit code in `out`. */
export function clOsalTaskJoin(task: ClOsalTaskIdT, out: ClOut<number>): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    const place = given('out', out)
    place.value = await taskOf(task).join()
  })
}

/** `Task.detach`. */
export function clOsalTaskDetach(task: ClOsalTaskIdT): ClRcT {
  return LIBRARY.run(() => taskOf(task).detach())
}

/** `Task.kill`. */
export function clOsalTaskKill(task: ClOsalTaskIdT): Promise<ClRcT> {
  return LIBRARY.wait(async () => taskOf(task).kill())
}

/** The same. */
export const clOsalTaskDelete = clOsalTaskKill

/** `delay`: blocks the thread. */
export function clOsalTaskDelay(timeOut: ClTimerTimeOutT): ClRcT {
  return LIBRARY.run(() => delay(milliseconds(timeOut)))
}

/** Number of the calling thread. */
export function clOsalSelfTaskIdGet(out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => taskId())
}

/** Name of the calling thread. */
export function clOsalTaskNameGet(out: ClOut<string>): ClRcT {
  return LIBRARY.get(out, () => taskName())
}

/** `createTaskKey`. */
export function clOsalTaskKeyCreate(out: ClOut<ClOsalTaskKeyT>): ClRcT {
  return LIBRARY.get(out, () => createTaskKey())
}

/** `deleteTaskLocal`: for the calling thread. */
export function clOsalTaskKeyDelete(key: ClOsalTaskKeyT): ClRcT {
  return LIBRARY.run(() => deleteTaskLocal(given('key', key)))
}

/** `setTaskLocal`. */
export function clOsalTaskDataSet(key: ClOsalTaskKeyT, data: unknown): ClRcT {
  return LIBRARY.run(() => setTaskLocal(given('key', key), data))
}

/** `taskLocal`; NOT_EXIST when nothing is set. */
export function clOsalTaskDataGet(key: ClOsalTaskKeyT, out: ClOut<unknown>): ClRcT {
  return LIBRARY.get(out, () => taskLocal(given('key', key)))
}

/** `OsProcess.start`. */
export function clOsalProcessCreate(
  options: ProcessOptions,
  out: ClOut<ClOsalPidT | undefined>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    const place = given('out', out)
    place.value = await OsProcess.start(options)
  })
}

/** `OsProcess.wait`. */
export function clOsalProcessWait(
  process: ClOsalPidT,
  out: ClOut<ProcessEnd | undefined>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    const place = given('out', out)
    place.value = await processOf(process).wait()
  })
}

/** Ends it by SIGKILL; NOT_EXIST when it has ended. */
export function clOsalProcessDelete(process: ClOsalPidT): ClRcT {
  return LIBRARY.run(() => {
    if (!processOf(process).signal('SIGKILL')) throw new SdkError('NOT_EXIST', 'it has ended')
  })
}

/** Pid of this process. */
export function clOsalProcessSelfIdGet(out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => process.pid)
}

/** `handleSignals`, for good. */
export function clOsalSigHandlerInitialize(callback: (signal: NodeJS.Signals) => void): ClRcT {
  return LIBRARY.run(() => void handleSignals(given('callback', callback)))
}

/** Seconds since 1970, and milliseconds of the present one. */
export function clOsalTimeOfDayGet(out: ClOut<ClTimerTimeOutT | undefined>): ClRcT {
  return LIBRARY.get(out, () => {
    const nowMs = Date.now()
    return { tsSec: Math.floor(nowMs / 1_000), tsMilliSec: nowMs % 1_000 }
  })
}

/** Microseconds on a clock that only goes forward. */
export function clOsalStopWatchTimeGet(): number {
  return Math.trunc(performance.now() * 1_000)
}

/** Nanoseconds since 1970, in steps of a millisecond. */
export function clOsalNanoTimeGet(out: ClOut<bigint>): ClRcT {
  return LIBRARY.get(out, () => BigInt(Date.now()) * 1_000_000n)
}

/** Opens a file; `flags` as those of `node:fs`. */
export function clOsalFileOpen(file: string, flags: string, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => system(() => openSync(file, flags, 0o600)))
}

/** Closes a file. */
export function clOsalFileClose(descriptor: number): ClRcT {
  return LIBRARY.run(() => system(() => closeSync(descriptor)))
}

/** Reads into `destination`; how many bytes there were. */
export function clOsalFileRead(
  descriptor: number,
  destination: Uint8Array,
  out: ClOut<number>,
): ClRcT {
  return LIBRARY.get(out, () => system(() => readSync(descriptor, destination)))
}

/** Writes; how many bytes went. */
export function clOsalFileWrite(descriptor: number, source: Uint8Array, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => system(() => writeSync(descriptor, source)))
}

/** Removes a file. */
export function clOsalFileUnlink(file: string): ClRcT {
  return LIBRARY.run(() => system(() => unlinkSync(file)))
}

/** Renames a file. */
export function clOsalFileRename(from: string, to: string): ClRcT {
  return LIBRARY.run(() => system(() => renameSync(from, to)))
}

/** Longest path of the platform. */
export function clOsalMaxPathGet(): number {
  return 4_096
}

/** What the operating system refused, in the library's words. */
function system<T>(step: () => T): T {
  try {
    return step()
  } catch (cause) {
    throw new SdkError('OS_ERROR', String(cause), { cause })
  }
}
