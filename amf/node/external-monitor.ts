import type { Logger } from 'pino'
import type { ComponentModel } from '../model/model.ts'
import { runLifeCycleCommand } from './component-commands.ts'
import type { Life } from './component-life.ts'
import type { RunnerPorts } from './component-ports.ts'

/**
 * The external monitor of a component: a program that AM_START leaves running, AM_STOP ends, and that reports errors by
 * itself. SAF AMF B.04.01 section 4. There is one at most: a life's monitor is stopped before anything of it counts as
 * gone, so that the next life's is the only one.
 */
export class ExternalMonitor {
  readonly #ports: Pick<RunnerPorts, 'runCommand'>
  readonly #log: Logger
  /** The life that it was started for, and when that is over: until it was stopped. */
  #life: Life | null = null
  #starting: Promise<void> = Promise.resolve()
  #stopping: Promise<unknown> = Promise.resolve()
  /** AM_START has succeeded for the life. */
  #isOn = false

  constructor(ports: Pick<RunnerPorts, 'runCommand'>, log: Logger) {
    this.#ports = ports
    this.#log = log
  }

  /** `failed`: it cannot be started, which is a failure of the component. */
  start(
    model: ComponentModel,
    life: Life,
    on: { readonly started: () => void; readonly failed: (cause: string) => void },
  ): void {
    const { amStart: command, amStartAttemptsMax: attemptsMax } = model
    if (command === null) return
    this.#life = life
    const run = { model, what: 'AM_START', command, assigned: life.assigned, attemptsMax }
    const isWanted = (): boolean => this.#life === life
    const begin = (): Promise<string | null> =>
      runLifeCycleCommand(this.#ports, { ...run, leavesProcesses: true, isWanted })
    this.#starting = this.#stopping.then(begin).then((cause) => {
      if (!isWanted()) return
      if (cause !== null) return on.failed(cause)
      this.#isOn = true
      on.started()
    })
  }

  /** @returns false when it may still be running; then that was said in the log. */
  async stop(model: ComponentModel, life: Life): Promise<boolean> {
    if (this.#life !== life) {
      await this.#stopping
      return true
    }
    this.#life = null
    this.#isOn = false
    const { amStop: command, amStopAttemptsMax: attemptsMax } = model
    if (command === null) return true
    const run = { model, what: 'AM_STOP', command, assigned: life.assigned, attemptsMax }
    const stopping = this.#starting.then(() => runLifeCycleCommand(this.#ports, run))
    this.#stopping = stopping
    const cause = await stopping
    if (cause !== null) this.#log.error({ cause }, 'its external monitor was not stopped')
    return cause === null
  }

  /** It runs for the life: AM_START has succeeded, and nobody has stopped it since. */
  isOn(life: Life): boolean {
    return this.#isOn && this.#life === life
  }

  /** True while there is something to stop. */
  isFor(life: Life): boolean {
    return this.#life === life
  }
}
