import { CL_CID, CL_ERR, CL_OK, rcOf, SdkError, type ClRcT } from '../../idl/index.ts'
import type { NameClient, NameRegistration } from '../services/name/client.ts'
import {
  NAME_CONTEXT,
  type NameAttribute,
  type NameMapping,
  type NamePriority,
} from '../services/name/interface.ts'
import { given } from './library.ts'
import { boundApp, rcOfLibrary, type ClOut } from './process.ts'

/** Values of the name service. SAFplus, section 13. */
export const CL_NS_GET_OBJ_REF = 0xfffffff
export const CL_NS_DEFT_GLOBAL_CONTEXT = NAME_CONTEXT.global
export const CL_NS_DEFT_LOCAL_CONTEXT = NAME_CONTEXT.nodeLocal
export const CL_NS_USER_NODELOCAL = 0
export const CL_NS_USER_GLOBAL = 1
export const CL_NS_PRIORITY_LOW = 0
export const CL_NS_PRIORITY_MEDIUM = 1
export const CL_NS_PRIORITY_HIGH = 2

const PRIORITY: readonly NamePriority[] = ['LOW', 'MEDIUM', 'HIGH']
const CONTEXT_TYPES = ['NODE_LOCAL', 'GLOBAL'] as const

/** What is registered; it is always the calling component that provides it. */
export interface ClNameSvcRegisterT {
  readonly name: string
  readonly priority: number
  readonly compId?: number
  /** The first so many of `attr` count. @defaultValue all */
  readonly attrCount?: number
  readonly attr?: readonly NameAttribute[]
}

/** `app.name.register`; `CL_NS_GET_OBJ_REF` in `objRef` asks for a generated reference. */
export function clNameRegister(
  contextId: number,
  info: ClNameSvcRegisterT,
  objRef: ClOut<number>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    const out = given('objRef', objRef)
    out.value = await names.register(registrationOf(contextId, info, out.value))
  })
}

/** `app.name.registerAndOverwrite`. */
export function clNameRegisterAndOverwrite(
  contextId: number,
  info: ClNameSvcRegisterT,
  objRef: ClOut<number>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    const out = given('objRef', objRef)
    out.value = await names.registerAndOverwrite(registrationOf(contextId, info, out.value))
  })
}

/** `app.name.componentDeregister`: everything of the calling component, whose id may be given. */
export function clNameComponentDeregister(_compId?: number): Promise<ClRcT> {
  return withNames((names) => names.componentDeregister())
}

/** `app.name.serviceDeregister`, of what the calling component registered. */
export function clNameServiceDeregister(
  contextId: number,
  _compId: number,
  name: string,
): Promise<ClRcT> {
  return withNames((names) => names.serviceDeregister({ context: contextId, name }))
}

/** `app.name.contextCreate`. */
export function clNameContextCreate(
  type: number,
  cookie: number,
  contextId: ClOut<number>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    const out = given('contextId', contextId)
    const kind = CONTEXT_TYPES[type]
    if (kind === undefined) {
      throw new SdkError('INVALID_PARAMETER', `there is no type ${type} of contexts: 0 or 1`)
    }
    out.value = await names.contextCreate({ type: kind, cookie })
  })
}

/** `app.name.contextDelete`. */
export function clNameContextDelete(contextId: number): Promise<ClRcT> {
  return withNames((names) => names.contextDelete(contextId))
}

/** `app.name.objectReferenceGet`; the first `attrCount` attributes count. */
export function clNameToObjectReferenceGet(
  name: string,
  attrCount: number,
  attr: readonly NameAttribute[] | null,
  cookie: number,
  objRef: ClOut<number>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    const out = given('objRef', objRef)
    const attributes = attributesOf(attrCount, attr)
    out.value = await names.objectReferenceGet({ name: given('name', name), attributes, cookie })
  })
}

/** `app.name.objectMappingGet`; the first `attrCount` attributes count. */
export function clNameToObjectMappingGet(
  name: string,
  attrCount: number,
  attr: readonly NameAttribute[] | null,
  cookie: number,
  mapping: ClOut<NameMapping | undefined>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    const out = given('mapping', mapping)
    const attributes = attributesOf(attrCount, attr)
    out.value = await names.objectMappingGet({ name: given('name', name), attributes, cookie })
  })
}

/** `app.name.initialize`. */
export function clNameLibInitialize(): Promise<ClRcT> {
  return withNames((names) => Promise.resolve(names.initialize()))
}

/** `app.name.finalize`. */
export function clNameLibFinalize(): Promise<ClRcT> {
  return withNames((names) => names.finalize())
}

async function withNames(step: (names: NameClient) => Promise<unknown>): Promise<ClRcT> {
  const app = boundApp()
  if (app === undefined) return rcOf(CL_CID.NS, CL_ERR.INVALID_STATE)
  try {
    await step(app.name)
    return CL_OK
  } catch (error) {
    return rcOfLibrary(CL_CID.NS, error)
  }
}

/** @throws SdkError NULL_POINTER, INVALID_PARAMETER. */
function attributesOf(
  count: number,
  attr: readonly NameAttribute[] | null | undefined,
): readonly NameAttribute[] {
  if (count === 0) return []
  const all = given('attr', attr)
  if (Number.isInteger(count) && count > 0 && count <= all.length) return all.slice(0, count)
  const message = `attrCount ${count}: there are ${all.length} attributes`
  throw new SdkError('INVALID_PARAMETER', message)
}

function registrationOf(
  context: number,
  info: ClNameSvcRegisterT,
  objRef: number,
): NameRegistration {
  const { name, attr = [], attrCount = attr.length } = given('nsInfo', info)
  const priority = PRIORITY[info.priority]
  if (priority === undefined) {
    throw new SdkError('INVALID_PARAMETER', `priority ${info.priority}: 0 (low) to 2 (high)`)
  }
  const attributes = attributesOf(attrCount, attr)
  const reference = objRef === CL_NS_GET_OBJ_REF ? {} : { objectReference: objRef }
  return { context, name, priority, attributes, ...reference }
}
