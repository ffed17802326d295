import type { Cluster, ClusterView } from 'holdfast/testkit'
import type { SequenceLoad } from './load.ts'

const SI = 'sequenceSI'
/** A failover that takes longer than this ends the run. */
const FAILOVER_MS_MAX = 30_000

/** One kill and what came of it. */
export interface Failover {
  readonly component: string
  readonly ms: number
}

/**
 * Kills the active one with SIGKILL every `everyMs` until the signal aborts. The next kill waits until the failover
 * before it is over and there is a standby again: without one there would be nobody to fail over to.
 *
 * @throws Error when a failover does not end within 30 s.
 */
export async function killActives(
  cluster: Cluster,
  load: SequenceLoad,
  options: {
    readonly everyMs: number
    readonly signal: AbortSignal
    readonly onFailover: (failover: Failover) => void
  },
): Promise<void> {
  const { everyMs, signal, onFailover } = options
  for (let dueMs = performance.now() + everyMs; ; dueMs += everyMs) {
    await sleepUntil(dueMs, signal)
    const view = signal.aborted ? null : await untilPair(cluster, signal)
    if (view === null || signal.aborted) return
    onFailover(await killActive(cluster, load, view))
    dueMs = Math.max(dueMs, performance.now() - everyMs)
  }
}

async function killActive(
  cluster: Cluster,
  load: SequenceLoad,
  view: ClusterView,
): Promise<Failover> {
  const component = view.activeComponent(SI)?.name ?? ''
  const seen = load.firstReplyAfter(load.epoch)
  const { atMs } = await cluster.kill(component)
  const replyMs = await Promise.race([seen, tooLong(component)])
  return { component, ms: replyMs - atMs }
}

async function untilPair(cluster: Cluster, signal: AbortSignal): Promise<ClusterView | null> {
  const isPair = (view: ClusterView): boolean =>
    view.active(SI) !== null && view.standby(SI) !== null
  while (!signal.aborted) {
    try {
      return await cluster.until(isPair, 1_000)
    } catch {
      // Still none: look again, unless the run is over.
    }
  }
  return null
}

function sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, Math.max(0, atMs - performance.now()))
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}

function tooLong(component: string): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(
      () => reject(new Error(`no reply within ${FAILOVER_MS_MAX} ms of the kill of ${component}`)),
      FAILOVER_MS_MAX,
    ).unref()
  })
}
