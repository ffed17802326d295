/**
 * The batches of one replica that its written-out content lacks, in order, in pieces with ascending numbers. What was
 * appended survives the death of the process, not of the machine.
 */
export interface BatchLog {
  /** Appends a batch, in its wire form, to the newest piece. @throws Error of the disk: nothing was appended. */
  append(payload: Uint8Array): void
  /** Lets later batches go to a piece of their own. @returns the number of that piece */
  turn(): number
  /** Forgets the pieces before this one. */
  dropBefore(piece: number): void
  /**
   * Gives each batch from the piece `from` on, until `take` says what is wrong with one. To be called before anything
   * is appended; earlier pieces are forgotten. A batch whose writer was killed meanwhile is not there: nobody was told
   * of it.
   * @returns what is wrong, with the log or with a batch
   */
  read(from: number, take: (payload: Uint8Array) => string | undefined): string | undefined
  /** Lets go of what it has open. It opens again by itself. */
  close(): void
}

/** Logs of batches by the names of their replicas. */
export interface BatchLogs {
  log(name: string): BatchLog
  close(): void
}
