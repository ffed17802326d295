import type { CsiDescriptor } from '../../runtime/internal.ts'
import type { CommandModel, ComponentModel } from '../model/model.ts'
import type { RunnerPorts } from './component-ports.ts'
import { exitText, tailText } from './exit-text.ts'

/** Exit code of a command, or of a component that did not register, that asks for no further attempt. */
export const NO_RETRY_EXIT_CODE = 200

/**
 * Runs a life-cycle command of the component, again after a failure up to `attemptsMax` times.
 * @returns null when it did its work, else why not, in words.
 */
export async function runLifeCycleCommand(
  ports: Pick<RunnerPorts, 'runCommand'>,
  run: {
    readonly model: ComponentModel
    readonly what: string
    readonly command: CommandModel
    readonly assigned: CsiDescriptor | null
    readonly attemptsMax?: number
    /** What it started goes on when it has done its work. @defaultValue false */
    readonly leavesProcesses?: boolean
    /** Another attempt still makes sense. */
    readonly isWanted?: () => boolean
  },
): Promise<string | null> {
  const { model, what, command, assigned, attemptsMax = 1, leavesProcesses = false } = run
  let cause = ''
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const outcome = await ports.runCommand(model, command, { assigned, leavesProcesses })
    if (outcome.code === 0) return null
    const how = outcome.timedOut ? `took over ${command.timeoutMs} ms` : exitText(null, outcome)
    const said = tailText(outcome.stderrTail)
    cause = `the ${what} command of ${model.name} failed: ${how}${said === '' ? '' : `: ${said}`}`
    if (outcome.code === NO_RETRY_EXIT_CODE || run.isWanted?.() === false) return cause
  }
  return cause
}
