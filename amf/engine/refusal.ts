import type { AdminResult } from './contract.ts'
import type { EntityClass } from './state.ts'

/** An operation that is not done, with the standard's word for why. */
export type Refusal = Extract<AdminResult, { ok: false }>

export function refuse(code: Refusal['code'], message: string): Refusal {
  return { ok: false, code, message }
}

/** Entity classes as operators read them. */
export const CLASS_WORDS: Readonly<Record<EntityClass, string>> = {
  cluster: 'cluster',
  application: 'application',
  nodeGroup: 'node group',
  node: 'node',
  serviceGroup: 'service group',
  serviceUnit: 'service unit',
  component: 'component',
  serviceInstance: 'service instance',
  csi: 'CSI',
}
