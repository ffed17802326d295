import type { Logger } from 'pino'
import type { HandlersOf, Interface, MethodSpecs } from '../../idl/index.ts'
import type { IncomingCall, IocAddress, Rmd } from '../../ioc/index.ts'
import type { RegisteredNamesNews } from '../cpm/registered-names.ts'
import type { CheckpointStreams } from './checkpoint/server.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { OrderMember } from './replicated/interface.ts'
import type { Replicated } from './replicated/replicated.ts'

/** What the server side of a service finds in its node process. */
export interface ServiceHost {
  readonly node: string
  readonly nodeId: number
  readonly cluster: string
  /** This life of this node process: what it put into the order carries it. */
  readonly self: OrderMember
  readonly rmd: Rmd
  readonly log: Logger
  /** Private directory of this node (0700), for files of the service. */
  readonly directory: string
  /** Replicas of contents, stored on this node and on others. */
  readonly streams: CheckpointStreams
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
  /** Members of the present view, oldest first. */
  members(): readonly OrderMember[]
  /** Number and name of the nodes of the model. */
  nodeName(nodeId: number): string | undefined
  /** Every node of the model as it is now. */
  nodes(): readonly { readonly nodeId: number; readonly name: string }[]
  /** Names of the default global context came, went or lead elsewhere: programs of this node call them. */
  namesRegistered(news: RegisteredNamesNews): void
  /** The component behind a connection; null for other programs. */
  componentOf(caller: string): string | null
  /**
   * Puts a message of the service into the one order.
   * @returns what the `apply` of {@link NodeService.replicated} returned on this node.
   * @throws SdkError what it threw; TIMEOUT (it may be ordered later), TRY_AGAIN, TOO_BIG.
   */
  submit(topic: string, payload: Uint8Array, options?: { timeoutMs?: number }): Promise<unknown>
}

/** The server side of one service in one node process. */
export interface NodeService {
  /** Content that all nodes hold, fed by the one order; null for a service that has none. */
  readonly replicated: Replicated | null
  /** Installs its functions on the agent's port. */
  install(dispatcher: Dispatcher): void
  /** The connection to a program or component of this node is gone. */
  callerGone(caller: string): void
  /**
   * This node takes part in the order again, after a time in which the others had given it up: what belongs to its
   * local programs is to be submitted again.
   */
  entered(): void
  /** Who leads cannot be heard, or is another one now: what was agreed on may change with the next view. */
  uncertain?(): void
  close(): Promise<void>
}

/** Functions that a service of the node calls on a component. */
export interface PushTable {
  readonly face: Interface<MethodSpecs>
  readonly handlers: HandlersOf<MethodSpecs, IncomingCall>
}

/** A push table, checked against its interface. */
export function pushTable<M extends MethodSpecs>(
  face: Interface<M>,
  handlers: HandlersOf<M, IncomingCall>,
): PushTable {
  return { face, handlers } as unknown as PushTable
}

/** What a component's side of a service finds in its process. */
export interface LibraryContext {
  readonly component: string
  readonly node: string
  readonly nodeId: number
  readonly rmd: Rmd
  /** Port of the own node's agent, where the services listen. */
  readonly agent: IocAddress
  readonly log: Logger
}

/** A component's side of one service. */
export interface ServiceLibrary<Client> {
  /** What `app` gives to the author. */
  readonly client: Client
  /** Called by the agent of the own node only. */
  readonly pushes: readonly PushTable[]
  /** Called by anybody, in every role, on the receive path. */
  readonly functions?: readonly PushTable[]
  /** Finalizes what is open; lasts at most about a second. */
  close(): Promise<void>
}
