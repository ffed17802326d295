// Longer than usual: the checkpoint service of the original, a thin line for each of its functions.
import { CL_CID, CL_ERR, CL_OK, type ClRcT, isSdkError, rcOf, SdkError } from '../../idl/index.ts'
import type {
  CheckpointOpenFlag,
  CheckpointOpenRequest,
  NamedCheckpointService,
} from '../services/named-checkpoint/client.ts'
import type { NamedCheckpointHandle } from '../services/named-checkpoint/handle-contract.ts'
import {
  CHECKPOINT_BOUNDS,
  type CreationFlag,
  type SectionDescriptor,
  type SectionsChosen,
} from '../services/named-checkpoint/interface.ts'
import { given, handle } from './library.ts'
import { boundApp, rcOfLibrary, type ClOut } from './process.ts'

/** Flags and values of the checkpoint service. SAFplus, section 14. */
export const CL_CKPT_CHECKPOINT_READ = 1
export const CL_CKPT_CHECKPOINT_WRITE = 2
export const CL_CKPT_CHECKPOINT_CREATE = 4
export const CL_CKPT_WR_ALL_REPLICAS = 0x1
export const CL_CKPT_WR_ACTIVE_REPLICA = 0x2
export const CL_CKPT_WR_ACTIVE_REPLICA_WEAK = 0x4
export const CL_CKPT_CHECKPOINT_COLLOCATED = 0x8
export const CL_CKPT_DISTRIBUTED = 0x10
export const CL_CKPT_WR_ALL_SAFE = 0x20
export const CL_CKPT_ALL_OPEN_ARE_REPLICAS = 0x40
export const CL_CKPT_PEER_TO_PEER_REPLICA = 0x80
/** Accepted, and nothing follows from it: there is no cache. */
export const CL_CKPT_PEER_TO_PEER_CACHE_DISABLE = 0x100
export const CL_CKPT_SECTIONS_FOREVER = 1
export const CL_CKPT_SECTIONS_LEQ_EXPIRATION_TIME = 2
export const CL_CKPT_SECTIONS_GEQ_EXPIRATION_TIME = 3
export const CL_CKPT_SECTIONS_CORRUPTED = 4
export const CL_CKPT_SECTIONS_ANY = 5
export const CL_CKPT_SECTION_VALID = 1
/** No section is ever shown so: content that does not check comes again from a replica in sync first. */
export const CL_CKPT_SECTION_CORRUPTED = 2
/** An expiration time or retention that never comes. */
export const CL_TIME_END = 0x7fff_ffff_ffff_ffffn
/** What the end of an iteration is. */
const NO_MORE_SECTIONS = 0x101
const NS_PER_MS = 1_000_000n
const OPEN_FLAGS_ALL = 7

const OPEN_FLAGS: readonly (readonly [number, CheckpointOpenFlag])[] = [
  [CL_CKPT_CHECKPOINT_READ, 'READ'],
  [CL_CKPT_CHECKPOINT_WRITE, 'WRITE'],
  [CL_CKPT_CHECKPOINT_CREATE, 'CREATE'],
]
const CREATION_FLAGS: readonly (readonly [number, CreationFlag])[] = [
  [CL_CKPT_WR_ALL_REPLICAS, 'WR_ALL_REPLICAS'],
  [CL_CKPT_WR_ACTIVE_REPLICA, 'WR_ACTIVE_REPLICA'],
  [CL_CKPT_WR_ACTIVE_REPLICA_WEAK, 'WR_ACTIVE_REPLICA_WEAK'],
  [CL_CKPT_CHECKPOINT_COLLOCATED, 'COLLOCATED'],
  [CL_CKPT_DISTRIBUTED, 'DISTRIBUTED'],
  [CL_CKPT_WR_ALL_SAFE, 'WR_ALL_SAFE'],
  [CL_CKPT_ALL_OPEN_ARE_REPLICAS, 'ALL_OPEN_ARE_REPLICAS'],
  [CL_CKPT_PEER_TO_PEER_REPLICA, 'PEER_TO_PEER_REPLICA'],
]
const CHOSEN: ReadonlyMap<number, SectionsChosen> = new Map([
  [CL_CKPT_SECTIONS_FOREVER, 'FOREVER'],
  [CL_CKPT_SECTIONS_LEQ_EXPIRATION_TIME, 'LEQ_EXPIRATION'],
  [CL_CKPT_SECTIONS_GEQ_EXPIRATION_TIME, 'GEQ_EXPIRATION'],
  [CL_CKPT_SECTIONS_CORRUPTED, 'CORRUPTED'],
  [CL_CKPT_SECTIONS_ANY, 'ANY'],
])

/** A use of the service. */
export type ClCkptSvcHdlT = NamedCheckpointService
/** An open checkpoint. */
export type ClCkptHdlT = NamedCheckpointHandle
/** An iteration over sections. */
export type ClCkptSectionIterHdlT = AsyncIterator<SectionDescriptor>

/** Times in nanoseconds. */
export interface ClCkptCheckpointCreationAttributesT {
  readonly creationFlags: number
  readonly checkpointSize: number
  readonly retentionDuration: bigint
  readonly maxSections: number
  readonly maxSectionSize: number
  readonly maxSectionIdSize: number
  /** No word of the original: see `CheckpointCreation`. */
  readonly durable?: boolean
}

/** What a section is created with. */
export interface ClCkptSectionCreationAttributesT {
  /** Its id; an empty one asks for a generated id, which is put here. */
  sectionId: string
  /** Nanoseconds since 1970, or `CL_TIME_END`. */
  readonly expirationTime: bigint
}

export interface ClCkptSectionDescriptorT {
  readonly sectionId: string
  readonly expirationTime: bigint
  readonly sectionSize: number
  readonly sectionState: number
  readonly lastUpdate: bigint
}

export interface ClCkptIOVectorElementT {
  readonly sectionId: string
  /** What is written; of a read, where it goes: what was read is put here. */
  dataBuffer: Uint8Array | null
  readonly dataSize: number
  readonly dataOffset: number
  /** Of a read: bytes that were read. */
  readSize?: number
}

export interface ClCkptCheckpointDescriptorT {
  readonly checkpointCreationAttributes: ClCkptCheckpointCreationAttributesT
  readonly numberOfSections: number
  readonly memoryUsed: number
}

export interface ClCkptCallbacksT {
  readonly checkpointOpenCallback?: (
    invocation: number,
    checkpoint: NamedCheckpointHandle | null,
    rc: ClRcT,
  ) => void
  readonly checkpointSynchronizeCallback?: (invocation: number, rc: ClRcT) => void
}

/** Told of each commit: the sections that it changed, whole ones where they came with their bytes. */
export type ClCkptNotificationCallbackT = (
  checkpoint: NamedCheckpointHandle,
  name: string,
  ioVector: readonly ClCkptIOVectorElementT[],
  numSections: number,
  cookie: unknown,
) => void

/** `app.checkpoint.initialize`. */
export function clCkptInitialize(
  out: ClOut<NamedCheckpointService | undefined>,
  callbacks: ClCkptCallbacksT | null,
  version: string | null,
): ClRcT {
  try {
    const app = boundApp()
    if (app === undefined) return rcOf(CL_CID.CKPT, CL_ERR.INVALID_STATE)
    const { checkpointOpenCallback: opened, checkpointSynchronizeCallback: synchronized } =
      callbacks ?? {}
    given('ckptSvcHandle', out).value = app.checkpoint.initialize(
      {
        ...(opened === undefined
          ? {}
          : { checkpointOpen: (id, handle, error) => opened(id, handle, codeOf(error)) }),
        ...(synchronized === undefined
          ? {}
          : { checkpointSynchronize: (id, error) => synchronized(id, codeOf(error)) }),
      },
      given('version', version),
    )
    return CL_OK
  } catch (error) {
    return codeOf(error)
  }
}

/** `service.finalize`. */
export function clCkptFinalize(service: NamedCheckpointService): Promise<ClRcT> {
  return wait(() => initialized(service).finalize())
}

/** `service.open`; `timeout` in nanoseconds. */
export function clCkptCheckpointOpen(
  service: NamedCheckpointService,
  name: string,
  attributes: ClCkptCheckpointCreationAttributesT | null,
  flags: number,
  timeout: bigint,
  out: ClOut<NamedCheckpointHandle | undefined>,
): Promise<ClRcT> {
  return wait(async () => {
    const timeoutMs = Math.max(1, Number(timeout / NS_PER_MS))
    const request = requestOf(name, attributes, flags)
    given('ckptHandle', out).value = await initialized(service).open({ ...request, timeoutMs })
  })
}

/** `service.openAsync`. */
export function clCkptCheckpointOpenAsync(
  service: NamedCheckpointService,
  name: string,
  attributes: ClCkptCheckpointCreationAttributesT | null,
  flags: number,
  invocation: number,
): Promise<ClRcT> {
  return wait(() => initialized(service).openAsync(requestOf(name, attributes, flags), invocation))
}

/** `checkpoint.close`. */
export function clCkptCheckpointClose(checkpoint: NamedCheckpointHandle): Promise<ClRcT> {
  return wait(() => handle(checkpoint).close())
}

/** `service.unlink`. */
export function clCkptCheckpointDelete(
  service: NamedCheckpointService,
  name: string,
): Promise<ClRcT> {
  return wait(() => initialized(service).unlink(given('name', name)))
}

/** `checkpoint.retentionDurationSet`, in nanoseconds. */
export function clCkptCheckpointRetentionDurationSet(
  checkpoint: NamedCheckpointHandle,
  duration: bigint,
): Promise<ClRcT> {
  return wait(() => handle(checkpoint).retentionDurationSet(msOf(duration)))
}

/** `checkpoint.activeReplicaSet`. */
export function clCkptActiveReplicaSet(checkpoint: NamedCheckpointHandle): Promise<ClRcT> {
  return wait(() => handle(checkpoint).activeReplicaSet())
}

/** `checkpoint.status`. */
export function clCkptCheckpointStatusGet(
  checkpoint: NamedCheckpointHandle,
  out: ClOut<ClCkptCheckpointDescriptorT | undefined>,
): Promise<ClRcT> {
  return wait(async () => {
    const { attributes, sectionCount, memoryUsed } = await handle(checkpoint).status()
    const { creationFlags, retentionDurationMs, ...sizes } = attributes
    given('checkpointStatus', out).value = {
      checkpointCreationAttributes: {
        ...sizes,
        creationFlags: CREATION_FLAGS.reduce(
          (bits, [bit, flag]) => (creationFlags.includes(flag) ? bits | bit : bits),
          0,
        ),
        retentionDuration: nsOf(retentionDurationMs),
      },
      numberOfSections: sectionCount,
      memoryUsed,
    }
  })
}

/** `checkpoint.sectionCreate`. */
export function clCkptSectionCreate(
  checkpoint: NamedCheckpointHandle,
  section: ClCkptSectionCreationAttributesT,
  data: Uint8Array | null,
  dataSize: number,
): Promise<ClRcT> {
  return wait(async () => {
    const { sectionId, expirationTime } = given('sectionCreationAttributes', section)
    if (data === null && dataSize > 0) given('initialData', data)
    section.sectionId = await handle(checkpoint).sectionCreate({
      ...(sectionId === '' ? {} : { id: sectionId }),
      ...(data === null ? {} : { data: data.subarray(0, dataSize) }),
      expiresAtMs: msOf(expirationTime),
    })
  })
}

/** `checkpoint.sectionDelete`. */
export function clCkptSectionDelete(
  checkpoint: NamedCheckpointHandle,
  sectionId: string,
): Promise<ClRcT> {
  return wait(() => handle(checkpoint).sectionDelete(sectionId))
}

/** `checkpoint.sectionExpirationTimeSet`: nanoseconds since 1970, or `CL_TIME_END`. */
export function clCkptSectionExpirationTimeSet(
  checkpoint: NamedCheckpointHandle,
  sectionId: string,
  expirationTime: bigint,
): Promise<ClRcT> {
  return wait(() => handle(checkpoint).sectionExpirationTimeSet(sectionId, msOf(expirationTime)))
}

/** `checkpoint.sections`; `expirationTime` in nanoseconds since 1970. */
export function clCkptSectionIterationInitialize(
  checkpoint: NamedCheckpointHandle,
  chosen: number,
  expirationTime: bigint,
  out: ClOut<ClCkptSectionIterHdlT | undefined>,
): Promise<ClRcT> {
  return wait(() => {
    const filter = CHOSEN.get(chosen)
    if (filter === undefined) {
      throw new SdkError('INVALID_PARAMETER', `there is no filter ${chosen} of sections`)
    }
    given('sectionIterationHandle', out).value = handle(checkpoint).sections(
      filter,
      msOf(expirationTime),
    )
  })
}

/** The next section; 0x101 at the end. */
export async function clCkptSectionIterationNext(
  iteration: ClCkptSectionIterHdlT,
  out: ClOut<ClCkptSectionDescriptorT | undefined>,
): Promise<ClRcT> {
  try {
    const next = await given('sectionIterationHandle', iteration).next()
    if (next.done === true) return rcOf(CL_CID.CKPT, NO_MORE_SECTIONS)
    const { id, expiresAtMs, size, lastUpdateMs } = next.value
    given('sectionDescriptor', out).value = {
      sectionId: id,
      expirationTime: nsOf(expiresAtMs ?? Infinity),
      sectionSize: size,
      sectionState: CL_CKPT_SECTION_VALID,
      lastUpdate: nsOf(lastUpdateMs),
    }
    return CL_OK
  } catch (error) {
    return codeOf(error)
  }
}

/** Ends an iteration. */
export function clCkptSectionIterationFinalize(iteration: ClCkptSectionIterHdlT): Promise<ClRcT> {
  return wait(() => given('sectionIterationHandle', iteration).return?.())
}

/** `checkpoint.write` of the first elements; the number of a wrong one goes to `erroneousVectorIndex`. */
export function clCkptCheckpointWrite(
  checkpoint: NamedCheckpointHandle,
  vector: readonly ClCkptIOVectorElementT[],
  numberOfElements: number,
  erroneousVectorIndex: ClOut<number> | null,
): Promise<ClRcT> {
  return indexed(erroneousVectorIndex, async () => {
    const elements = firstOf(vector, numberOfElements).map((element) => ({
      id: element.sectionId,
      data: given('dataBuffer', element.dataBuffer).subarray(0, element.dataSize),
      offset: element.dataOffset,
    }))
    await handle(checkpoint).write(elements)
  })
}

/** `checkpoint.sectionOverwrite`. */
export function clCkptSectionOverwrite(
  checkpoint: NamedCheckpointHandle,
  sectionId: string,
  data: Uint8Array,
  dataSize: number,
): Promise<ClRcT> {
  return wait(() =>
    handle(checkpoint).sectionOverwrite(sectionId, given('dataBuffer', data).subarray(0, dataSize)),
  )
}

/** `checkpoint.read` of the first elements: into each element's buffer, a new one where there is none. */
export function clCkptCheckpointRead(
  checkpoint: NamedCheckpointHandle,
  vector: readonly ClCkptIOVectorElementT[],
  numberOfElements: number,
  erroneousVectorIndex: ClOut<number> | null,
): Promise<ClRcT> {
  return indexed(erroneousVectorIndex, async () => {
    const wanted = firstOf(vector, numberOfElements)
    const elements = wanted.map(({ sectionId, dataSize, dataOffset }) => ({
      id: sectionId,
      offset: dataOffset,
      ...(dataSize === 0 ? {} : { size: dataSize }),
    }))
    const read = await handle(checkpoint).read(elements)
    for (const [index, element] of wanted.entries()) {
      const data = read[index] ?? new Uint8Array()
      element.readSize = data.byteLength
      if (element.dataBuffer === null) element.dataBuffer = data
      else element.dataBuffer.set(data.subarray(0, element.dataBuffer.byteLength))
    }
  })
}

/** All sections with their data, each as it is when it is read. */
export function clCkptCheckpointReadSections(
  checkpoint: NamedCheckpointHandle,
  vector: ClOut<readonly ClCkptIOVectorElementT[]>,
  numberOfElements: ClOut<number>,
): Promise<ClRcT> {
  return wait(async () => {
    const out = given('ioVector', vector)
    const count = given('numberOfElements', numberOfElements)
    const elements: ClCkptIOVectorElementT[] = []
    for await (const { id } of handle(checkpoint).sections()) {
      const [data] = await handle(checkpoint).read([{ id }])
      const [dataBuffer, dataSize] = [data ?? new Uint8Array(), data?.byteLength ?? 0]
      elements.push({ sectionId: id, dataBuffer, dataSize, dataOffset: 0, readSize: dataSize })
    }
    out.value = elements
    count.value = elements.length
  })
}

/** `checkpoint.synchronize`; `timeout` in nanoseconds. */
export function clCkptCheckpointSynchronize(
  checkpoint: NamedCheckpointHandle,
  timeout: bigint,
): Promise<ClRcT> {
  return wait(() => handle(checkpoint).synchronize(Math.max(1, Number(timeout / NS_PER_MS))))
}

/** `checkpoint.synchronizeAsync`; without its callback INITIALIZED, as the original has it. SAFplus, section 14.2. */
export function clCkptCheckpointSynchronizeAsync(
  checkpoint: NamedCheckpointHandle,
  invocation: number,
): Promise<ClRcT> {
  return wait(() => {
    try {
      handle(checkpoint).synchronizeAsync(invocation)
    } catch (error) {
      if (!isSdkError(error, 'NO_CALLBACK')) throw error
      throw new SdkError('INITIALIZED', error.message, { cause: error })
    }
  })
}

/** `checkpoint.immediateConsumptionRegister`. */
export function clCkptImmediateConsumptionRegister(
  checkpoint: NamedCheckpointHandle,
  callback: ClCkptNotificationCallbackT | null,
  cookie: unknown,
): Promise<ClRcT> {
  return wait(() =>
    handle(checkpoint).immediateConsumptionRegister(
      callback === null
        ? null
        : ({ elements }, name) => {
            const vector = elements.map(({ id, size, data }) => ({
              sectionId: id,
              dataBuffer: data,
              dataSize: size,
              dataOffset: 0,
            }))
            callback(checkpoint, name, vector, vector.length, cookie)
          },
    ),
  )
}

/** @throws SdkError NULL_POINTER; INVALID_PARAMETER unless there are so many. */
function firstOf<T>(vector: readonly T[], count: number): readonly T[] {
  const elements = given('ioVector', vector)
  if (Number.isInteger(count) && count > 0 && count <= elements.length) {
    return elements.slice(0, count)
  }
  const message = `numberOfElements ${count}: the vector has ${elements.length}`
  throw new SdkError('INVALID_PARAMETER', message)
}

function initialized(service: NamedCheckpointService | null | undefined): NamedCheckpointService {
  if (service !== null && service !== undefined) return service
  throw new SdkError('NOT_INITIALIZED', 'there is no service handle: clCkptInitialize gives one')
}

function requestOf(
  name: string,
  attributes: ClCkptCheckpointCreationAttributesT | null,
  flags: number,
): CheckpointOpenRequest {
  if (flags < 1 || flags > OPEN_FLAGS_ALL) {
    throw new SdkError('BAD_FLAG', `checkpoint ${name}: open flags ${flags}; 1 to 7 are known`)
  }
  const open = OPEN_FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, flag]) => flag)
  const request = { name: given('name', name), flags: open }
  if (attributes === null) return request
  const { creationFlags, retentionDuration, ...sizes } = attributes
  const creation = CREATION_FLAGS.filter(([bit]) => (creationFlags & bit) !== 0)
  return {
    ...request,
    attributes: {
      ...sizes,
      maxSectionIdSize: Math.min(sizes.maxSectionIdSize, CHECKPOINT_BOUNDS.sectionIdLength),
      creationFlags: creation.map(([, flag]) => flag),
      retentionDurationMs: msOf(retentionDuration),
    },
  }
}

function msOf(ns: bigint): number {
  return ns === CL_TIME_END ? Infinity : Number(ns) / Number(NS_PER_MS)
}

function nsOf(ms: number): bigint {
  return ms === Infinity ? CL_TIME_END : BigInt(Math.round(ms * 1_000)) * 1_000n
}

/** Errors carry the component id of the service. */
function codeOf(error: unknown): ClRcT {
  return error === null ? CL_OK : rcOfLibrary(CL_CID.CKPT, error)
}

async function wait(step: () => unknown): Promise<ClRcT> {
  try {
    await step()
    return CL_OK
  } catch (error) {
    return codeOf(error)
  }
}

function indexed(out: ClOut<number> | null, step: () => Promise<void>): Promise<ClRcT> {
  return wait(async () => {
    try {
      await step()
    } catch (error) {
      const index = isSdkError(error) ? error.context['errorIndex'] : undefined
      if (out !== null && typeof index === 'number') out.value = index
      throw error
    }
  })
}
