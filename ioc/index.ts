export { IOC_PORT } from './address.ts'
export type { Epoch, IocAddress, NameEntry, NameResolver } from './address.ts'
export type { Destination, IncomingCall, PresenceEvent, Rmd, RmdCallOptions, RmdPriority } from './rmd/rmd.ts'
