import type { ClientOf, Interface, MethodSpecs } from '../../idl/index.ts'
import { DEFAULT_TIMEOUT_MS, type Destination, type Epoch, type Rmd } from '../../ioc/index.ts'
import type { AppCallOptions, AppRmd } from './app.ts'
import type { CallContext } from './call-context.ts'

/**
 * RMD as a component's author gets it. Each call carries the epoch under which the component is ACTIVE at that moment;
 * one that a function makes lasts no longer than the call that the function works for, is given up with it, and carries
 * its trace.
 */
export function roleRmd(rmd: Rmd, epoch: () => Epoch, context: CallContext): AppRmd {
  const inherited = (
    options: AppCallOptions | undefined,
    defaults: AppCallOptions,
  ): AppCallOptions | undefined => {
    const role = options?.epoch ?? defaults.epoch ?? epoch()
    const within = options?.within === undefined ? defaults.within : options.within
    const call = within === undefined ? context.current() : within
    if (call == null) return role === 0 ? options : { ...options, epoch: role }
    const leftMs = Math.max(1, call.deadlineMs - performance.now())
    const wantedMs = options?.timeoutMs ?? defaults.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const trace = options?.trace ?? defaults.trace ?? call.trace
    return {
      ...options,
      epoch: role,
      timeoutMs: Math.min(wantedMs, leftMs),
      signal: options?.signal ?? defaults.signal ?? call.signal,
      ...(trace === undefined ? {} : { trace }),
    }
  }
  return {
    call: (to, functionNumber, payload, options) => {
      if (options?.within === undefined) context.follow()
      return rmd.call(to, functionNumber, payload, inherited(options, {}))
    },
    client: <M extends MethodSpecs>(
      face: Interface<M>,
      options: AppCallOptions & { readonly to: Destination },
    ) => {
      if (options.within === undefined) context.follow()
      type Method = (input: unknown, extra?: AppCallOptions) => unknown
      const client = rmd.client(face, options) as Readonly<Record<string, Method>>
      const methods = Object.entries(client).map(([name, method]): [string, Method] => [
        name,
        (input, extra) => method(input, inherited(extra, options)),
      ])
      return Object.freeze(Object.fromEntries(methods)) as ClientOf<M, AppCallOptions>
    },
    statistics: () => rmd.statistics(),
  }
}
