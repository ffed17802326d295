import type { Clock } from '../clock.ts'
import type { Connection } from '../connection.ts'
import { type FrameHeader, makeFrameHeader, PROTOCOL } from '../frame.ts'
import type { Port } from '../port.ts'
import type { RmdStatistics } from './statistics.ts'

/** What a callee need not keep is told explicitly when no request has carried it for so long. */
const ACKNOWLEDGE_AFTER_MS = 1_000

/** Tells callees of which at-most-once replies nothing more will be asked, where no later request has said so. */
export class Acknowledger {
  readonly #port: Port
  readonly #clock: Clock
  readonly #statistics: RmdStatistics
  readonly #watermark: () => number
  #cancelTimer: (() => void) | null = null

  constructor(
    setup: { readonly port: Port; readonly clock: Clock; readonly statistics: RmdStatistics },
    watermark: () => number,
  ) {
    this.#port = setup.port
    this.#clock = setup.clock
    this.#statistics = setup.statistics
    this.#watermark = watermark
  }

  /** A reply came that its callee keeps. */
  owe(connection: Connection, messageId: number): void {
    if (messageId > connection.acknowledgeOwed) connection.acknowledgeOwed = messageId
    this.#cancelTimer ??= this.#clock.after(ACKNOWLEDGE_AFTER_MS, this.#onTimer)
  }

  /** Says what is left to say. */
  close(): void {
    this.#cancelTimer?.()
    this.#flush()
  }

  /** What an older call under way holds back, or a full queue, is said later. */
  readonly #onTimer = (): void => {
    const isLeft = this.#flush()
    this.#cancelTimer = isLeft ? this.#clock.after(ACKNOWLEDGE_AFTER_MS, this.#onTimer) : null
  }

  /** @returns whether something is left to say. */
  #flush(): boolean {
    let isLeft = false
    const below = this.#watermark()
    const header = makeFrameHeader()
    header.protocol = PROTOCOL.acknowledge
    header.acknowledgedBelow = below
    for (const connection of this.#port.connections()) {
      if (connection.acknowledgeOwed === 0 || !connection.usable) continue
      this.#tell(connection, header)
      if (connection.acknowledgedBelow > connection.acknowledgeOwed) connection.acknowledgeOwed = 0
      else isLeft = true
    }
    return isLeft
  }

  #tell(connection: Connection, header: FrameHeader): void {
    const { acknowledgedBelow } = connection
    if (acknowledgedBelow > connection.acknowledgeOwed) return
    if (acknowledgedBelow >= header.acknowledgedBelow) return
    const sent = connection.send(header, NO_BYTES) === 'sent'
    if (sent) this.#statistics.nAtmostOnceAcksSent += 1
    else this.#statistics.nFailedAtmostOnceAcksSent += 1
    if (sent) connection.acknowledgedBelow = header.acknowledgedBelow
  }
}

const NO_BYTES = new Uint8Array(0)
