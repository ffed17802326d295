/** Bounds of the component side, each with what happens there. */
export const CHECKPOINT_LIMITS = {
  /** Replies kept, and calls that run; one more gets TRY_AGAIN. */
  replyCountMax: 65_536,
  /**
   * Bytes of all kept replies, those on their way to the replicas included; a call beyond gets TRY_AGAIN, as beyond
   * the count.
   */
  repliesSizeBytesMax: 16 * 1_024 * 1_024,
  /** Bytes of one kept reply; a call beyond gets TOO_BIG, and nothing that it wrote is committed. */
  replySizeBytesMax: 4 * 1_024 * 1_024,
  /**
   * Bytes of all sections; a write beyond throws NO_SPACE. Whole contents travel as one message, so this has to stay
   * well below the largest message.
   */
  sizeBytesMax: 32 * 1_024 * 1_024,
  /** A longer section id is refused with INVALID_PARAMETER: it has to fit into a key of the store. */
  sectionNameLengthMax: 255,
  /** Added to what is left of a call's deadline: so long its reply is kept at least. */
  keepMarginMs: 10_000,
  /** A write outside any call waits for its commit at most, then TIMEOUT. */
  writeTimeoutMs: 10_000,
  /** A role that is given up waits for running commits at most, then gives them up and fetches the content again. */
  drainTimeoutMs: 5_000,
  /** Refusals of the oldest batch in a row, of kinds that time does not heal, before the process gives up. */
  refusalCountMax: 5,
} as const
