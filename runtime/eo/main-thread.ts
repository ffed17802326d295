import { Worker } from 'node:worker_threads'
import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import type { IocAddress } from '../../ioc/index.ts'
import type { ComponentEnvironment } from './component-env.ts'
import {
  CONTROL,
  CONTROL_COUNT,
  type EoThreadData,
  type EoThreadMessage,
  type MainThreadMessage,
} from './eo-thread-protocol.ts'
import { bindMyEo } from './my-eo.ts'

/**
 * What the main thread of a component has: in the thread model `app` it is the application's own, and may block for
 * ever. It shares no variable with the EO thread, which imported the module a second time; calls of its own go through
 * `connect({ runDir })`.
 */
export interface MainThread {
  /** Name of this component. */
  readonly component: string
  /** Name of the node this component runs on. */
  readonly node: string
  readonly address: IocAddress
  readonly runDir: string
  readonly log: Logger
  /** Aborts when the component is to end: for a main that lets the event loop run. */
  readonly signal: AbortSignal
  /**
   * Blocks this thread until the component is to end, for `ms` at most: for a main that lets no event loop run.
   * @returns true when the component is to end: return from main then.
   * @throws SdkError INVALID_STATE in the thread model `recv`, where main is the receive loop and must not block.
   */
  waitForEnd(ms: number): boolean
}

/** An application's main: may block, and is done when it returns. */
export type MainFunction = (main: MainThread) => unknown

/** What {@link startEoThread} is given. */
export interface EoThreadOptions {
  readonly env: ComponentEnvironment
  readonly url: string
  readonly where: string
  readonly log: Logger
  readonly watchdogCells: Int32Array
  readonly crash: (kind: string, error: unknown) => void
}

/** The EO thread as main sees it. */
export interface EoThread {
  readonly main: MainThread
  /** Runs the application's main; when it returns, the component ends in order. */
  run(main: MainFunction): void
}

/** Starts the EO thread and resolves when the component runs on it. The process ends when the thread does. */
export function startEoThread(options: EoThreadOptions): Promise<EoThread> {
  const { env, url, where, log, watchdogCells, crash } = options
  const control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_COUNT))
  const data: EoThreadData = { env, url, where, watchdogCells, control }
  const worker = new Worker(new URL(import.meta.resolve('#dist/runtime/eo/eo-thread.js')), {
    workerData: data,
    name: 'eo',
  })
  const controller = new AbortController()
  /** The application's main, while it runs. */
  let application: Promise<unknown> = Promise.resolve()
  worker.once('error', (error) => {
    crash('eo thread', error)
  })
  worker.once('exit', (code) => {
    crash('eo thread', new Error(`the EO thread ended with code ${code}`))
  })
  const leave = async (code: number): Promise<never> => {
    controller.abort(new SdkError('INTERRUPT', 'the component ends'))
    // The EO thread ends the process when main takes too long over it.
    if (code === 0) await application.catch(() => undefined)
    process.exit(code)
  }
  return new Promise((resolve) => {
    worker.on('message', (message: EoThreadMessage) => {
      if (message.kind === 'exit') return void leave(message.code)
      const { component, node, runDir } = env
      const main = mainThread({ component, node, runDir, address: message.address, log }, (ms) => {
        Atomics.wait(control, CONTROL.ending, 0, ms)
        return Atomics.load(control, CONTROL.ending) === 1
      })
      bindMyEo({ component, node, address: message.address })
      const run = (body: MainFunction): void => {
        application = Promise.resolve()
          .then(() => body(main(controller.signal)))
          .then(
            () => {
              const end: MainThreadMessage = { kind: 'end', why: 'main returned' }
              worker.postMessage(end)
            },
            (error: unknown) => {
              crash('main', error)
            },
          )
      }
      resolve({ main: main(controller.signal), run })
    })
  })
}

/** The handle of a main thread that is the receive loop: everything but a way to block it. */
export function receiveLoopMain(
  facts: Pick<MainThread, 'component' | 'node' | 'runDir' | 'address' | 'log'>,
  signal: AbortSignal,
): MainThread {
  return mainThread(facts, () => {
    const message = `waitForEnd would block the receive loop: set clEoConfig.threadModel to 'app'`
    throw new SdkError('INVALID_STATE', message)
  })(signal)
}

function mainThread(
  facts: Pick<MainThread, 'component' | 'node' | 'runDir' | 'address' | 'log'>,
  waitForEnd: (ms: number) => boolean,
): (signal: AbortSignal) => MainThread {
  return (signal) => Object.freeze({ ...facts, signal, waitForEnd })
}
