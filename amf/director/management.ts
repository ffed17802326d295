import { SdkError } from '../../idl/index.ts'
import type { HandlersOf } from '../../idl/index.ts'
import type { IncomingCall } from '../../ioc/index.ts'
import type { AdminOperation, Notification } from '../engine/contract.ts'
import type { EntityStates } from './engine-port.ts'
import type { History } from './history.ts'
import type { ClusterStatus, Management, NotificationRecord } from './interface.ts'
import type { StateWaiters } from './state-waiters.ts'

/** A new model for the running cluster. */
export interface ApplyRequest {
  readonly id: string
  readonly text: string
  readonly path: string
  readonly dryRun: boolean
}

/** What the management table asks of the director. */
export interface ManagementPort {
  readonly term: number
  readonly history: History
  readonly waiters: StateWaiters
  status(): ClusterStatus
  stateOf(entity: string): EntityStates | undefined
  stateWords(entity: string): readonly string[] | undefined
  why(entity: string): readonly Notification[] | undefined
  admin(request: {
    readonly id: string
    readonly operation: AdminOperation
    readonly entity: string
  }): Promise<Record<string, never>>
  stopCluster(): Promise<void>
  applyModel(request: ApplyRequest): Promise<{ version: number; changes: string[] }>
}

/** Functions of the `Management` interface. Each answers from the engine's present state; only some wait. */
export function managementHandlers(
  port: ManagementPort,
): HandlersOf<(typeof Management)['spec'], IncomingCall> {
  return {
    status: () => port.status(),
    state: ({ entity }) => {
      const { states, ...rest } = found(entity, port.stateOf(entity))
      return { ...rest, states: { ...states } }
    },
    why: ({ entity }) => ({
      entity,
      notifications: found(entity, port.why(entity)).map(toRecord),
    }),
    admin: (request) => port.admin(request),
    wait: async ({ entity, states }, call) => {
      const known = found(entity, port.stateWords(entity))
      const odd = states.find((state) => !known.includes(state.toUpperCase()))
      if (odd !== undefined) {
        const message = `"${odd}" is no state of ${entity}; one of ${known.join(', ')}`
        throw new SdkError('INVALID_PARAMETER', message)
      }
      const timeoutMs = call.deadlineMs - performance.now()
      return { state: await port.waiters.wait(entity, states, timeoutMs) }
    },
    notifications: async ({ after, waitMs }) => ({
      term: port.term,
      notifications: await port.history.read(after, waitMs),
    }),
    stopCluster: async () => {
      await port.stopCluster()
      return {}
    },
    applyModel: (request) => port.applyModel(request),
  }
}

function found<T>(entity: string, value: T | undefined): T {
  if (value === undefined) throw new SdkError('NOT_EXIST', `there is no entity ${entity}`)
  return value
}

/** Position stands in for the number here: what an earlier director saw has no number under this term. */
function toRecord(notification: Notification, index: number): NotificationRecord {
  return { ...notification, causes: [...notification.causes], id: index + 1 }
}
