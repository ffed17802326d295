import {
  CL_AMS_HA_STATE_ACTIVE,
  CL_AMS_HA_STATE_NONE,
  CL_AMS_HA_STATE_QUIESCED,
  CL_AMS_HA_STATE_STANDBY,
  CL_CKPT_CHECKPOINT_CREATE,
  CL_CKPT_CHECKPOINT_READ,
  CL_CKPT_CHECKPOINT_WRITE,
  CL_CKPT_WR_ALL_REPLICAS,
  CL_LOG_HANDLE_APP,
  CL_LOG_NOTICE,
  clCkptCheckpointClose,
  clCkptCheckpointOpen,
  clCkptCheckpointRead,
  clCkptFinalize,
  clCkptSectionOverwrite,
  clEoClientInstall,
  clLogWrite,
  clNameComponentDeregister,
  clOsalMutexDelete,
  clOsalMutexLock,
  clOsalMutexUnlock,
} from 'holdfast/cl'
import { CL_OK, type ClRcT, SdkError } from 'holdfast/idl'
import type { App } from 'holdfast/runtime'
import {
  type AppGlobal,
  CKPT_NAME,
  CL_COMPA_LOG_2_ROLE,
  COMP_A_CSI,
  COMP_A_SERVICE_NAME,
  CompAServices,
} from './comp-a.ts'

/** What the original's sample calls and does not show: the application itself. */

const TEN_SECONDS_NS = 10_000_000_000n
const COUNT_BYTES = 8
/** Of maxSections 1: the section that is always there. */
const DEFAULT_SECTION = ''

/** Writes of the count, one after the other. */
let saved: Promise<void> = Promise.resolve()

/** `idlClientInstall`: the functions answer while this component is active. */
export function idlClientInstall(eo: App, gAppGlobal: AppGlobal): ClRcT {
  const next = async (): Promise<{ number: number }> => {
    const { mutex } = gAppGlobal
    if (mutex.value) clOsalMutexLock(mutex.value)
    const number = (gAppGlobal.count += 1)
    if (mutex.value) clOsalMutexUnlock(mutex.value)
    // A number leaves when the checkpoint has it: the next active one begins above it.
    saved = saved.catch(() => undefined).then(() => save(gAppGlobal, number))
    await saved
    return { number }
  }
  return clEoClientInstall(eo, CompAServices, { next }, { csi: COMP_A_CSI })
}

export async function clAppSetActiveState(gAppGlobal: AppGlobal): Promise<ClRcT> {
  const rc = await openCheckpoint(gAppGlobal)
  if (rc !== CL_OK) return rc
  return becomes(gAppGlobal, CL_AMS_HA_STATE_ACTIVE, await load(gAppGlobal))
}

export async function clAppSetStandbyState(gAppGlobal: AppGlobal): Promise<ClRcT> {
  return becomes(gAppGlobal, CL_AMS_HA_STATE_STANDBY, await openCheckpoint(gAppGlobal))
}

/** Returns when everything that was given out is in the checkpoint. */
export async function clAppSetQuiescingState(gAppGlobal: AppGlobal): Promise<ClRcT> {
  await saved.catch(() => undefined)
  return becomes(gAppGlobal, CL_AMS_HA_STATE_QUIESCED, CL_OK)
}

export async function clAppCSIRemove(gAppGlobal: AppGlobal): Promise<ClRcT> {
  await saved.catch(() => undefined)
  return becomes(gAppGlobal, CL_AMS_HA_STATE_NONE, CL_OK)
}

/** Undoes `clAppInitialize` in reverse. */
export async function clAppFinalize(gAppGlobal: AppGlobal): Promise<ClRcT> {
  const { ckptHdl, ckptSvcHdl, compId, mutex } = gAppGlobal
  if (ckptHdl.value) await clCkptCheckpointClose(ckptHdl.value)
  if (ckptSvcHdl.value) await clCkptFinalize(ckptSvcHdl.value)
  await clNameComponentDeregister(compId.value)
  return clOsalMutexDelete({ value: mutex.value ?? null })
}

function becomes(gAppGlobal: AppGlobal, haState: number, rc: ClRcT): ClRcT {
  gAppGlobal.haState = haState
  const { count } = gAppGlobal
  const message = CL_COMPA_LOG_2_ROLE
  clLogWrite(CL_LOG_HANDLE_APP, CL_LOG_NOTICE, COMP_A_SERVICE_NAME, message, haState, count)
  return rc
}

async function openCheckpoint({ ckptSvcHdl, ckptHdl }: AppGlobal): Promise<ClRcT> {
  if (ckptHdl.value !== undefined || ckptSvcHdl.value === undefined) return CL_OK
  const flags = CL_CKPT_CHECKPOINT_CREATE | CL_CKPT_CHECKPOINT_READ | CL_CKPT_CHECKPOINT_WRITE
  const attributes = {
    creationFlags: CL_CKPT_WR_ALL_REPLICAS,
    checkpointSize: COUNT_BYTES,
    retentionDuration: 60n * TEN_SECONDS_NS,
    maxSections: 1,
    maxSectionSize: COUNT_BYTES,
    maxSectionIdSize: 1,
  }
  const service = ckptSvcHdl.value
  return clCkptCheckpointOpen(service, CKPT_NAME, attributes, flags, TEN_SECONDS_NS, ckptHdl)
}

async function load(gAppGlobal: AppGlobal): Promise<ClRcT> {
  const { ckptHdl } = gAppGlobal
  if (ckptHdl.value === undefined) return CL_OK
  const element = { dataBuffer: null as Uint8Array | null, dataSize: 0, dataOffset: 0, readSize: 0 }
  const vector = [{ sectionId: DEFAULT_SECTION, ...element }]
  const rc = await clCkptCheckpointRead(ckptHdl.value, vector, vector.length, null)
  const bytes = vector[0]?.dataBuffer
  // Nothing is written before the first number.
  if (rc === CL_OK && bytes?.byteLength === COUNT_BYTES) {
    gAppGlobal.count = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0))
  }
  return rc
}

async function save({ ckptHdl }: AppGlobal, count: number): Promise<void> {
  const bytes = new Uint8Array(COUNT_BYTES)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(count))
  if (ckptHdl.value === undefined) throw new SdkError('INVALID_STATE', 'no checkpoint is open')
  const rc = await clCkptSectionOverwrite(ckptHdl.value, DEFAULT_SECTION, bytes, COUNT_BYTES)
  if (rc !== CL_OK) throw new SdkError('FAILED_OPERATION', `checkpoint: 0x${rc.toString(16)}`)
}
