/** The public door of `amf/`: models, the management interface, and running a node from a program of one's own. */
export { adminOperationSchema, Management } from './director/interface.ts'
export type { ClusterStatus, NotificationRecord } from './director/interface.ts'
export type { AdminOperation } from './engine/contract.ts'
export { loadModel } from './model/load.ts'
export type {
  ComponentModel,
  CsiModel,
  Model,
  NodeModel,
  RedundancyModel,
  ServiceGroupModel,
  ServiceInstanceModel,
  ServiceUnitModel,
} from './model/model.ts'
export { NODE_EXIT, runNode } from './node/node-process.ts'
export type { NodeProcessOptions } from './node/node-process.ts'
