import { randomUUID } from 'node:crypto'

/** The same symbol in every thread; what it holds is the thread's own: each thread has its own global object. */
const VALUES = Symbol.for('holdfast.taskLocal')
const place = globalThis as { [VALUES]?: Map<string, unknown> }

/** Names a value that each thread has for itself. A text, so that it can be handed to any thread. */
export type TaskKey = string

export function createTaskKey(): TaskKey {
  return randomUUID()
}

/** The calling thread's value, undefined when it has set none. */
export function taskLocal(key: TaskKey): unknown {
  return place[VALUES]?.get(key)
}

export function setTaskLocal(key: TaskKey, value: unknown): void {
  place[VALUES] ??= new Map()
  place[VALUES].set(key, value)
}

/** The calling thread forgets its value. */
export function deleteTaskLocal(key: TaskKey): void {
  place[VALUES]?.delete(key)
}
