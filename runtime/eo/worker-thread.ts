/**
 * Entry of a worker thread: serves the jobs of one session, one after the other. Imports nothing of the SDK, and of the
 * component only the modules that functions were placed on.
 */
import {
  SLOT,
  type WorkerAnswer,
  type WorkerCall,
  type WorkerCancelMessage,
  type WorkerErrorMessage,
  type WorkerJobMessage,
  type WorkerSession,
} from './worker-protocol.ts'

type WorkerFunction = (input: unknown, call: unknown) => unknown

/** What piscina calls. Ends when the EO closes the port. */
export function session({ eo, port, slots, modules }: WorkerSession): Promise<void> {
  // What `bindMyEo` does, without its imports.
  place[MY_EO] = eo
  const queue: WorkerJobMessage[] = []
  let serving = false
  const serve = async (): Promise<void> => {
    serving = true
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const [slot] = job
      if (Atomics.compareExchange(slots, slot, SLOT.WAITING, SLOT.RUNNING) !== SLOT.WAITING) {
        port.postMessage([slot, 'skipped', null, 0] satisfies WorkerAnswer)
        continue
      }
      // A function that answers at once is not awaited: a microtask a job is what batches save.
      const answer = runJob(job)
      post(answer instanceof Promise ? await answer : answer)
    }
    serving = false
  }
  const post = (answer: WorkerAnswer): void => {
    try {
      port.postMessage(answer)
    } catch (error) {
      const message = `the result cannot cross threads: ${String(error)}`
      port.postMessage([answer[0], false, toMessage(new Error(message)), answer[3]])
    }
  }
  for (const url of modules) load(url).catch(() => undefined)
  return new Promise((resolve) => {
    port.on('message', (message: readonly WorkerJobMessage[] | WorkerCancelMessage) => {
      if (typeof message === 'number') {
        if (running?.slot === message) running.context.giveUp()
        return
      }
      queue.push(...message)
      if (!serving) void serve()
    })
    port.once('close', () => {
      resolve()
    })
  })
}

const MY_EO = Symbol.for('holdfast.myEo')
const place = globalThis as { [MY_EO]?: WorkerSession['eo'] }

type Exports = Readonly<Record<string, unknown>>
const loadedModules = new Map<string, Exports>()

async function load(url: string): Promise<Exports> {
  const exports = (await import(url)) as Exports
  loadedModules.set(url, exports)
  return exports
}

/** The job that was begun last, until it ends. */
let running: { readonly slot: number; readonly context: WorkerCallContext } | null = null

function runJob(job: WorkerJobMessage): WorkerAnswer | Promise<WorkerAnswer> {
  const [slot, url, name, input, call] = job
  const startMs = performance.now()
  const elapsed = (): number => performance.now() - startMs
  const failed = (error: unknown): WorkerAnswer => [slot, false, toMessage(error), elapsed()]
  const run = (module: Exports): WorkerAnswer | Promise<WorkerAnswer> => {
    const target = module[name]
    if (typeof target !== 'function') {
      return [slot, null, `${url} exports no function ${name}`, elapsed()]
    }
    const context = new WorkerCallContext(call)
    running = { slot, context }
    try {
      const result = (target as WorkerFunction)(input, context)
      if (!isThenable(result)) return [slot, true, result, elapsed()]
      return result.then((value): WorkerAnswer => [slot, true, value, elapsed()], failed)
    } catch (error) {
      return failed(error)
    }
  }
  const loaded = loadedModules.get(url)
  if (loaded !== undefined) return run(loaded)
  return load(url).then(run, (error: unknown): WorkerAnswer => {
    return [slot, null, `${url} does not load: ${String(error)}`, elapsed()]
  })
}

/** The call context on a worker: the same fields, with a signal of its own. */
class WorkerCallContext {
  readonly source: WorkerCall['source']
  readonly caller: string
  readonly messageId: number
  readonly priority: string
  readonly deadlineMs: number
  readonly epoch: number
  readonly trace: string | undefined
  #signal: AbortSignal | undefined
  #canceller: AbortController | undefined
  #givenUp = false

  constructor(call: WorkerCall) {
    this.source = call.source
    this.caller = call.caller
    this.messageId = call.messageId
    this.priority = call.priority
    this.deadlineMs = call.deadlineEpochMs - performance.timeOrigin
    this.epoch = call.epoch
    this.trace = call.trace
  }

  get eo(): WorkerSession['eo'] {
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
