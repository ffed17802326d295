/**
 * Entry of a worker thread: serves the jobs of one session, one after the other. Imports nothing of the SDK, and of the
 * component only the modules that functions were placed on.
 */
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
  type WorkerErrorMessage,
} from './worker-protocol.ts'

type WorkerFunction = (input: unknown, call: unknown) => unknown

/** What piscina calls. Ends when the EO closes the port. */
export function session({ eo, port, slots, numbers, modules }: SessionTask): Promise<void> {
  // What `bindMyEo` does, without its imports.
  place[MY_EO] = eo
  const chunks: WorkerChunk[] = []
  let serving = false
  const serve = async (): Promise<void> => {
    serving = true
    for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
      const { slots: taken } = chunk
      for (let at = 0; at < taken.length; at++) {
        const slot = taken[at]!
        if (Atomics.compareExchange(slots, slot, SLOT.WAITING, SLOT.RUNNING) !== SLOT.WAITING) {
          port.postMessage([slot, 'skipped', null] satisfies WorkerAnswer)
          continue
        }
        const startMs = performance.now()
        // A function that answers at once is not awaited: a microtask a job is what chunks save.
        const given = runJob(chunk, at, numbers)
        const answer = given instanceof Promise ? await given : given
        numbers[slot * NUMBER_COUNT + NUMBER.ELAPSED_MS] = performance.now() - startMs
        post(answer)
      }
    }
    serving = false
  }
  const post = (answer: WorkerAnswer): void => {
    try {
      port.postMessage(answer)
    } catch (error) {
      const message = `the result cannot cross threads: ${String(error)}`
      port.postMessage([answer[0], 'threw', toMessage(new Error(message))] satisfies WorkerAnswer)
    }
  }
  for (const url of modules) load(url).catch(() => undefined)
  return new Promise((resolve) => {
    port.on('message', (message: WorkerChunk | WorkerCancelMessage) => {
      if (typeof message === 'number') {
        if (running?.slot === message) running.context.giveUp()
        return
      }
      chunks.push(message)
      if (!serving) void serve()
    })
    port.once('close', () => {
      resolve()
    })
  })
}

const MY_EO = Symbol.for('holdfast.myEo')
const place = globalThis as { [MY_EO]?: SessionTask['eo'] }

type Exports = Readonly<Record<string, unknown>>
const loadedModules = new Map<string, Exports>()

async function load(url: string): Promise<Exports> {
  const exports = (await import(url)) as Exports
  loadedModules.set(url, exports)
  return exports
}

/** Read once: asked for, it costs as much as a short function. */
const ORIGIN_MS = performance.timeOrigin

/** The job that was begun last, until it ends. */
let running: { readonly slot: number; readonly context: WorkerCallContext } | null = null

function runJob(
  chunk: WorkerChunk,
  at: number,
  numbers: Float64Array,
): WorkerAnswer | Promise<WorkerAnswer> {
  const slot = chunk.slots[at]!
  const place = numbers[slot * NUMBER_COUNT + NUMBER.FUNCTION]!
  const url = chunk.functions[place]!
  const name = chunk.functions[place + 1]!
  const run = (module: Exports): WorkerAnswer | Promise<WorkerAnswer> => {
    const target = module[name]
    if (typeof target !== 'function') {
      return [slot, 'missing', `${url} exports no function ${name}`]
    }
    const context = new WorkerCallContext(chunk, at, numbers)
    running = { slot, context }
    try {
      const result = (target as WorkerFunction)(chunk.inputs[at], context)
      if (!isThenable(result)) return [slot, result]
      return result.then(
        (value): WorkerAnswer => [slot, value],
        (error: unknown): WorkerAnswer => [slot, 'threw', toMessage(error)],
      )
    } catch (error) {
      return [slot, 'threw', toMessage(error)]
    }
  }
  const loaded = loadedModules.get(url)
  if (loaded !== undefined) return run(loaded)
  return load(url).then(run, (error: unknown): WorkerAnswer => {
    return [slot, 'missing', `${url} does not load: ${String(error)}`]
  })
}

/** The call context on a worker: the same fields, with a signal of its own. */
class WorkerCallContext {
  readonly source: WorkerCall['source']
  readonly caller: string
  readonly messageId: number
  readonly priority: WorkerCall['priority']
  readonly deadlineMs: number
  readonly epoch: number
  readonly trace: string | undefined
  #signal: AbortSignal | undefined
  #canceller: AbortController | undefined
  #givenUp = false

  constructor({ slots, callers, traces }: WorkerChunk, at: number, numbers: Float64Array) {
    const slot = slots[at]!
    const first = slot * NUMBER_COUNT
    this.source = {
      node: numbers[first + NUMBER.SOURCE_NODE]!,
      port: numbers[first + NUMBER.SOURCE_PORT]!,
    }
    this.caller = callers[at]!
    this.messageId = numbers[first + NUMBER.MESSAGE_ID]!
    this.priority = PRIORITIES[numbers[first + NUMBER.PRIORITY]!]!
    this.deadlineMs = numbers[first + NUMBER.DEADLINE_EPOCH_MS]! - ORIGIN_MS
    this.epoch = numbers[first + NUMBER.EPOCH]!
    this.trace = traces[slot]
  }

  get eo(): SessionTask['eo'] {
    return place[MY_EO]!
  }

  get signal(): AbortSignal {
    if (this.#signal !== undefined) return this.#signal
    const leftMs = Math.max(0, Math.ceil(this.deadlineMs - performance.now()))
    this.#canceller = new AbortController()
    this.#signal = AbortSignal.any([AbortSignal.timeout(leftMs), this.#canceller.signal])
    if (this.#givenUp) this.giveUp()
    return this.#signal
  }

  /** The caller waits no more. */
  giveUp(): void {
    this.#givenUp = true
    this.#canceller?.abort(new DOMException('given up by its caller', 'AbortError'))
  }
}

function isThenable(value: unknown): value is Promise<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}

function toMessage(error: unknown): WorkerErrorMessage {
  if (!(error instanceof Error)) {
    return { code: null, name: 'Error', message: String(error), stack: '', context: {} }
  }
  const { code, context } = error as { code?: unknown; context?: unknown }
  const known = Symbol.for('holdfast.SdkError') in error && typeof code === 'string'
  return {
    code: known ? code : null,
    name: error.name,
    message: error.message,
    stack: error.stack ?? '',
    context: known ? plain(context) : {},
  }
}

function plain(context: unknown): Readonly<Record<string, unknown>> {
  try {
    return structuredClone(context) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}
