/** Data as a callback gets it. */
export interface Revocable<T> {
  readonly value: T
  /** From now on every look at it fails with a TypeError; bytes are overwritten. */
  revoke(): void
}

/** Freezes a value and what is in it. Bytes cannot be frozen: each callback has its own. */
export function frozen<T>(value: T): T {
  if (!isContainer(value)) return value
  for (const part of Object.values(value)) frozen(part)
  return Object.freeze(value)
}

/** The same, in a way that can be taken back: for programs under test. */
export function revocable<T>(value: T): Revocable<T> {
  const revokes: (() => void)[] = []
  const wrap = (part: unknown): unknown => {
    if (part instanceof Uint8Array) revokes.push(() => part.fill(0))
    if (!isContainer(part)) return part
    const copy: object = Array.isArray(part)
      ? part.map(wrap)
      : Object.fromEntries(Object.entries(part).map(([name, one]) => [name, wrap(one)]))
    const { proxy, revoke } = Proxy.revocable(Object.freeze(copy), {})
    revokes.push(revoke)
    return proxy
  }
  return {
    value: wrap(value) as T,
    revoke: () => {
      for (const revoke of revokes) revoke()
    },
  }
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
}
