import { decodeValue, encodeValue, SdkError } from '../../../idl/index.ts'
import type { CheckpointView } from '../../eo/app.ts'
import { CHECKPOINT_LIMITS } from './checkpoint-limits.ts'
import type { Transaction, TransactionTable } from './transaction-table.ts'

/** What one call, or one write outside any, sees and changes. */
export class TransactionView implements CheckpointView {
  readonly #csi: string
  readonly #table: TransactionTable
  readonly #transaction: Transaction

  constructor(csi: string, table: TransactionTable, transaction: Transaction) {
    this.#csi = csi
    this.#table = table
    this.#transaction = transaction
  }

  read(section: string): unknown {
    const value = this.readBytes(section)
    return value === null ? undefined : decodeValue(value)
  }

  /** The value as it is kept, not to be changed; null for none. @internal */
  readBytes(section: string): Uint8Array | null {
    const value = this.#table.read(this.#transaction, section)
    if (value === undefined) throw conflictError(this.#csi)
    return value
  }

  /** Keeps the very bytes, without a copy. @internal */
  writeBytes(section: string, value: Uint8Array): void {
    this.#put(section, value)
  }

  write(section: string, value: unknown): void {
    const { length } = section
    const lengthMax = CHECKPOINT_LIMITS.sectionNameLengthMax
    if (length === 0 || length > lengthMax) {
      const message = `checkpoint ${this.#csi}: a section id has 1 to ${lengthMax} characters, not ${length}`
      throw new SdkError('INVALID_PARAMETER', message)
    }
    this.#put(section, encodeValue(value))
  }

  delete(section: string): void {
    this.#put(section, null)
  }

  #put(section: string, value: Uint8Array | null): void {
    switch (this.#table.write(this.#transaction, section, value)) {
      case 'written':
        return
      case 'noSpace':
        throw new SdkError(
          'NO_SPACE',
          `checkpoint ${this.#csi}: section ${section} (${value?.byteLength ?? 0} bytes) does not fit; ` +
            `${this.#table.sizeBytes} bytes are in use; delete sections or raise sizeBytesMax`,
        )
      case 'conflict':
      case 'doomed':
        throw conflictError(this.#csi)
      case 'ended':
        throw new SdkError('INVALID_STATE', `checkpoint ${this.#csi}: the call has ended`)
    }
  }
}

/** Nothing of the call is committed, and it may be made again. */
export function conflictError(csi: string): SdkError {
  return new SdkError(
    'TRY_AGAIN',
    `checkpoint ${csi}: a call that ran at the same time changed what this one had read, or was ` +
      'given up after this one had read its writes; nothing of this call was committed',
    { mayHaveRun: false },
  )
}
