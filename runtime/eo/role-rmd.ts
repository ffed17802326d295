import type { ClientOf, Interface, MethodSpecs } from '../../idl/index.ts'
import type { Destination, Epoch, Rmd, RmdCallOptions } from '../../ioc/index.ts'

/**
 * RMD as a component's author gets it: each call carries the epoch under which the component is ACTIVE at that moment.
 */
export function roleRmd(rmd: Rmd, epoch: () => Epoch): Pick<Rmd, 'client' | 'call' | 'statistics'> {
  const withRole = <O extends RmdCallOptions>(
    options?: O,
  ): (O & { epoch: Epoch }) | O | undefined => {
    const role = epoch()
    if (role === 0 || options?.epoch !== undefined) return options
    return { ...options, epoch: role } as O & { epoch: Epoch }
  }
  return {
    call: (to, functionNumber, payload, options) =>
      rmd.call(to, functionNumber, payload, withRole(options)),
    client: <M extends MethodSpecs>(
      face: Interface<M>,
      options: RmdCallOptions & { readonly to: Destination },
    ) => {
      type Method = (input: unknown, extra?: RmdCallOptions) => Promise<unknown>
      const client = rmd.client(face, options) as Readonly<Record<string, Method>>
      const methods = Object.entries(client).map(([name, method]): [string, Method] => [
        name,
        (input, extra) => method(input, withRole(extra)),
      ])
      return Object.freeze(Object.fromEntries(methods)) as ClientOf<M, RmdCallOptions>
    },
    statistics: () => rmd.statistics(),
  }
}
