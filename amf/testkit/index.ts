/** `holdfast/testkit`: clusters of real processes for failover tests, with any test runner. */
export { startCluster } from './cluster.ts'
export type { Cluster, ClusterOptions, Killed } from './cluster.ts'
export { TestHooks, testHooks } from './hooks.ts'
export type { RoleChange } from './history.ts'
export type { ClusterView, ComponentView } from '../operator/view.ts'
export type { ClusterProcess, ProcessKind } from '../operator/processes.ts'
