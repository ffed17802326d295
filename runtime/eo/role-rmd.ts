import type { Interface } from '../../idl/index.ts'
import { DEFAULT_TIMEOUT_MS, type Destination, type Epoch, type Rmd } from '../../ioc/index.ts'
import type { AppCallOptions, AppRmd } from './app.ts'
import type { CallContext } from './call-context.ts'

/**
 * RMD as a component's author gets it. Each call carries the epoch under which the component is ACTIVE at that moment;
 * one that a function makes lasts no longer than the call that the function works for, is given up with it, and carries
 * its trace.
 */
export function roleRmd(rmd: Rmd, epoch: () => Epoch, context: CallContext): AppRmd {
  const made = <T>(
    options: AppCallOptions | undefined,
    defaults: AppCallOptions,
    make: (options: AppCallOptions | undefined) => T,
  ): T => {
    const role = options?.epoch ?? defaults.epoch ?? epoch()
    const within = options?.within === undefined ? defaults.within : options.within
    const call = within === undefined ? context.current() : within
    if (call == null) return make(role === 0 ? options : { ...options, epoch: role })
    const leftMs = Math.max(1, call.deadlineMs - performance.now())
    const wantedMs = options?.timeoutMs ?? defaults.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const trace = options?.trace ?? defaults.trace ?? call.trace
    const inherited = {
      ...options,
      epoch: role,
      timeoutMs: Math.min(wantedMs, leftMs),
      ...(trace === undefined ? {} : { trace }),
    }
    const own = options?.signal ?? defaults.signal
    if (own === undefined) return make({ ...inherited, signal: call.signal })
    return withEither(own, call.signal, (signal) => make({ ...inherited, signal }))
  }
  return {
    call: (to, functionNumber, payload, options) => {
      if (options?.within === undefined) context.follow()
      return made(options, {}, (all) => rmd.call(to, functionNumber, payload, all))
    },
    client: ((face: Interface, options: AppCallOptions & { readonly to: Destination }) => {
      if (options.within === undefined) context.follow()
      type Method = (input: unknown, extra?: AppCallOptions) => unknown
      const client = rmd.client(face, options) as Readonly<Record<string, Method>>
      const methods = Object.entries(client).map(([name, method]): [string, Method] => [
        name,
        (input, extra) => made(extra, options, (all) => method(input, all)),
      ])
      return Object.freeze(Object.fromEntries(methods))
    }) as AppRmd['client'],
    statistics: () => rmd.statistics(),
  }
}

/**
 * Makes a call, or a stream, that either of two signals ends. Of a call nothing stays behind: `AbortSignal.any`, which
 * streams have to do with, leaves a reference in a signal that lives on.
 */
function withEither<T>(a: AbortSignal, b: AbortSignal, make: (signal: AbortSignal) => T): T {
  const either = new AbortController()
  const abort = (): void => either.abort()
  if (a.aborted || b.aborted) abort()
  const made = make(either.signal)
  const signals = [a, b]
  if (made instanceof Promise) {
    for (const signal of signals) signal.addEventListener('abort', abort)
    const leave = (): void => {
      for (const signal of signals) signal.removeEventListener('abort', abort)
    }
    made.then(leave, leave)
  } else AbortSignal.any(signals).addEventListener('abort', abort)
  return made
}
