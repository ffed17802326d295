import { decodeWireError, fromWireError, SdkError } from '../../idl/index.ts'
import type { IncomingCall } from '../../ioc/index.ts'
import type { CommitGate } from '../services/checkpoint/commit-gate.ts'
import type { CachedReply } from '../services/checkpoint/interface.ts'
import type { ClientTable, CsiBinding, Service } from './client-table.ts'
import { EoCall } from './eo-call.ts'
import { handlerError } from './handler-error.ts'
import type { EoState } from './health.ts'
import type { Job } from './job.ts'
import { Parking, type Parked } from './parking.ts'
import type { Admission, RoleTable } from './role-table.ts'

/** What the receiver needs of the EO around it. */
export interface ReceiverOptions {
  readonly tables: ClientTable
  readonly roles: RoleTable
  /** The checkpoint gate of a CSI, where the component opened one. */
  readonly gate: (csi: string) => CommitGate | undefined
  /** The one CSI whose checkpoint is open, to which functions without a CSI of their own are bound. */
  readonly onlyCheckpoint: () => string | undefined
  /** Whether the name table says that somebody else is active for the CSI. */
  readonly isElsewhere: (csi: string) => boolean
  /** Takes an admitted call; alone: nothing that could go first came with it. False: its queue is full. */
  readonly accept: (job: Job, isAlone: boolean) => boolean
  readonly clock: () => number
  readonly parkedCountMax: number
}

/** A call for a role that somebody else holds is kept this long: the news of our own role may be on its way. */
const PARK_GRACE_MS = 250

interface ParkedCall {
  readonly incoming: IncomingCall
  readonly service: Service
}

/** What became of calls on arrival. */
export interface ReceiverCounters {
  received: number
  unknown: number
  suspended: number
  notActive: number
  parked: number
  replayed: number
  inProgress: number
}

/**
 * The receive path of an EO: every request passes here once, and nothing on it waits. Platform functions run at once;
 * the others are refused, parked, answered from the reply cache, or queued.
 *
 * I1 Every call gets exactly one answer, by its deadline. I2 What is refused here surely did not run.
 */
export class Receiver {
  readonly counters: ReceiverCounters = {
    received: 0,
    unknown: 0,
    suspended: 0,
    notActive: 0,
    parked: 0,
    replayed: 0,
    inProgress: 0,
  }
  readonly #options: ReceiverOptions
  readonly #parking: Parking<ParkedCall>
  #state: EoState = 'init'

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#parking = new Parking(options.parkedCountMax)
  }

  get state(): EoState {
    return this.#state
  }

  set state(state: EoState) {
    this.#state = state
    if (state === 'stopping') this.#refuseParked(() => true)
    if (state === 'active') this.unpark()
  }

  get parkedCount(): number {
    return this.#parking.count
  }

  dispatch(incoming: IncomingCall): void {
    this.counters.received++
    const { functionNumber, interfaceVersion = 0 } = incoming
    const service = this.#options.tables.lookup(functionNumber, interfaceVersion)
    if (service instanceof SdkError) {
      this.counters.unknown++
      incoming.fail(service)
    } else if (service.placement.kind === 'platform') {
      runPlatform(service, incoming)
    } else {
      this.#admit(incoming, service, incoming.isLast === true)
    }
  }

  /** The caller of a call waits no more: drops it where it waits for a role. */
  cancel(caller: string, messageId: number): void {
    const isIt = ({ call }: Parked<ParkedCall>): boolean =>
      call.incoming.messageId === messageId && call.incoming.caller === caller
    for (const { incoming, service } of this.#parking.take(isIt)) incoming.fail(cancelled(service))
  }

  /** Looks at parked calls again: after a change of role or state. */
  unpark(): void {
    if (this.#state !== 'active') return
    const ready = this.#parking.take(({ call }) => this.#admission(call.service).kind !== 'park')
    for (const { incoming, service } of ready) this.#admit(incoming, service, false)
  }

  /** Answers parked calls whose time is over, or for which somebody else is active. */
  sweep(nowMs: number): void {
    if (this.#parking.count === 0) return
    for (const { incoming, service } of this.#parking.take((p) => p.deadlineMs <= nowMs)) {
      this.counters.notActive++
      incoming.fail(notActive(service, 'got no role before the deadline'))
    }
    this.#refuseParked((parked) => {
      const late = nowMs - parked.parkedAtMs >= PARK_GRACE_MS
      return late && this.#isElsewhere(parked.call.service)
    })
  }

  /** The CSI to which a function is bound: its own, else that of the only checkpoint, else whatever is held. */
  binding(service: Service): CsiBinding {
    if (service.placement.kind === 'platform') return { kind: 'none' }
    const { csi } = service.placement
    if (csi.kind !== 'any') return csi
    const only = this.#options.onlyCheckpoint()
    return only === undefined ? csi : { kind: 'csi', csi: only }
  }

  #admit(incoming: IncomingCall, service: Service, isAlone: boolean): void {
    if (this.#isRefused(incoming, service)) return
    const binding = this.binding(service)
    const admission = this.#options.roles.admit(binding)
    if (admission.kind === 'park') return this.#park(incoming, service)
    if (admission.kind === 'refuse') {
      this.counters.notActive++
      incoming.fail(notActive(service, `is ${admission.state}`))
      return
    }
    const { csi, epoch } = admission
    // Only a function bound to one CSI commits in that CSI's checkpoint; a stream has no one reply to commit with.
    const isBound = binding.kind === 'csi' && !service.method.stream
    const gate = isBound ? this.#options.gate(binding.csi) : undefined
    const call = new EoCall(incoming, service.cookie.data)
    if (gate !== undefined && !this.#passGate(gate, call, incoming, service, epoch)) return
    const { priority, deadlineMs } = incoming
    const job: Job = {
      incoming,
      call,
      service,
      gate,
      csi,
      epoch,
      priority,
      deadlineMs,
      stage: 'queued',
      earlier: null,
      later: null,
    }
    if (this.#options.accept(job, isAlone)) return
    gate?.abort(call)
    incoming.fail(
      new SdkError('QUEUE_OVERFLOW', `${where(service)}: its ${priority} queue is full`),
    )
  }

  #admission(service: Service): Admission {
    return this.#options.roles.admit(this.binding(service))
  }

  /** True when it was answered already, whatever the role. */
  #isRefused(incoming: IncomingCall, service: Service): boolean {
    if (this.#state === 'suspended') {
      this.counters.suspended++
      incoming.fail(new SdkError('EO_SUSPENDED', `${where(service)}: the component is suspended`))
      return true
    }
    if (this.#state === 'stopping') {
      this.counters.notActive++
      incoming.fail(notActive(service, 'is stopping'))
      return true
    }
    if (service.method.stream === (incoming.stream !== null)) return false
    this.counters.unknown++
    const what = service.method.stream ? 'answers with a stream' : 'answers with one value'
    incoming.fail(new SdkError('BAD_OPERATION', `${where(service)} ${what}`))
    return true
  }

  #park(incoming: IncomingCall, service: Service): void {
    const nowMs = this.#options.clock()
    if (this.#parking.park({ incoming, service }, incoming.deadlineMs, nowMs)) {
      this.counters.parked++
      return
    }
    const message = `${where(service)}: ${this.#parking.count} calls wait for the role already`
    incoming.fail(new SdkError('TRY_AGAIN', message))
  }

  #passGate(
    gate: CommitGate,
    call: EoCall,
    incoming: IncomingCall,
    service: Service,
    epoch: number,
  ): boolean {
    try {
      const outcome = gate.begin(call, {
        caller: incoming.caller,
        messageId: incoming.messageId,
        acknowledgedBelow: incoming.acknowledgedBelow,
        functionNumber: incoming.functionNumber,
        atMostOnce: incoming.atMostOnce,
        deadlineMs: incoming.deadlineMs,
        staleReads: service.method.staleReads,
      })
      if (outcome === 'run') return true
      if (outcome === 'inProgress') {
        this.counters.inProgress++
        incoming.fail(new SdkError('INUSE', `${where(service)}: the same call runs already`))
      } else if (outcome instanceof Promise) {
        outcome.then(
          (reply) => this.#replay(reply, incoming, epoch),
          (error: unknown) => incoming.fail(gateError(error, service)),
        )
      } else this.#replay(outcome, incoming, epoch)
    } catch (error) {
      incoming.fail(gateError(error, service))
    }
    return false
  }

  #replay(reply: CachedReply, incoming: IncomingCall, epoch: number): void {
    this.counters.replayed++
    incoming.kept = true
    if (reply.rc === 0) incoming.reply(reply.payload, epoch)
    else incoming.fail(fromWireError(decodeWireError(reply.payload)), epoch)
  }

  #isElsewhere(service: Service): boolean {
    const binding = this.binding(service)
    if (binding.kind === 'csi') return this.#options.isElsewhere(binding.csi)
    const csis = this.#options.roles.csis()
    return csis.length > 0 && csis.every((csi) => this.#options.isElsewhere(csi))
  }

  #refuseParked(pick: (parked: Parked<ParkedCall>) => boolean): void {
    for (const { incoming, service } of this.#parking.take(pick)) {
      this.counters.notActive++
      incoming.fail(
        notActive(service, this.#state === 'stopping' ? 'is stopping' : 'is not active'),
      )
    }
  }
}

/** `Sequence.next`. */
export function where(service: Service): string {
  return `${service.face.name}.${service.method.name}`
}

function gateError(error: unknown, service: Service): SdkError {
  return error instanceof SdkError ? error : handlerError(error, where(service))
}

function notActive(service: Service, why: string): SdkError {
  return new SdkError('NOT_ACTIVE', `${where(service)}: the component ${why}`)
}

/** The caller of a call that did not run yet waits no more. */
export function cancelled(service: Service): SdkError {
  return new SdkError('INTERRUPT', `${where(service)}: given up by its caller`, {
    mayHaveRun: false,
  })
}

/** Decodes, runs and answers on the receive path. Synchronous functions run in the order of arrival. */
function runPlatform(service: Service, incoming: IncomingCall): void {
  const fail = (error: unknown): void => {
    incoming.fail(handlerError(error, where(service)))
  }
  const reply = (output: unknown): void => {
    try {
      incoming.reply(service.method.output.encode(output))
    } catch (error) {
      fail(error)
    }
  }
  try {
    if (incoming.stream !== null) {
      throw new SdkError('BAD_OPERATION', `${where(service)} answers with one value`)
    }
    const input = service.method.input.decode(incoming.payload)
    const output = service.run?.(input, incoming)
    if (isThenable(output)) output.then(reply, fail)
    else reply(output)
  } catch (error) {
    fail(error)
  }
}

/** True for promises and what behaves like one. */
export function isThenable(value: unknown): value is Promise<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
