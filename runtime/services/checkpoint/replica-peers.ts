import { IOC_PORT, type IocAddress, type Rmd } from '../../../ioc/index.ts'
import type { KeptBatch } from './batch-tail.ts'
import { partsOf } from './content-parts.ts'
import { CheckpointReplica, type CheckpointSnapshot } from './interface.ts'
import type { StoredReplica } from './stored-replica.ts'

const { append, replace, replacePart } = CheckpointReplica.methods
/** A batch is given up by the primary's own sweep; this only ends calls that nobody asks about any more. */
const APPEND_TIMEOUT_FACTOR = 2
/** A whole content takes longer than a batch. */
const REPLACE_TIMEOUT_FACTOR = 10

export interface ReplicaPeersOptions {
  readonly csi: string
  readonly rmd: Rmd
  readonly stored: StoredReplica
  readonly replicaTimeoutMs: number
}

/** What a primary sends to the replicas of other nodes, under its epoch. Each call ends by its time-out. */
export class ReplicaPeers {
  readonly #options: ReplicaPeersOptions

  constructor(options: ReplicaPeersOptions) {
    this.#options = options
  }

  open(node: number, epoch: number): Promise<{ lastEpoch: number; lastSequence: number }> {
    const { csi, rmd, replicaTimeoutMs: timeoutMs, stored } = this.#options
    return rmd
      .client(CheckpointReplica, { to: addressOf(node), timeoutMs, epoch })
      .open({ csi, epoch, ...(stored.isDurable ? { durable: true } : {}) })
  }

  append(node: number, epoch: number, payload: Uint8Array): Promise<unknown> {
    return this.#call(node, append.functionNumber, payload, {
      epoch,
      factor: APPEND_TIMEOUT_FACTOR,
    })
  }

  catchUp(node: number, epoch: number, batches: readonly KeptBatch[]): Promise<unknown> {
    const { stored } = this.#options
    return Promise.all(
      batches.map((kept) => this.append(node, epoch, stored.payloadUnder(kept, epoch))),
    )
  }

  /**
   * Sends the content as it is now, in parts. @param onPart - a part has arrived.
   * @returns the sequence up to which the content goes, and when all of it has arrived.
   */
  replace(
    node: number,
    epoch: number,
    onPart: () => void,
  ): { sequence: number; done: Promise<unknown> } {
    const { replica } = this.#options.stored
    const snapshot = replica.snapshot()
    const history = replica.history.map(([of, first]): [number, number] => [of, first])
    const done = this.#replaceInParts(node, { epoch, snapshot, history }, onPart)
    return { sequence: snapshot.sequence, done }
  }

  /** One part at a time: the last message, with what belongs to no section, makes the content whole. */
  async #replaceInParts(
    node: number,
    {
      epoch,
      snapshot,
      history,
    }: { epoch: number; snapshot: CheckpointSnapshot; history: [number, number][] },
    onPart: () => void,
  ): Promise<void> {
    const { csi } = this.#options
    const options = { epoch, factor: REPLACE_TIMEOUT_FACTOR }
    let last: CheckpointSnapshot['sections'] | undefined
    let part = 0
    for (const sections of partsOf(snapshot.sections)) {
      if (last !== undefined) {
        const payload = replacePart.input.encode({ csi, epoch, part, sections: last })
        await this.#call(node, replacePart.functionNumber, payload, options)
        part++
        onPart()
      }
      last = sections
    }
    const rest = { ...snapshot, sections: last ?? [] }
    const whole = { csi, epoch, snapshot: rest, history, ...(part === 0 ? {} : { parts: part }) }
    await this.#call(node, replace.functionNumber, replace.input.encode(whole), options)
  }

  #call(
    node: number,
    functionNumber: number,
    payload: Uint8Array,
    { epoch, factor }: { readonly epoch: number; readonly factor: number },
  ): Promise<Uint8Array> {
    const timeoutMs = this.#options.replicaTimeoutMs * factor
    return this.#options.rmd.call(addressOf(node), functionNumber, payload, { timeoutMs, epoch })
  }
}

function addressOf(node: number): IocAddress {
  return { node, port: IOC_PORT.agent }
}
