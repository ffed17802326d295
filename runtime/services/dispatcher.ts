import type { Logger } from 'pino'
import { isSdkError, SdkError } from '../../idl/index.ts'
import type { HandlersOf, Interface, Method, MethodSpecs } from '../../idl/index.ts'
import type { Epoch, IncomingCall } from '../../ioc/index.ts'

type Run = (input: unknown, call: IncomingCall) => unknown

interface Entry {
  readonly label: string
  readonly method: Method
  readonly run: Run
}

/**
 * Serves typed interfaces on one port of a node process: decodes, runs the handler, answers. Handlers run at once, on
 * the receive path; one that returns a plain value is answered in the same turn. An `SdkError` goes back as it is, any
 * other error as `HANDLER_FAILED` (without its stack).
 */
export class Dispatcher {
  readonly #entries = new Map<number, Entry>()
  readonly #log: Logger
  readonly #epoch: Epoch

  /** @param epoch - put on every reply: callers of `@name` drop replies older than they have seen. */
  constructor(log: Logger, epoch: Epoch = 0) {
    this.#log = log
    this.#epoch = epoch
  }

  /** Installs the functions of an interface. Later calls with the same function numbers replace them. */
  install<M extends MethodSpecs>(face: Interface<M>, handlers: HandlersOf<M, IncomingCall>): void {
    const runs: Readonly<Record<string, unknown>> = handlers
    const methods: Readonly<Record<string, Method>> = face.methods
    for (const [name, method] of Object.entries(methods)) {
      const label = `${face.name}.${name}`
      this.#entries.set(method.functionNumber, { label, method, run: runs[name] as Run })
    }
  }

  /** Takes a call. @returns false when no installed interface has its function: nothing was answered then. */
  dispatch(call: IncomingCall): boolean {
    const entry = this.#entries.get(call.functionNumber)
    if (entry === undefined) return false
    try {
      const result = entry.run(entry.method.input.decode(call.payload), call)
      if (result instanceof Promise) void this.#answerLater(entry, call, result)
      else this.#answer(entry, call, result)
    } catch (error) {
      this.#refuse(entry, call, error)
    }
    return true
  }

  /** Takes a call and answers `FUNC_NOT_REGISTERED` when nobody has its function. */
  serve(call: IncomingCall): void {
    if (this.dispatch(call)) return
    const client = call.functionNumber >> 6
    const message = `no function ${client}.${call.functionNumber & 63} on this port`
    call.fail(new SdkError('FUNC_NOT_REGISTERED', message))
  }

  async #answerLater(entry: Entry, call: IncomingCall, result: Promise<unknown>): Promise<void> {
    try {
      this.#answer(entry, call, await result)
    } catch (error) {
      this.#refuse(entry, call, error)
    }
  }

  #answer(entry: Entry, call: IncomingCall, result: unknown): void {
    call.reply(entry.method.output.encode(result), this.#epoch)
  }

  #refuse(entry: Entry, call: IncomingCall, error: unknown): void {
    if (isSdkError(error)) {
      call.fail(error, this.#epoch)
      return
    }
    this.#log.error({ err: error, function: entry.label }, 'a platform function failed')
    const message = error instanceof Error ? error.message : String(error)
    call.fail(new SdkError('HANDLER_FAILED', `${entry.label}: ${message}`), this.#epoch)
  }
}
