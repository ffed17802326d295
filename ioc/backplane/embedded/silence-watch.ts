/**
 * Who has been silent too long, judged so that a late judge blames nobody: when the own tick came
 * late (event loop stalled, machine paused), everything that was not heard meanwhile may wait
 * unread, so every window starts again.
 */
export interface SilenceWatch {
  readonly silenceMs: number
  /** A gap between two ticks above this means that the judge itself was late. */
  readonly lateTickMs: number
  readonly lastTickMs: number
  /** When each peer was heard last, or when its window was started again. */
  readonly heardMs: ReadonlyMap<string, number>
}

/** @param tickMs - how often {@link tickSilence} is meant to be called. */
export function createSilenceWatch(
  { silenceMs, tickMs }: { silenceMs: number; tickMs: number },
  nowMs: number,
): SilenceWatch {
  const lateTickMs = tickMs + silenceMs / 4
  return { silenceMs, lateTickMs, lastTickMs: nowMs, heardMs: new Map() }
}

/** A sign of life of `peer`; also what begins to watch it. */
export function hearPeer(watch: SilenceWatch, peer: string, nowMs: number): SilenceWatch {
  return { ...watch, heardMs: new Map(watch.heardMs).set(peer, nowMs) }
}

export function forgetPeer(watch: SilenceWatch, peer: string): SilenceWatch {
  const heardMs = new Map(watch.heardMs)
  heardMs.delete(peer)
  return { ...watch, heardMs }
}

/** Judges everyone. A silent peer is named in each tick until it is heard or forgotten. */
export function tickSilence(
  watch: SilenceWatch,
  nowMs: number,
): { readonly watch: SilenceWatch; readonly late: boolean; readonly silent: readonly string[] } {
  const late = nowMs - watch.lastTickMs > watch.lateTickMs
  if (late) {
    const heardMs = new Map([...watch.heardMs.keys()].map((peer) => [peer, nowMs]))
    return { watch: { ...watch, lastTickMs: nowMs, heardMs }, late, silent: [] }
  }
  const silent = [...watch.heardMs]
    .filter(([, heardMs]) => nowMs - heardMs > watch.silenceMs)
    .map(([peer]) => peer)
  return { watch: { ...watch, lastTickMs: nowMs }, late, silent }
}
