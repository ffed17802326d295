import { runComponentFile } from '../../runtime/light.ts'
import { codeOf, exitCodeOf } from './exit-code.ts'

/**
 * `holdfast component FILE`: becomes the component that the module describes. Agents start it; the environment says
 * which component of which node it is. `--run-dir DIR` is only there to be seen in the process list.
 * @param onStarted - called when it runs.
 */
export async function runComponentCommand(
  words: readonly string[],
  onStarted?: () => void,
): Promise<void> {
  const file = words.find(
    (word, index) => !word.startsWith('-') && words[index - 1] !== '--run-dir',
  )
  if (file === undefined) {
    process.stderr.write('holdfast: USAGE: component needs the FILE of a module\n')
    process.exitCode = 2
    return
  }
  try {
    await runComponentFile(file, onStarted)
  } catch (error) {
    // Only what is wrong before the component begins comes back here: nobody's agent started it.
    const shown = words.includes('--debug') && error instanceof Error ? error.stack : undefined
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`holdfast: ${codeOf(error)}: ${message}\n${shown ? `${shown}\n` : ''}`)
    process.exitCode = exitCodeOf(error)
  }
}
