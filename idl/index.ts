export { SERVICE_ID_MAX, USER_CLIENT_ID_MIN } from './interface.ts'
export type { ClientOf, HandlersOf, Interface, InterfaceSpec, Method, MethodSpec, MethodSpecs } from './interface.ts'
