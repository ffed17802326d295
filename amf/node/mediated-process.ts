import type { ComponentProcess, ProcessExit } from './component-ports.ts'

/**
 * Stands for the process of a component that has none of its own: it ends when it is told so, and what is really there
 * is ended by callbacks to whoever acts for it.
 */
export class MediatedProcess implements ComponentProcess {
  readonly pid = null
  readonly started = null
  readonly exited: Promise<ProcessExit>
  readonly drained: Promise<void>
  #exit: (exit: ProcessExit) => void = () => undefined

  constructor() {
    this.exited = new Promise((resolve) => {
      this.#exit = resolve
    })
    this.drained = this.exited.then(() => undefined)
  }

  kill(): void {
    this.#exit({ code: null, signal: null })
  }

  terminate(): void {
    this.kill()
  }

  stderrTail(): string {
    return ''
  }
}
