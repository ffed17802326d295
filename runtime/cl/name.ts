import { CL_CID, CL_ERR, rcOf, type ClRcT } from '../../idl/index.ts'
import type { NameClient, NameRegistration } from '../services/name/client.ts'
import {
  NAME_CONTEXT,
  type NameAttribute,
  type NameMapping,
  type NamePriority,
} from '../services/name/interface.ts'
import { boundApp, rcOfAsync, type ClOut } from './process.ts'

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

/** What is registered; it is always the calling component that provides it. */
export interface ClNameSvcRegisterT {
  readonly name: string
  readonly priority: number
  readonly compId?: number
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
    objRef.value = await names.register(registrationOf(contextId, info, objRef.value))
  })
}

/** `app.name.registerAndOverwrite`. */
export function clNameRegisterAndOverwrite(
  contextId: number,
  info: ClNameSvcRegisterT,
  objRef: ClOut<number>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    objRef.value = await names.registerAndOverwrite(registrationOf(contextId, info, objRef.value))
  })
}

/** `app.name.componentDeregister`: everything of the calling component, whose id may be given. */
export function clNameComponentDeregister(_compId?: number): Promise<ClRcT> {
  return withNames((names) => names.componentDeregister())
}

/** `app.name.serviceDeregister`. */
export function clNameServiceDeregister(contextId: number, name: string): Promise<ClRcT> {
  return withNames((names) => names.serviceDeregister({ context: contextId, name }))
}

/** `app.name.contextCreate`. */
export function clNameContextCreate(
  type: number,
  cookie: number,
  contextId: ClOut<number>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    const kind = type === CL_NS_USER_GLOBAL ? 'GLOBAL' : 'NODE_LOCAL'
    contextId.value = await names.contextCreate({ type: kind, cookie })
  })
}

/** `app.name.contextDelete`. */
export function clNameContextDelete(contextId: number): Promise<ClRcT> {
  return withNames((names) => names.contextDelete(contextId))
}

/** `app.name.objectReferenceGet`. */
export function clNameToObjectReferenceGet(
  name: string,
  attr: readonly NameAttribute[],
  cookie: number,
  objRef: ClOut<number>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    objRef.value = await names.objectReferenceGet({ name, attributes: attr, cookie })
  })
}

/** `app.name.objectMappingGet`. */
export function clNameToObjectMappingGet(
  name: string,
  attr: readonly NameAttribute[],
  cookie: number,
  mapping: ClOut<NameMapping | undefined>,
): Promise<ClRcT> {
  return withNames(async (names) => {
    mapping.value = await names.objectMappingGet({ name, attributes: attr, cookie })
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

function withNames(step: (names: NameClient) => Promise<unknown>): Promise<ClRcT> {
  const app = boundApp()
  if (app === undefined) return Promise.resolve(rcOf(CL_CID.NS, CL_ERR.INVALID_STATE))
  return rcOfAsync(async () => step(app.name))
}

function registrationOf(
  context: number,
  info: ClNameSvcRegisterT,
  objRef: number,
): NameRegistration {
  const priority = PRIORITY[info.priority] ?? 'MEDIUM'
  const { name, attr: attributes = [] } = info
  const reference = objRef === CL_NS_GET_OBJ_REF ? {} : { objectReference: objRef }
  return { context, name, priority, attributes, ...reference }
}
