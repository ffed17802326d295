import type { NodeCommand } from './agent-command.ts'

/**
 * Launches wait so long after a grant of ACTIVE. Starting a process blocks its node's event loop for some milliseconds,
 * and with it the replica that the new active needs for its first commits; and what starts takes a core for some
 * hundred milliseconds, which on a busy machine are those of the new active.
 */
export const LAUNCH_AFTER_GRANT_MS = 150

/**
 * Holds `instantiate` commands back for a moment after a role was given, so that a failover does not wait for the start
 * of its next standby. Everything else passes, also a launch that gives a role; a command for a component whose launch
 * is held lets the launch go first.
 */
export class LaunchGate {
  readonly #pass: (commands: readonly NodeCommand[]) => void
  readonly #nowMs: () => number
  #held: NodeCommand[] = []
  #openAtMs = 0
  #timer: NodeJS.Timeout | undefined

  /** @param pass - takes commands that were held, in their order. */
  constructor(pass: (commands: readonly NodeCommand[]) => void, nowMs: () => number) {
    this.#pass = pass
    this.#nowMs = nowMs
  }

  /** @returns the commands that may leave now instead of this one, in order; none while it is held. */
  admit(command: NodeCommand): readonly NodeCommand[] {
    if (command.kind === 'instantiate' && command.descriptor !== null) return [command]
    if (command.kind === 'csiSet' && command.haState === 'ACTIVE') {
      this.#openAtMs = this.#nowMs() + LAUNCH_AFTER_GRANT_MS
    }
    if (command.kind === 'instantiate') {
      const waitMs = this.#openAtMs - this.#nowMs()
      if (waitMs <= 0 && this.#held.length === 0) return [command]
      this.#held.push(command)
      this.#timer ??= setTimeout(() => this.#open(), Math.max(1, waitMs))
      return []
    }
    if (!('component' in command)) return [command]
    const { component } = command
    const first = this.#held.filter((held) => 'component' in held && held.component === component)
    if (first.length === 0) return [command]
    this.#held = this.#held.filter((held) => !first.includes(held))
    return [...first, command]
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#held = []
  }

  #open(): void {
    this.#timer = undefined
    const held = this.#held
    this.#held = []
    this.#pass(held)
  }
}
