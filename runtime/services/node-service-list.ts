import { eventServer } from './event/server.ts'
import { groupServer } from './group/server.ts'
import { nameServer } from './name/server.ts'
import type { NodeService, ServiceHost } from './service.ts'
import { transactionServer } from './transaction/server.ts'

/** The server sides that every node process runs. */
export const NODE_SERVICES: readonly ((host: ServiceHost) => NodeService)[] = [
  nameServer,
  groupServer,
  transactionServer,
  eventServer,
]
