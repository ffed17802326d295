import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { HELD_COUNT_MAX, type WorkerLoad } from './job-shares.ts'
import type { EoIdentity } from './my-eo.ts'
import type { WorkerJob } from './worker-job.ts'
import {
  NUMBER,
  NUMBER_COUNT,
  PRIORITIES,
  SLOT,
  type SessionTask,
  type WorkerAnswer,
  type WorkerCall,
  type WorkerCancelMessage,
  type WorkerChunk,
} from './worker-protocol.ts'

/**
 * The EO's end of one worker: the jobs that it holds, each in a slot of shared memory, and the port between them.
 *
 * I1 A job is claimed by its worker in shared memory before it runs, so that of each it is known whether it has begun,
 * also when the worker is dead. I2 A slot is free again when the worker has answered for it, and not before.
 */
export class WorkerSession implements WorkerLoad {
  /** Ends the thread, whatever it runs. */
  readonly killer = new AbortController()
  isStalled = false
  readonly #port: MessagePort
  readonly #theirPort: MessagePort
  readonly #slots = new Int32Array(new SharedArrayBuffer(4 * HELD_COUNT_MAX))
  readonly #numbers = new Float64Array(new SharedArrayBuffer(8 * NUMBER_COUNT * HELD_COUNT_MAX))
  /**
   * By slot. Not a Map: one that jobs enter and leave makes its table anew all the time, each refers to the next, and
   * once one is old, none behind it is freed, with all its jobs, before the whole heap is collected.
   */
  readonly #jobs = new Array<WorkerJob | undefined>(HELD_COUNT_MAX).fill(undefined)
  #jobCount = 0
  /** Of the job in each slot: what it should take, and its place in the order of giving. */
  readonly #slotMs = new Float64Array(HELD_COUNT_MAX)
  readonly #slotTurn = new Float64Array(HELD_COUNT_MAX)
  #turn = 0
  readonly #free = Array.from({ length: HELD_COUNT_MAX }, (_, i) => HELD_COUNT_MAX - 1 - i)
  #chunk = emptyChunk()
  #expectedMs = 0
  #answeredMs: number

  /** @param onAnswers - told once for all answers that have come: they are taken by {@link takeAnswer}. */
  constructor(nowMs: number, onAnswers: (first: WorkerAnswer) => void) {
    this.#answeredMs = nowMs
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    this.#theirPort = port2
    port1.on('message', onAnswers)
  }

  get heldCount(): number {
    return HELD_COUNT_MAX - this.#free.length
  }

  get expectedMs(): number {
    return this.#expectedMs
  }

  /** What the worker is given; its port goes along, and nothing is held by this end then. */
  task(eo: EoIdentity, modules: readonly string[]): SessionTask {
    return { eo, port: this.#theirPort, slots: this.#slots, numbers: this.#numbers, modules }
  }

  /** Puts a job into the chunk that leaves with {@link flush}. Only while `heldCount` is below its bound. */
  give(job: WorkerJob, expectedMs: number): void {
    const slot = this.#free.pop()!
    this.#jobs[slot] = job
    this.#jobCount++
    this.#slotMs[slot] = expectedMs
    this.#slotTurn[slot] = this.#turn++
    this.#expectedMs += expectedMs
    Atomics.store(this.#slots, slot, SLOT.WAITING)
    const { functions, slots, inputs, callers, traces } = this.#chunk
    const { call } = job
    this.#writeNumbers(slot, placeOf(functions, job), call)
    slots.push(slot)
    inputs.push(job.input)
    callers.push(call.caller)
    if (call.trace !== undefined) traces[slot] = call.trace
  }

  flush(nowMs: number): void {
    const chunk = this.#chunk
    if (chunk.slots.length === 0) return
    if (this.heldCount === chunk.slots.length) this.#answeredMs = nowMs
    this.#chunk = emptyChunk()
    this.#port.postMessage(chunk)
  }

  /** The next answer that has come. Without an event, which costs more than the answer; also of a dead worker. */
  takeAnswer(): WorkerAnswer | undefined {
    const taken = receiveMessageOnPort(this.#port) as { message: WorkerAnswer } | undefined
    return taken?.message
  }

  /** The worker is done with a slot. @returns its job; undefined when that was taken back before. */
  release(slot: number, nowMs: number): WorkerJob | undefined {
    const job = this.#jobs[slot]
    if (job !== undefined) this.#forget(slot)
    Atomics.store(this.#slots, slot, SLOT.FREE)
    this.#free.push(slot)
    this.#answeredMs = nowMs
    this.isStalled = false
    return job
  }

  /** How long its function ran, of the job that is answered last in this slot. */
  elapsedMs(slot: number): number {
    return this.#numbers[slot * NUMBER_COUNT + NUMBER.ELAPSED_MS]!
  }

  /** For how long it owes an answer and gave none. */
  silentMs(nowMs: number): number {
    return this.#jobCount === 0 ? 0 : nowMs - this.#answeredMs
  }

  /** Jobs that it holds, in the order they were given. */
  jobs(): [slot: number, job: WorkerJob][] {
    const held: [slot: number, job: WorkerJob][] = []
    this.#jobs.forEach((job, slot) => {
      if (job !== undefined) held.push([slot, job])
    })
    return held.sort(([a], [b]) => this.#slotTurn[a]! - this.#slotTurn[b]!)
  }

  hasBegun(slot: number): boolean {
    return Atomics.load(this.#slots, slot) === SLOT.RUNNING
  }

  /**
   * Takes back a job that the worker did not claim yet. The slot stays taken until the worker says that it skipped it:
   * a cell used again before that would let the old message claim the new job. @returns false when the worker has begun
   * it, or is done with it.
   */
  withdraw(slot: number): boolean {
    const before = Atomics.compareExchange(this.#slots, slot, SLOT.WAITING, SLOT.WITHDRAWN)
    if (before !== SLOT.WAITING) return false
    this.#forget(slot)
    return true
  }

  /** Takes back what the worker did not claim yet, in the order it was given. */
  withdrawWaiting(): WorkerJob[] {
    const back: WorkerJob[] = []
    for (const [slot, job] of this.jobs()) if (this.withdraw(slot)) back.push(job)
    return back
  }

  /** The caller of a job that has begun waits no more. */
  giveUp(slot: number): void {
    this.#port.postMessage(slot satisfies WorkerCancelMessage)
  }

  /** The worker's session ends with it. */
  close(): void {
    this.#jobs.fill(undefined)
    this.#jobCount = 0
    this.#port.close()
  }

  #forget(slot: number): void {
    this.#jobs[slot] = undefined
    this.#jobCount--
    // From nothing held on, sums of fractions begin at nothing again.
    this.#expectedMs = this.#jobCount === 0 ? 0 : this.#expectedMs - this.#slotMs[slot]!
  }

  #writeNumbers(slot: number, place: number, call: WorkerCall): void {
    const numbers = this.#numbers
    const at = slot * NUMBER_COUNT
    numbers[at + NUMBER.FUNCTION] = place
    numbers[at + NUMBER.SOURCE_NODE] = call.source.node
    numbers[at + NUMBER.SOURCE_PORT] = call.source.port
    numbers[at + NUMBER.MESSAGE_ID] = call.messageId
    numbers[at + NUMBER.PRIORITY] = PRIORITIES.indexOf(call.priority)
    numbers[at + NUMBER.DEADLINE_EPOCH_MS] = call.deadlineEpochMs
    numbers[at + NUMBER.EPOCH] = call.epoch
  }
}

const emptyChunk = (): WorkerChunk => ({
  functions: [],
  slots: [],
  inputs: [],
  callers: [],
  traces: {},
})

/** Where its module is among the functions of a chunk; its name follows. */
function placeOf(functions: string[], { module, name }: WorkerJob): number {
  for (let at = 0; at < functions.length; at += 2) {
    if (functions[at + 1] === name && functions[at] === module) return at
  }
  return functions.push(module, name) - 2
}
