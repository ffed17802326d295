import { CL_CID, CL_PRIVATE_ERR, rcOf, SdkError, type ClRcT } from '../../idl/index.ts'
import {
  openPort,
  unixTransport,
  USER_PROTOCOL,
  type IocAddress,
  type IocDestination,
  type IocMessage,
  type NodePresenceEvent,
  type Port,
  type PresenceEvent,
} from '../../ioc/index.ts'
import { COMPONENT_ENV } from '../cpm/interface.ts'
import { ClLibrary, given, handle } from './library.ts'
import { boundApp, type ClOut } from './process.ts'

/** Messages that wait for `clIocReceive` at most: the next one is dropped, as a message to a full queue is. */
const WAITING_MAX = 4_096
/** The longest that a timer of Node.js sleeps. */
const RECV_TIMEOUT_MAX = 2 ** 31 - 1
/** Protocols of programs. SAFplus, section 3.9. */
const { first, last } = USER_PROTOCOL
const PROTOCOLS = Array.from({ length: last - first + 1 }, (_, i) => first + i)

/** A communication port of a program's own, beside that of its EO. */
export interface ClIocCommPortHandleT {
  readonly port: Port
  /** Messages that nobody has received yet. */
  readonly waiting: IocMessage[]
  /** Who waits for the next message; undefined ends a wait. */
  readonly receivers: ((message: IocMessage | undefined) => void)[]
  isOpen: boolean
  /** Ends the notifications that are on. */
  stopNotifications: (() => void) | null
}

/** What is told of ports and nodes that come and go. */
export type ClIocNotificationT = PresenceEvent | NodePresenceEvent

export const CL_IOC_NODE_UP: number = 1
export const CL_IOC_NODE_DOWN: number = 0
/** Kinds of ports: both are reliable here. SAFplus, section 4.2. */
export const CL_IOC_UNRELIABLE_MESSAGING = 0
export const CL_IOC_RELIABLE_MESSAGING = 1
export const CL_IOC_NOTIFICATION_DISABLE = 0
export const CL_IOC_NOTIFICATION_ENABLE = 1

/** How a message is sent. */
export interface ClIocSendOptionT {
  /** 0 to 16. SAFplus, section 4.2. @defaultValue 0 */
  readonly priority?: number
}

/** How long a message is waited for. */
export interface ClIocRecvOptionT {
  /** Milliseconds; -1: however long. */
  readonly recvTimeout: number
}

const LIBRARY = new ClLibrary('IOC')

/** Opens a port of this node, 0: an ephemeral one. INVALID_STATE before `clEoMyEoObjectSet`. */
export function clIocCommPortCreate(
  portId: number,
  portType: number,
  out: ClOut<ClIocCommPortHandleT | undefined>,
): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    const place = given('out', out)
    if (portType !== CL_IOC_UNRELIABLE_MESSAGING && portType !== CL_IOC_RELIABLE_MESSAGING) {
      throw new SdkError('INVALID_PARAMETER', `there is no port type ${portType}`)
    }
    const app = boundApp()
    const runDir = process.env[COMPONENT_ENV.runDir]
    if (app === undefined || runDir === undefined) {
      throw new SdkError('INVALID_STATE', 'only components open ports: bind the EO first')
    }
    const transport = unixTransport({ runDir })
    const { node } = app.address
    const port = await openPort({ transport, node, port: portId, name: app.component })
    const made: ClIocCommPortHandleT = {
      port,
      waiting: [],
      receivers: [],
      isOpen: true,
      stopNotifications: null,
    }
    for (const protocol of PROTOCOLS) port.onMessage(protocol, (message) => arrived(made, message))
    place.value = made
  })
}

/** Closes the port; receives that wait end with RECV_UNBLOCKED, every use afterwards with INVALID_HANDLE. */
export function clIocCommPortDelete(comm: ClIocCommPortHandleT): Promise<ClRcT> {
  return LIBRARY.wait(async () => {
    unblock(opened(comm))
    comm.isOpen = false
    await comm.port.close()
  })
}

/** The port's number. */
export function clIocCommPortGet(comm: ClIocCommPortHandleT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => opened(comm).port.address.port)
}

/** `port.send`, with one of the protocols 0x80 to 0xfe. An empty message is INVALID_BUFFER. */
export function clIocSend(
  comm: ClIocCommPortHandleT,
  message: Uint8Array,
  protocol: number,
  to: IocDestination | string,
  options: ClIocSendOptionT | null = null,
): ClRcT {
  return LIBRARY.run(() => {
    const { port } = opened(comm)
    const { byteLength } = given('message', message)
    if (byteLength === 0) throw new SdkError('INVALID_BUFFER', 'the message is empty')
    const priority = options?.priority
    port.send(to, message, { protocol, ...(priority === undefined ? {} : { priority }) })
  })
}

/** The next message. TIMEOUT; RECV_UNBLOCKED after `clIocCommPortReceiverUnblock`. */
export async function clIocReceive(
  comm: ClIocCommPortHandleT,
  options: ClIocRecvOptionT,
  out: ClOut<IocMessage | undefined>,
): Promise<ClRcT> {
  let isUnblocked = false
  const rc = await LIBRARY.wait(async () => {
    const place = given('out', out)
    const { recvTimeout } = given('options', options)
    if (!(recvTimeout >= -1 && recvTimeout <= RECV_TIMEOUT_MAX)) {
      const message = `recvTimeout is ${recvTimeout}: -1 to ${RECV_TIMEOUT_MAX} are possible`
      throw new SdkError('INVALID_PARAMETER', message)
    }
    const message = opened(comm).waiting.shift() ?? (await nextMessage(comm, recvTimeout))
    if (message === undefined) isUnblocked = true
    else place.value = message
  })
  return isUnblocked ? rcOf(CL_CID.IOC, CL_PRIVATE_ERR.IOC.RECV_UNBLOCKED) : rc
}

/** Ends the receives that wait. */
export function clIocCommPortReceiverUnblock(comm: ClIocCommPortHandleT): ClRcT {
  return LIBRARY.run(() => unblock(opened(comm)))
}

/**
 * ENABLE: tells `callback`, and nobody else, of ports and nodes that come and go, until the port is closed. DISABLE: no
 * more.
 */
export function clIocPortNotification(
  comm: ClIocCommPortHandleT,
  action: number,
  callback: ((news: ClIocNotificationT) => void) | null,
): ClRcT {
  return LIBRARY.run(() => {
    const { port } = opened(comm)
    if (action !== CL_IOC_NOTIFICATION_ENABLE && action !== CL_IOC_NOTIFICATION_DISABLE) {
      throw new SdkError('INVALID_PARAMETER', `there is no action ${action}`)
    }
    const tell = action === CL_IOC_NOTIFICATION_ENABLE ? given('callback', callback) : null
    comm.stopNotifications?.()
    comm.stopNotifications = null
    if (tell === null) return
    const stops = [port.onPresence(tell), port.onNodePresence(tell)]
    comm.stopNotifications = () => stops.forEach((stop) => stop())
  })
}

/** `port.joinGroup`. */
export function clIocMulticastRegister(comm: ClIocCommPortHandleT, group: string): ClRcT {
  return LIBRARY.run(() => opened(comm).port.joinGroup(group))
}

/** `port.leaveGroup`. */
export function clIocMulticastDeregister(comm: ClIocCommPortHandleT, group: string): ClRcT {
  return LIBRARY.run(() => opened(comm).port.leaveGroup(group))
}

/** Leaves every group. */
export function clIocMulticastDeregisterAll(comm: ClIocCommPortHandleT): ClRcT {
  return LIBRARY.run(() => {
    for (const group of [...opened(comm).port.groups]) comm.port.leaveGroup(group)
  })
}

/** How many nodes have a program that is connected to this port. */
export function clIocTotalNeighborEntryGet(comm: ClIocCommPortHandleT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => opened(comm).port.nodes().length)
}

/** Nodes that have a program that is connected to this port. */
export function clIocNeighborListGet(
  comm: ClIocCommPortHandleT,
  out: ClOut<readonly number[] | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => opened(comm).port.nodes())
}

/** Whether a node has a program that is connected to this port. */
export function clIocRemoteNodeStatusGet(
  comm: ClIocCommPortHandleT,
  node: number,
  out: ClOut<number>,
): ClRcT {
  return LIBRARY.get(out, () =>
    opened(comm).port.nodes().includes(node) ? CL_IOC_NODE_UP : CL_IOC_NODE_DOWN,
  )
}

/** Whether the program at an address is connected to this port. */
export function clIocCompStatusGet(
  comm: ClIocCommPortHandleT,
  { node, port }: IocAddress,
  out: ClOut<number>,
): ClRcT {
  return LIBRARY.get(out, () => {
    const isThere = opened(comm)
      .port.peers()
      .some(({ address }) => address.node === node && address.port === port)
    return isThere ? CL_IOC_NODE_UP : CL_IOC_NODE_DOWN
  })
}

/** Bytes of the largest message. */
export function clIocMaxPayloadSizeGet(comm: ClIocCommPortHandleT, out: ClOut<number>): ClRcT {
  return LIBRARY.get(out, () => opened(comm).port.limits.messageSizeBytesMax)
}

function opened(comm: ClIocCommPortHandleT): ClIocCommPortHandleT {
  if (handle(comm).isOpen) return comm
  throw new SdkError('INVALID_HANDLE', 'the port is closed')
}

function arrived(comm: ClIocCommPortHandleT, message: IocMessage): void {
  const receiver = comm.receivers.shift()
  if (receiver !== undefined) receiver(message)
  else if (comm.waiting.length < WAITING_MAX) comm.waiting.push(message)
}

function unblock(comm: ClIocCommPortHandleT): void {
  for (const receiver of comm.receivers.splice(0)) receiver(undefined)
}

/** The next message within the time; undefined when the receiver was unblocked. */
function nextMessage(
  comm: ClIocCommPortHandleT,
  timeoutMs: number,
): Promise<IocMessage | undefined> {
  return new Promise((resolve, reject) => {
    const receiver = (message: IocMessage | undefined): void => {
      clearTimeout(timer)
      resolve(message)
    }
    const giveUp = (): void => {
      comm.receivers.splice(comm.receivers.indexOf(receiver), 1)
      reject(new SdkError('TIMEOUT', `no message within ${timeoutMs} ms`))
    }
    const timer = timeoutMs < 0 ? undefined : setTimeout(giveUp, timeoutMs)
    comm.receivers.push(receiver)
  })
}
