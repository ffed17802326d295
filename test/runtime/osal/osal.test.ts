import { describe, expect, test } from 'vitest'
import {
  Condition,
  createTaskKey,
  delay,
  deleteTaskLocal,
  handleSignals,
  Mutex,
  OsProcess,
  Semaphore,
  setTaskLocal,
  Task,
  taskData,
  taskId,
  taskLocal,
  taskName,
} from '../../../runtime/index.ts'
import type { OsalTaskData } from '../../fixtures/runtime/osal-task.ts'

const DIST = new URL('../../../dist/', import.meta.url)
const MODULE = new URL('test/fixtures/runtime/osal-task.js', DIST)
const refused = (code: string): unknown => expect.objectContaining({ code })

describe('locks', () => {
  test('hold between real threads: mutex, semaphore and condition', async () => {
    const mutex = new Mutex()
    const slots = new Semaphore(2)
    const turn = new Condition()
    const cells = new SharedArrayBuffer(16)
    const counts = new Int32Array(cells)
    const data: OsalTaskData = {
      mutex: mutex.shared,
      slots: slots.shared,
      turn: turn.shared,
      cells,
      rounds: 2_000,
    }
    const tasks = [1, 2, 3].map((i) => new Task({ name: `task ${i}`, module: MODULE, data }))
    mutex.lock()
    counts[3] = 1
    turn.broadcast()
    mutex.unlock()
    expect(await Promise.all(tasks.map((task) => task.join()))).toEqual([7, 7, 7])
    expect(counts[0]).toBe(6_000)
    expect(counts[1]).toBe(0)
    expect(counts[2]).toBeLessThanOrEqual(2)
    expect(slots.value).toBe(2)
  })

  test('waits end by their time', () => {
    const semaphore = new Semaphore(1)
    semaphore.wait()
    expect(semaphore.tryWait()).toBe(false)
    expect(() => semaphore.wait(5)).toThrow(refused('TIMEOUT'))
    semaphore.post()
    expect(semaphore.tryWait()).toBe(true)
    const mutex = new Mutex()
    mutex.lock()
    expect(() => new Condition().wait(mutex, 5)).toThrow(refused('TIMEOUT'))
    mutex.unlock()
    const foreign = new Mutex()
    new Int32Array(foreign.shared.cells).set([99, 1])
    expect(foreign.tryLock()).toBe(false)
    expect(() => foreign.lock(5)).toThrow(/not free in 5 ms: thread 98 holds it, or ended with it/)
  })

  test('a wait without a time is refused, and does not begin', () => {
    const mutex = new Mutex()
    mutex.lock()
    const waits = [
      () => delay(Number.NaN),
      () => delay(-1),
      () => new Semaphore(0).wait(Number.NaN),
      () => new Condition().wait(mutex, Number.NaN),
    ]
    for (const wait of waits) expect(wait).toThrow(refused('INVALID_PARAMETER'))
    mutex.unlock()
  })

  test('a semaphore has an upper end', () => {
    const semaphore = new Semaphore(2 ** 30)
    expect(() => semaphore.post()).toThrow(refused('NO_SPACE'))
    expect(semaphore.value).toBe(2 ** 30)
  })

  test('a thread that would wait for itself is told at once', () => {
    const plain = new Mutex()
    expect(() => plain.unlock()).toThrow(refused('MUTEX_ERROR'))
    plain.lock()
    expect(() => plain.lock()).toThrow(refused('MUTEX_ERROR'))
    plain.unlock()
    const recursive = new Mutex('recursive')
    recursive.lock()
    expect(recursive.tryLock()).toBe(true)
    recursive.unlock()
    recursive.unlock()
    expect(() => recursive.unlock()).toThrow(refused('MUTEX_ERROR'))
    expect(() => new Semaphore(-1)).toThrow(refused('INVALID_PARAMETER'))
  })
})

describe('tasks', () => {
  test('one that waits is killed, one that fails says why', async () => {
    const mutex = new Mutex()
    const cells = new SharedArrayBuffer(16)
    const data: OsalTaskData = {
      mutex: mutex.shared,
      slots: new Semaphore(0).shared,
      turn: new Condition().shared,
      cells,
      rounds: 1,
    }
    const waiting = new Task({ name: 'task', module: MODULE, data })
    expect(waiting.id).toBeGreaterThan(0)
    await waiting.kill()
    expect(await waiting.join()).toBeLessThan(2)
    const broken = new Task({ name: 'broken', module: MODULE, data: null })
    await expect(broken.join()).rejects.toThrow(refused('FAILED_OPERATION'))
    expect(() => new Task({ name: 'x'.repeat(33), module: MODULE })).toThrow(
      refused('NAME_TOO_LONG'),
    )
  })

  test('have data of their own', () => {
    const key = createTaskKey()
    expect(taskLocal(key)).toBeUndefined()
    setTaskLocal(key, 7)
    expect(taskLocal(key)).toBe(7)
    deleteTaskLocal(key)
    expect(taskLocal(key)).toBeUndefined()
    expect([taskId(), taskName(), taskData()]).toEqual([0, 'main', undefined])
    const startMs = performance.now()
    delay(5)
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(4.9)
  })
})

describe('processes', () => {
  test('end by code or signal; a group is signalled as a whole', async () => {
    const ended = await OsProcess.start({ command: '/bin/sh', args: ['-c', 'exit 3'] })
    expect(await ended.wait()).toEqual({ code: 3, signal: null })
    expect(ended.signal('SIGTERM')).toBe(false)
    const group = { command: '/bin/sleep', args: ['60'], ownGroup: true }
    const sleeping = await OsProcess.start(group)
    expect(sleeping.signal('SIGKILL')).toBe(true)
    expect(await sleeping.wait()).toEqual({ code: null, signal: 'SIGKILL' })
    await expect(OsProcess.start({ command: '/no/such' })).rejects.toThrow(refused('OS_ERROR'))
    for (const command of ['', 'a\0b', null as never]) {
      await expect(OsProcess.start({ command })).rejects.toThrow(refused('INVALID_PARAMETER'))
    }
  })

  test('signals tell instead of ending the process', async () => {
    const told = new Promise((resolve) => {
      const undo = handleSignals(
        (signal) => {
          undo()
          resolve(signal)
        },
        ['SIGALRM'],
      )
    })
    process.kill(process.pid, 'SIGALRM')
    expect(await told).toBe('SIGALRM')
    expect(process.listenerCount('SIGALRM')).toBe(0)
  })
})
