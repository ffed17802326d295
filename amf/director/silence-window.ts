/**
 * Calls back once, when `silenceMs` have passed. A window in which this process itself stood still starts again: what
 * others sent meanwhile may lie unread.
 * @returns stops waiting.
 */
export function afterSilence(
  silenceMs: number,
  nowMs: () => number,
  onOver: () => void,
): () => void {
  const tickMs = Math.max(10, silenceMs / 10)
  let lastMs = nowMs()
  let sinceMs = lastMs
  const timer = setInterval(() => {
    const atMs = nowMs()
    if (atMs - lastMs > tickMs + silenceMs / 4) sinceMs = atMs
    lastMs = atMs
    if (atMs - sinceMs < silenceMs) return
    clearInterval(timer)
    setImmediate(onOver)
  }, tickMs)
  return () => clearInterval(timer)
}
