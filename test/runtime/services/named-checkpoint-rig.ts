import { namedCheckpointServer } from '../../../runtime/services/named-checkpoint/server.ts'
import {
  type CheckpointCreation,
  type NamedCheckpointCallbacks,
  type NamedCheckpointClient,
  namedCheckpointLibrary,
  type NamedCheckpointService,
} from '../../../runtime/services/named-checkpoint/client.ts'
import type { NamedCheckpointHandle } from '../../../runtime/index.ts'
import { rejection } from '../../ioc/rmd-kit.ts'
import { type RigComponent, ServiceRig } from './rig.ts'

export interface CheckpointUser {
  readonly component: RigComponent<NamedCheckpointClient>
  readonly service: NamedCheckpointService
  /** Role epochs of the component, by CSI. */
  readonly epochs: Map<string, number>
}

export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
export const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()

export const code = async (promise: Promise<unknown>): Promise<unknown> =>
  ((await rejection(promise)) as { code: string }).code

/** Several real nodes with real stores, the first of which leads. */
export async function checkpointRig(
  open: ServiceRig[],
  ...ids: readonly number[]
): Promise<ServiceRig> {
  const rig = new ServiceRig(namedCheckpointServer)
  open.push(rig)
  await rig.startStoring(...ids)
  return rig
}

export async function user(
  rig: ServiceRig,
  node: number,
  name: string,
  callbacks: NamedCheckpointCallbacks = {},
): Promise<CheckpointUser> {
  const epochs = new Map<string, number>()
  const component = await rig.component(node, name, (context) =>
    namedCheckpointLibrary({ ...context, epochOf: (csi) => epochs.get(csi) ?? 0 }),
  )
  return { component, service: component.client.initialize(callbacks), epochs }
}

/** Opens for everything, with a few sections of any size. */
export function openAll(
  { service }: CheckpointUser,
  name: string,
  attributes: Partial<CheckpointCreation> = {},
  csi?: string,
): Promise<NamedCheckpointHandle> {
  return service.open({
    name,
    flags: ['CREATE', 'READ', 'WRITE'],
    attributes: { maxSections: 10, ...attributes },
    ...(csi === undefined ? {} : { csi }),
  })
}

export async function idsOf(handle: NamedCheckpointHandle): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of handle.sections()) ids.push(id)
  return ids
}
