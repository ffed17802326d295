import type { Logger } from 'pino'
import { SdkError } from '../../../idl/index.ts'
import type { LogClient } from './client.ts'

/**
 * `app.log`: the component's own pino logger, and log streams beside it. The logger is always there; the flag `log` of
 * `clEoClientLibs` switches the streams on, and sends the logger's lines to `appStream` too. Children of the logger
 * have the streams as well; their type says only that they are loggers.
 */
export type ComponentLog = Logger & LogClient

/** What the library adds to the logger; a name of pino's own would be in the way. */
const MEMBERS: { readonly [K in keyof LogClient]: true } = {
  application: true,
  system: true,
  initialize: true,
  streamOpen: true,
  streamList: true,
  fileList: true,
  fileOpen: true,
  handlerRegister: true,
  finalize: true,
}

/**
 * Puts the library's members on the logger itself: its level has to stay one, and children have what it has.
 * @param client - null while the library is switched off: each of its members then throws NOT_INITIALIZED.
 */
export function carryStreams(log: Logger, client: LogClient | null): ComponentLog {
  for (const name of Object.keys(MEMBERS) as (keyof LogClient)[]) {
    const member = client?.[name]
    const value: unknown = typeof member === 'function' ? member.bind(client) : member
    const get = (): unknown => {
      if (client !== null) return value
      const remedy = 'switch the library on with clEoClientLibs = { log: true }'
      throw new SdkError('NOT_INITIALIZED', `app.log.${name}: ${remedy}`)
    }
    Object.defineProperty(log, name, { get, configurable: true })
  }
  return log as ComponentLog
}
