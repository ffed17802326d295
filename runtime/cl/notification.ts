import { SdkError, type ClRcT } from '../../idl/index.ts'
import type { IocAddress, NodePresenceEvent, PresenceEvent } from '../../ioc/index.ts'
import { ClLibrary, given, handle } from './library.ts'
import { boundApp, type ClOut } from './process.ts'

/** Told of arrivals and deaths: a program's, or, with port 0, those of a node. */
export type ClNotificationCallbackT<A> = (
  kind: (PresenceEvent | NodePresenceEvent)['kind'],
  address: IocAddress,
  arg: A,
) => void

/** What `clEoNotificationCallbackInstall` gives back. */
export interface ClNotificationHandleT {
  stop: (() => void) | null
}

const LIBRARY = new ClLibrary('EO')

/**
 * Tells `callback` whenever the program at an address connects to this EO or goes away; with port 0 of a node, whenever
 * its first program comes and its last one goes. INVALID_STATE before `clEoMyEoObjectSet`.
 */
export function clEoNotificationCallbackInstall<A>(
  address: IocAddress,
  callback: ClNotificationCallbackT<A>,
  arg: A,
  out: ClOut<ClNotificationHandleT | undefined>,
): ClRcT {
  return LIBRARY.run(() => {
    const place = given('out', out)
    const tell = given('callback', callback)
    const ioc = boundApp()?.ioc
    if (ioc === undefined) throw new SdkError('INVALID_STATE', 'no EO is bound to this thread')
    const isNode = address.port === 0
    const onNode = ({ kind, node }: NodePresenceEvent): void => {
      if (node === address.node) tell(kind, address, arg)
    }
    const onProgram = ({ kind, address: { node, port } }: PresenceEvent): void => {
      if (node === address.node && port === address.port) tell(kind, address, arg)
    }
    place.value = { stop: isNode ? ioc.onNodePresence(onNode) : ioc.onPresence(onProgram) }
  })
}

/** Ends it; INVALID_HANDLE when it is ended already. */
export function clEoNotificationCallbackUninstall(
  out: ClOut<ClNotificationHandleT | undefined>,
): ClRcT {
  return LIBRARY.run(() => {
    const installed = handle(out.value)
    if (installed.stop === null) throw new SdkError('INVALID_HANDLE', 'it is ended already')
    installed.stop()
    installed.stop = null
  })
}

/** The same as `clEoNotificationCallbackInstall`: both hear the same news. */
export const clCpmNotificationCallbackInstall = clEoNotificationCallbackInstall

/** The same as `clEoNotificationCallbackUninstall`. */
export const clCpmNotificationCallbackUninstall = clEoNotificationCallbackUninstall
