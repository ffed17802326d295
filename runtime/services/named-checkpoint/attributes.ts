import { SdkError } from '../../../idl/index.ts'
import { CHECKPOINT_BOUNDS, type CheckpointAttributes, type CreationFlag } from './interface.ts'

/** When a write is done. */
export type WriteMode = 'ALL_REPLICAS' | 'ALL_SAFE' | 'ACTIVE' | 'ACTIVE_WEAK'

const MODES: readonly (readonly [CreationFlag, WriteMode])[] = [
  ['WR_ALL_SAFE', 'ALL_SAFE'],
  ['WR_ALL_REPLICAS', 'ALL_REPLICAS'],
  ['WR_ACTIVE_REPLICA', 'ACTIVE'],
  ['WR_ACTIVE_REPLICA_WEAK', 'ACTIVE_WEAK'],
]

/** Flags by which every node that has the checkpoint open holds a replica. */
const OPENERS: readonly CreationFlag[] = [
  'DISTRIBUTED',
  'ALL_OPEN_ARE_REPLICAS',
  'PEER_TO_PEER_REPLICA',
]

/** Mode of its writes. */
export function writeModeOf({ creationFlags }: CheckpointAttributes): WriteMode {
  const found = MODES.find(([flag]) => creationFlags.includes(flag))
  return found?.[1] ?? 'ALL_REPLICAS'
}

/** True when a write returns before other replicas have it. */
export function isAsynchronous(attributes: CheckpointAttributes): boolean {
  return writeModeOf(attributes).startsWith('ACTIVE')
}

/** True when the nodes of all openers hold replicas. */
export function hasOpenerReplicas({ creationFlags }: CheckpointAttributes): boolean {
  return OPENERS.some((flag) => creationFlags.includes(flag))
}

/** True when nobody has the active replica before `activeReplicaSet`. */
export function waitsForActive(attributes: CheckpointAttributes): boolean {
  return attributes.creationFlags.includes('COLLOCATED') && isAsynchronous(attributes)
}

/** The same attributes in one form: flags once, in one order. */
export function normalAttributes(attributes: CheckpointAttributes): CheckpointAttributes {
  const { durable = false, creationFlags, ...rest } = attributes
  const flags = { creationFlags: [...new Set(creationFlags)].sort() }
  return { ...rest, ...flags, ...(durable && { durable }) }
}

/**
 * Checks what a checkpoint is to be created with. SAFplus, section 14.2.
 * @throws SdkError INVALID_PARAMETER, BAD_FLAG.
 */
export function checkAttributes(name: string, attributes: CheckpointAttributes): void {
  const { creationFlags: flags, checkpointSize, maxSections, maxSectionSize } = attributes
  const place = `checkpoint ${name}`
  const modes = MODES.filter(([flag]) => flags.includes(flag)).map(([flag]) => flag)
  const isSafe = modes.length === 2 && modes[0] === 'WR_ALL_SAFE' && modes[1] === 'WR_ALL_REPLICAS'
  if (modes.length > 1 && !isSafe) {
    throw new SdkError('BAD_FLAG', `${place}: ${modes.join(' and ')} exclude each other`)
  }
  if (checkpointSize > 0 && maxSectionSize > 0 && checkpointSize > maxSections * maxSectionSize) {
    const message = `${place}: checkpointSize ${checkpointSize} is above maxSections x maxSectionSize`
    throw new SdkError('INVALID_PARAMETER', message)
  }
  if (maxSections > 1 && attributes.maxSectionIdSize === 0) {
    const message = `${place}: maxSectionIdSize is 0: sections beside the default one need ids`
    throw new SdkError('INVALID_PARAMETER', message)
  }
  if (attributes.durable === true && isAsynchronous(attributes)) {
    const message = `${place}: a durable one answers when it is on every disk: not asynchronously`
    throw new SdkError('INVALID_PARAMETER', message)
  }
  const largest = Math.max(checkpointSize, maxSectionSize)
  if (largest > CHECKPOINT_BOUNDS.contentBytes) {
    const message = `${place}: ${largest} bytes; at most ${CHECKPOINT_BOUNDS.contentBytes}`
    throw new SdkError('INVALID_PARAMETER', message)
  }
}
