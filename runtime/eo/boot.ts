import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Logger } from 'pino'
import { isSdkError } from '../../idl/index.ts'
import { IOC_PORT } from '../../ioc/index.ts'
import { socketDirectory, socketPath } from '../../ioc/internal.ts'
import { createCheckpointClient } from '../services/checkpoint/client.ts'
import { readComponentEnvironment, type ComponentEnvironment } from './component-env.ts'
import { ComponentProcess } from './component-process.ts'
import { parseComponentModule, type ComponentModule } from './config.schema.ts'
import { installCrashRecorder } from './crash-record.ts'
import { componentLogger } from './logger.ts'
import { startWatchdog, type Watchdog } from './watchdog.ts'

/** The shutdown ends by then, come what may: the process then just exits. */
const SHUTDOWN_MS = 5_000

/**
 * Becomes the component that a module describes: `holdfast component FILE`. Resolves when it runs; the process then
 * lives until its agent or a signal ends it, and never ends by returning from here.
 * @throws SdkError NOT_INITIALIZED when no agent started this process; INVALID_STATE outside the main thread or when
 * the node process is gone. What goes wrong later ends the process with a crash record and exit code 70.
 */
export function runComponentFile(path: string): Promise<void> {
  const url = pathToFileURL(isAbsolute(path) ? path : resolve(path)).href
  return boot(() => import(url) as Promise<unknown>, path)
}

/** The same for a program with a main of its own, which hands its module over. */
export function runComponent(module: ComponentModule): Promise<void> {
  return boot(() => Promise.resolve(module), 'the component module')
}

async function boot(load: () => Promise<unknown>, where: string): Promise<void> {
  const env = readComponentEnvironment(process.env)
  const { component, node } = env
  const crash = installCrashRecorder({ runDir: env.runDir, node, component, pid: process.pid })
  const log = componentLogger({ component, node, pid: process.pid })
  // Before any code of the author runs: an import that never ends is noticed too.
  const watchdog = startWatchdog({
    socketPath: socketPath(socketDirectory(env.runDir), { node: env.nodeId, port: IOC_PORT.agent }),
    component,
    nodeId: env.nodeId,
    hungMs: env.hungMs,
    parentPid: env.parentPid ?? 0,
    onFailure: (error) => crash('watchdog', error),
  })
  try {
    await start({ env, log, watchdog, crash, load, where })
  } catch (error) {
    log.fatal({ err: error }, 'the component does not start')
    crash(isSdkError(error) ? error.code : 'initialize', error)
  }
}

interface Starting {
  readonly env: ComponentEnvironment
  readonly log: Logger
  readonly watchdog: Watchdog
  readonly crash: (kind: string, error: unknown) => never
  readonly load: () => Promise<unknown>
  readonly where: string
}

async function start({ env, log, watchdog, crash, load, where }: Starting): Promise<void> {
  const config = parseComponentModule(await load(), where)
  let ending = false
  const end = (why: string, terminate: boolean): void => {
    if (ending) return
    ending = true
    log.info({ why }, 'the component ends')
    setTimeout(() => process.exit(0), SHUTDOWN_MS).unref()
    void shutdown({ component, watchdog, log, terminate })
  }
  const component = await ComponentProcess.open({
    env,
    config,
    log,
    createCheckpoint: createCheckpointClient,
    crash,
    onTerminated: () => {
      end('terminate was asked for', false)
    },
  })
  watchdog.setPort(component.app.address.port)
  process.once('SIGTERM', () => {
    end('SIGTERM', true)
  })
  // The terminal's Ctrl-C reaches the whole foreground group: the agent decides what happens to its components.
  process.on('SIGINT', () => undefined)
  await component.start()
  log.info({ eo: config.name, address: component.app.address }, 'the component runs')
}

interface Ending {
  readonly component: ComponentProcess
  readonly watchdog: Watchdog
  readonly log: Logger
  readonly terminate: boolean
}

/** In reverse: author's code, calls, checkpoint, agent, port, watchdog. Exit code 0 says that it was orderly. */
async function shutdown({ component, watchdog, log, terminate }: Ending): Promise<void> {
  try {
    if (terminate) await component.terminate()
    await component.stop()
    await watchdog.stop()
  } catch (error) {
    log.warn({ err: error }, 'the end was not orderly')
  }
  process.exit(0)
}
