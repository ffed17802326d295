import type { Cluster } from 'holdfast/testkit'
import type { Failover } from './killing.ts'
import type { SequenceLoad } from './load.ts'

const SI = 'sequenceSI'

/** Shows the running sample: redrawn in place on a terminal, one line a second elsewhere. */
export class LiveView {
  readonly #cluster: Cluster
  readonly #load: SequenceLoad
  readonly #write: (text: string) => void
  readonly #isTerminal: boolean
  readonly #startedMs = performance.now()
  readonly #timer: NodeJS.Timeout
  readonly #failovers: Failover[] = []
  #lastDrawn = 0
  #lastMs = performance.now()
  #linesDrawn = 0

  constructor(
    cluster: Cluster,
    load: SequenceLoad,
    output: { readonly write: (text: string) => void; readonly isTerminal: boolean },
  ) {
    this.#cluster = cluster
    this.#load = load
    this.#write = output.write
    this.#isTerminal = output.isTerminal
    this.#timer = setInterval(() => this.#show(), 1_000)
  }

  /** Milliseconds of each failover so far. */
  get failovers(): readonly Failover[] {
    return this.#failovers
  }

  failedOver(failover: Failover): void {
    this.#failovers.push(failover)
    if (!this.#isTerminal)
      this.#write(`killed ${failover.component}: next reply after ${failover.ms.toFixed(1)} ms\n`)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #show(): void {
    const nowMs = performance.now()
    const { drawn, failed } = this.#load.account
    const perSecond = Math.round(((drawn - this.#lastDrawn) * 1000) / (nowMs - this.#lastMs))
    this.#lastDrawn = drawn
    this.#lastMs = nowMs
    const view = this.#cluster.view
    const last = this.#failovers.at(-1)
    const fields = [
      ['time', `${Math.round((nowMs - this.#startedMs) / 1000)} s`],
      ['active', view?.activeComponent(SI)?.name ?? 'nobody'],
      ['standby', view?.standby(SI) ?? 'nobody'],
      ['numbers/s', String(perSecond)],
      ['drawn', String(drawn)],
      ['failed', String(failed)],
      ['failovers', String(this.#failovers.length)],
      ['last failover', last === undefined ? 'none yet' : `${last.ms.toFixed(1)} ms`],
    ] as const
    if (!this.#isTerminal) {
      this.#write(`${fields.map(([name, value]) => `${name} ${value}`).join(', ')}\n`)
      return
    }
    const up = this.#linesDrawn === 0 ? '' : `\u001b[${this.#linesDrawn}A`
    const lines = fields.map(([name, value]) => `\u001b[2K${name.padEnd(14)} ${value}\n`)
    this.#linesDrawn = lines.length
    this.#write(up + lines.join(''))
  }
}
