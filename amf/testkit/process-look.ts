import { readFileSync } from 'node:fs'
import { SdkError } from '../../idl/index.ts'
import { pause } from '../operator/retry.ts'

/** True for a process that is there and not a zombie. */
export function isThere(pid: number): boolean {
  const state = stateOf(pid)
  return state !== null && state !== 'Z'
}

/** True for a process that is there and neither a zombie nor stopped. */
export function isWorking(pid: number): boolean {
  return isThere(pid) && stateOf(pid) !== 'T'
}

/** Processes are only seen by looking: there is no notification for a process that is no child. */
export async function untilTrue(
  test: () => boolean,
  timeoutMs: number,
  what: string | (() => string),
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (!test()) {
    if (performance.now() > deadlineMs) {
      const text = typeof what === 'string' ? what : what()
      throw new SdkError('TIMEOUT', `waited ${timeoutMs} ms for ${text}`)
    }
    await pause(5)
  }
}

/** One letter of `/proc/PID/stat`; null when there is no such process. */
function stateOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    return stat.charAt(stat.lastIndexOf(')') + 2)
  } catch {
    return null
  }
}
