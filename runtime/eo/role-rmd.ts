import type { ClientOf, Interface, MethodSpecs } from '../../idl/index.ts'
import {
  DEFAULT_TIMEOUT_MS,
  type Destination,
  type Epoch,
  type Rmd,
  type RmdCallOptions,
} from '../../ioc/index.ts'
import type { CallContext } from './call-context.ts'

/**
 * RMD as a component's author gets it. Each call carries the epoch under which the component is ACTIVE at that moment;
 * one that a function makes lasts no longer than the call that the function works for, and is given up with it.
 */
export function roleRmd(
  rmd: Rmd,
  epoch: () => Epoch,
  context: CallContext,
): Pick<Rmd, 'client' | 'call' | 'statistics'> {
  const inherited = (
    options: RmdCallOptions | undefined,
    defaults: RmdCallOptions,
  ): RmdCallOptions | undefined => {
    const role = options?.epoch ?? defaults.epoch ?? epoch()
    const call = context.current()
    if (call === undefined) return role === 0 ? options : { ...options, epoch: role }
    const leftMs = Math.max(1, call.deadlineMs - performance.now())
    const wantedMs = options?.timeoutMs ?? defaults.timeoutMs ?? DEFAULT_TIMEOUT_MS
    return {
      ...options,
      epoch: role,
      timeoutMs: Math.min(wantedMs, leftMs),
      signal: options?.signal ?? defaults.signal ?? call.signal,
    }
  }
  return {
    call: (to, functionNumber, payload, options) =>
      rmd.call(to, functionNumber, payload, inherited(options, {})),
    client: <M extends MethodSpecs>(
      face: Interface<M>,
      options: RmdCallOptions & { readonly to: Destination },
    ) => {
      type Method = (input: unknown, extra?: RmdCallOptions) => unknown
      const client = rmd.client(face, options) as Readonly<Record<string, Method>>
      const methods = Object.entries(client).map(([name, method]): [string, Method] => [
        name,
        (input, extra) => method(input, inherited(extra, options)),
      ])
      return Object.freeze(Object.fromEntries(methods)) as ClientOf<M, RmdCallOptions>
    },
    statistics: () => rmd.statistics(),
  }
}
