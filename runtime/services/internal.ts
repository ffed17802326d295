/** The door of the services for node processes: it loads the store, which component processes do not. */
export { createCheckpointServer } from './checkpoint/server.ts'
export type { CheckpointServer, CheckpointServerOptions } from './checkpoint/server.ts'
export type { ReplicaGrant } from './checkpoint/csi-replica-server.ts'
export { NODE_SERVICES } from './node-service-list.ts'
export { NodeServices } from './node-services.ts'
export type { NodeServicesOptions } from './node-services.ts'
export type { InSyncAuthority } from './checkpoint/interface.ts'
