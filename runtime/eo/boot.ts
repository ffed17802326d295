import { isAbsolute, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isSdkError, SdkError } from '../../idl/index.ts'
import { IOC_PORT } from '../../ioc/index.ts'
import { socketDirectory, socketPath } from '../../ioc/internal.ts'
import { CallContext } from './call-context.ts'
import { readComponentEnvironment, type ComponentEnvironment } from './component-env.ts'
import { parseComponentModule, type ComponentModule } from './config.schema.ts'
import { installCrashRecorder } from './crash-record.ts'
import { runEo } from './eo-run.ts'
import { componentLogger } from './logger.ts'
import {
  receiveLoopMain,
  startEoThread,
  type EoThread,
  type MainFunction,
  type MainThread,
} from './main-thread.ts'
import { startWatchdog, type Watchdog } from './watchdog.ts'

/**
 * Becomes the component that a module describes: `holdfast component FILE`. Resolves when it runs; the process then
 * lives until its agent or a signal ends it, and never ends by returning from here. With the thread model `app` the
 * module's exported `main` runs here afterwards.
 * @throws SdkError NOT_INITIALIZED when no agent started this process; INVALID_STATE outside the main thread or when
 * the node process is gone. What goes wrong later ends the process with a crash record and exit code 70.
 * @param onStarted - called when the component runs, before its `main`.
 */
export async function runComponentFile(path: string, onStarted?: () => void): Promise<void> {
  const url = pathToFileURL(isAbsolute(path) ? path : resolve(path))
  let main: MainFunction | null = null
  const load = async (): Promise<unknown> => {
    const module = (await import(url.href)) as Readonly<Record<string, unknown>>
    main = mainOf(module, path)
    return module
  }
  const { thread } = await boot({ load, url, where: path })
  onStarted?.()
  if (main !== null) thread?.run(main)
}

/**
 * The same for a program with a main of its own. Hand over the module, or its URL: with the thread model `app` the EO
 * thread imports it by that, and main goes on as the application.
 * @throws SdkError as {@link runComponentFile}.
 */
export async function runComponent(module: ComponentModule | URL): Promise<MainThread> {
  const booted =
    module instanceof URL
      ? await boot({ load: () => import(module.href), url: module, where: pathOf(module) })
      : await boot({
          load: () => Promise.resolve(module),
          url: null,
          where: 'the component module',
        })
  return booted.main
}

interface Booting {
  readonly load: () => Promise<unknown>
  /** Null when only the module's object is known. */
  readonly url: URL | null
  readonly where: string
}

interface Booted {
  readonly main: MainThread
  /** Null in the thread model `recv`. */
  readonly thread: EoThread | null
}

async function boot(booting: Booting): Promise<Booted> {
  const env = readComponentEnvironment(process.env)
  const { component, node } = env
  const crash = installCrashRecorder({ runDir: env.runDir, node, component, pid: process.pid })
  // Before any code of the author runs: an import that never ends is noticed too.
  const watchdog = startWatchdog({
    socketPath: socketPath(socketDirectory(env.runDir), { node: env.nodeId, port: IOC_PORT.agent }),
    component,
    nodeId: env.nodeId,
    hungMs: env.hungMs,
    leaseMs: env.leaseMs ?? 0,
    parentPid: env.parentPid ?? 0,
    onFailure: (error) => crash('watchdog', error),
  })
  const context = new CallContext()
  const log = componentLogger({ component, node, pid: process.pid }, context)
  try {
    return await start(booting, { env, log, context, watchdog, crash })
  } catch (error) {
    log.fatal({ err: error }, 'the component does not start')
    return crash(isSdkError(error) ? error.code : 'initialize', error)
  }
}

interface Started {
  readonly env: ComponentEnvironment
  readonly log: ReturnType<typeof componentLogger>
  readonly context: CallContext
  readonly watchdog: Watchdog
  readonly crash: (kind: string, error: unknown) => never
}

async function start({ load, url, where }: Booting, started: Started): Promise<Booted> {
  const { env, log, context, watchdog, crash } = started
  const config = parseComponentModule(await load(), where)
  // The terminal's Ctrl-C reaches the whole foreground group: the agent decides what happens to its components.
  process.on('SIGINT', () => undefined)
  if (config.threadModel === 'app') {
    const href = urlForApp(url)
    const watchdogCells = watchdog.handOver()
    const thread = await startEoThread({ env, url: href, where, log, watchdogCells, crash })
    return { main: thread.main, thread }
  }
  const ending = new AbortController()
  const exit = (code: number): never => {
    ending.abort(new SdkError('INTERRUPT', 'the component ends'))
    process.exit(code)
  }
  const running = await runEo({ env, config, log, context, watchdog, crash, exit })
  const { component, node, address } = running.app
  const facts = { component, node, address, runDir: env.runDir, log }
  return { main: receiveLoopMain(facts, ending.signal), thread: null }
}

function urlForApp(url: URL | null): string {
  if (url !== null) return url.href
  const message =
    "clEoConfig.threadModel 'app' needs the module's URL, because the EO thread imports it too: " +
    "call runComponent(new URL('./component.js', import.meta.url))"
  throw new SdkError('INVALID_PARAMETER', message)
}

/** The exported `main` of a module, which the thread model `app` needs and `recv` would never run. */
function mainOf(module: Readonly<Record<string, unknown>>, path: string): MainFunction | null {
  const { main } = module
  const model = (module['clEoConfig'] as { threadModel?: unknown } | undefined)?.threadModel
  if (typeof main === 'function' && model === 'app') return main as MainFunction
  if (model === 'app') {
    const message =
      `${path}: threadModel 'app' needs an exported function main(thread), which runs on the ` +
      "main thread; a component that only serves calls takes threadModel 'recv'"
    throw new SdkError('INVALID_PARAMETER', message)
  }
  if (main === undefined) return null
  const message = `${path}: main is exported, but threadModel 'recv' never runs it: set 'app'`
  throw new SdkError('INVALID_PARAMETER', message)
}

function pathOf(url: URL): string {
  return url.protocol === 'file:' ? fileURLToPath(url) : url.href
}
