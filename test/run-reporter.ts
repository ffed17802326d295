import { appendFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

/** One line of the report: a file was taken up, or it has ended; or the whole run has. */
export type RunRecord =
  | { readonly kind: 'begun'; readonly file: string }
  | {
      readonly kind: 'ended'
      readonly file: string
      readonly passed: number
      readonly failed: number
      readonly ms: number
    }
  | { readonly kind: 'over'; readonly errors: number }

/** Writes what is known as soon as it is known: a run that has to be killed has its counts all the same. */
export class RunReporter implements Reporter {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  onTestModuleQueued({ relativeModuleId: file }: TestModule): void {
    this.#write({ kind: 'begun', file })
  }

  onTestModuleEnd(module: TestModule): void {
    const states = [...module.children.allTests()].map((test) => test.result().state)
    const failed = states.filter((state) => state === 'failed').length
    this.#write({
      kind: 'ended',
      file: module.relativeModuleId,
      passed: states.filter((state) => state === 'passed').length,
      // What no test owns, such as a file that cannot be loaded, is one failure.
      failed: failed === 0 && module.state() === 'failed' ? 1 : failed,
      ms: module.diagnostic().duration,
    })
  }

  onTestRunEnd(_: readonly TestModule[], errors: readonly unknown[]): void {
    this.#write({ kind: 'over', errors: errors.length })
  }

  #write(record: RunRecord): void {
    appendFileSync(this.#path, `${JSON.stringify(record)}\n`)
  }
}
