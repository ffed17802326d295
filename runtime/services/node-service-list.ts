import { clusterEventServers } from './cluster-events/server.ts'
import { eventServer } from './event/server.ts'
import { logServer } from './log/server.ts'
import { nameServer } from './name/server.ts'
import { namedCheckpointServer } from './named-checkpoint/server.ts'
import type { CreateServices } from './node-services.ts'
import { transactionServer } from './transaction/server.ts'

/** The server sides that every node process runs. */
export const NODE_SERVICES: readonly CreateServices[] = [
  nameServer,
  // With group membership, which they tell of.
  clusterEventServers,
  transactionServer,
  eventServer,
  namedCheckpointServer,
  logServer,
]
