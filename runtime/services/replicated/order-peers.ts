import type { ClientOf } from '../../../idl/index.ts'
import { IOC_PORT, type Rmd, type RmdCallOptions } from '../../../ioc/index.ts'
import { OrderFollow, OrderLead } from './interface.ts'

const CALL_TIMEOUT_MS = 2_000

/** How a node reaches the others. */
export interface OrderPeers {
  lead(node: number): ClientOf<(typeof OrderLead)['spec'], RmdCallOptions>
  follow(node: number): ClientOf<(typeof OrderFollow)['spec'], RmdCallOptions>
  /** Calls back when the connection to a node is gone. @returns what stops it */
  onDeath(listener: (node: number) => void): () => void
}

/** Over the RMD of the node's agent port. */
export function rmdPeers(rmd: Rmd): OrderPeers {
  const to = (node: number): { to: { node: number; port: number }; timeoutMs: number } => ({
    to: { node, port: IOC_PORT.agent },
    timeoutMs: CALL_TIMEOUT_MS,
  })
  return {
    lead: (node) => rmd.client(OrderLead, to(node)),
    follow: (node) => rmd.client(OrderFollow, to(node)),
    onDeath: (listener) =>
      rmd.onPresence(({ kind, address }) => {
        if (kind === 'death' && address.port === IOC_PORT.agent) listener(address.node)
      }),
  }
}
