/** One line of syslog in its parts; each way puts them together as its other end takes them. */
export interface SyslogLine {
  /** Facility and severity, as RFC 5424 counts them. */
  readonly priority: number
  /** Header of RFC 5424 without priority and version. */
  readonly header: string
  /** Who says it, where somebody else makes the header. */
  readonly tag: string
  /** Structured data and text, on one line. */
  readonly body: string
}

/** A way to a syslog that is open. */
export interface SyslogWay {
  /**
   * Hands a line over without waiting.
   * @param done - told once: false when the line is surely lost; what the kernel took may still be.
   * @returns false when no more is to be handed over until `onDrain`.
   */
  send(line: SyslogLine, done: (isSent: boolean) => void): boolean
  /** Lets go of it, at the latest after a second. */
  close(): Promise<void>
}

/** What a way tells; after `onDown` nothing more. */
export interface SyslogWayEvents {
  onDrain(): void
  onDown(reason: Error): void
}

/** Where `HOLDFAST_SYSLOG` leads. */
export type SyslogTarget =
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'udp'; readonly host: string; readonly port: number }

/** How long `close` waits for what is under way. */
export const WAY_CLOSE_MS = 1_000
