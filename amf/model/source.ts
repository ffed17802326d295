/** The text of a model that an operator applied, as the control store keeps it and nodes pass it on. */
export interface ModelSource {
  readonly text: string
  /** Absolute path that relative paths in the text are looked up from. */
  readonly path: string
  /** Counts the models of a cluster: 0 is the one it was brought up with, each applied one is one more. */
  readonly version: number
}
