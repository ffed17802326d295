import { randomUUID } from 'node:crypto'
import { isSdkError } from '../../idl/index.ts'
import { connect, type Connection } from '../../runtime/index.ts'
import { Management } from '../director/interface.ts'
import type { AdminOperation } from '../engine/contract.ts'
import { untilDone } from './retry.ts'

/** A tool's way to the cluster: the management interface of whoever directs it. */
export interface Link {
  readonly connection: Connection
  readonly management: ReturnType<typeof managementOf>
  /** Runs one administrative operation to its end, through changes of director. */
  admin(operation: AdminOperation, entity: string, timeoutMs: number): Promise<void>
  close(): Promise<void>
}

/**
 * Connects to the cluster of a run directory.
 *
 * @throws SdkError NOT_EXIST when no node process of it is there.
 */
export async function openLink(runDir: string, signal?: AbortSignal): Promise<Link> {
  const connection = await connect(signal === undefined ? { runDir } : { runDir, signal })
  const management = managementOf(connection)
  return {
    connection,
    management,
    admin: async (operation, entity, timeoutMs) => {
      // The director knows a request by its id: asking again after a takeover waits for the same answer.
      const request = { id: randomUUID(), operation, entity }
      let mayHaveRun = false
      await untilDone(
        async (remainingMs) => {
          try {
            await management.admin(request, { timeoutMs: remainingMs })
          } catch (error) {
            // Done by a director that ended before its answer was out.
            if (isSdkError(error, 'NO_OP') && mayHaveRun) return
            if (isSdkError(error) && error.mayHaveRun) mayHaveRun = true
            throw error
          }
        },
        { timeoutMs, what: `${operation} of ${entity}`, signal },
      )
    },
    close: () => connection.close(),
  }
}

function managementOf(connection: Connection) {
  return connection.rmd.client(Management, { to: '@amf' })
}
