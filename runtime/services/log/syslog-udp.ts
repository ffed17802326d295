import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { cutText } from './make-record.ts'
import {
  type SyslogLine,
  type SyslogWay,
  type SyslogWayEvents,
  WAY_CLOSE_MS,
} from './syslog-way.ts'

/** What every receiver should take. RFC 5426, section 3.2. */
const DATAGRAM_BYTES_MAX = 2_048
const UNDER_WAY_MAX = 256

/** A syslog that takes a datagram of RFC 5424 for each record: RFC 5426. Rejects when the host has no address. */
export async function openUdpSyslog(
  { host, port }: { readonly host: string; readonly port: number },
  events: SyslogWayEvents,
): Promise<SyslogWay> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    // Connected, so that it hears when nobody is there.
    socket.connect(port, host, () => {
      socket.off('error', reject)
      resolve()
    })
  }).catch((error: unknown) => {
    socket.close()
    throw error
  })
  return new UdpWay(socket, events)
}

class UdpWay implements SyslogWay {
  readonly #socket: Socket
  readonly #events: SyslogWayEvents
  #underWay = 0
  #isClosed = false
  #idle: () => void = () => undefined

  constructor(socket: Socket, events: SyslogWayEvents) {
    this.#socket = socket
    this.#events = events
    socket.on('error', (error) => this.#down(error))
  }

  send({ priority, header, body }: SyslogLine, done: (isSent: boolean) => void): boolean {
    const line = cutText(`<${priority}>1 ${header} ${body}`, DATAGRAM_BYTES_MAX)
    this.#underWay += 1
    this.#socket.send(line, (error) => {
      this.#underWay -= 1
      done(error === null)
      if (error !== null) this.#down(error)
      else if (this.#underWay === UNDER_WAY_MAX - 1) this.#events.onDrain()
      if (this.#underWay === 0) this.#idle()
    })
    return this.#underWay < UNDER_WAY_MAX
  }

  async close(): Promise<void> {
    if (this.#underWay > 0 && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, WAY_CLOSE_MS)
        this.#idle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#closeSocket()
  }

  #down(error: Error): void {
    if (this.#isClosed) return
    this.#closeSocket()
    this.#events.onDown(error)
  }

  #closeSocket(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.close()
  }
}
