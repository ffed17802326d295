/**
 * The EO thread of a component with the thread model `app`: owns the port, imports the component's module, runs its
 * `initialize`, its callbacks and the functions placed on the EO. The main thread is the application's and may block
 * for ever, so nothing here waits for it: log lines are written by this thread, and the end of the process is forced
 * when main does not exit.
 */
import { Console } from 'node:console'
import { writeSync } from 'node:fs'
import { Writable } from 'node:stream'
import { parentPort, workerData } from 'node:worker_threads'
import { isSdkError } from '../../idl/index.ts'
import { CallContext } from './call-context.ts'
import { parseComponentModule } from './config.schema.ts'
import { installCrashRecorder } from './crash-record.ts'
import { runEo } from './eo-run.ts'
import {
  CONTROL,
  type EoThreadData,
  type EoThreadMessage,
  type MainThreadMessage,
} from './eo-thread-protocol.ts'
import { componentLogger } from './logger.ts'
import { joinWatchdog } from './watchdog.ts'

/** Main may take this long to return after the component has ended in order. */
const MAIN_RETURN_MS = 1_000
/** A main whose event loop runs exits at once when the component has failed. */
const MAIN_EXIT_MS = 100

const data = workerData as EoThreadData
const { env } = data

// What a worker prints goes through main's event loop otherwise, and stays in memory while main is blocked.
globalThis.console = new Console({ stdout: directStream(1), stderr: directStream(2) })

function exit(code: number): never {
  Atomics.store(data.control, CONTROL.ending, 1)
  Atomics.notify(data.control, CONTROL.ending)
  tell({ kind: 'exit', code })
  Atomics.wait(data.control, CONTROL.never, 0, code === 0 ? MAIN_RETURN_MS : MAIN_EXIT_MS)
  try {
    writeSync(2, `${env.component}: main does not return: the process is ended\n`)
  } finally {
    // process.exit would end this thread only.
    process.kill(process.pid, 'SIGKILL')
  }
  throw new Error('unreachable')
}

function tell(message: EoThreadMessage): void {
  parentPort?.postMessage(message)
}

function directStream(fd: number): Writable {
  return new Writable({
    decodeStrings: true,
    write: (chunk: Uint8Array, _, done) => {
      try {
        writeSync(fd, chunk)
      } catch {
        // Nobody reads it any more.
      }
      done()
    },
  })
}

async function main(): Promise<void> {
  const watchdog = joinWatchdog(data.watchdogCells)
  const { runDir, node, component } = env
  const crash = installCrashRecorder({ runDir, node, component, pid: process.pid }, exit)
  const context = new CallContext()
  const log = componentLogger({ component, node, pid: process.pid }, context)
  try {
    const config = parseComponentModule(await import(data.url), data.where)
    const running = await runEo({ env, config, log, context, watchdog, crash, exit })
    parentPort?.on('message', ({ why }: MainThreadMessage) => {
      running.end(why)
    })
    tell({ kind: 'running', address: running.app.address })
  } catch (error) {
    log.fatal({ err: error }, 'the component does not start')
    crash(isSdkError(error) ? error.code : 'initialize', error)
  }
}

await main()
