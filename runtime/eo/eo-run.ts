import { isMainThread } from 'node:worker_threads'
import type { Logger } from 'pino'
import { createCheckpointClient } from '../services/checkpoint/client.ts'
import type { App } from './app.ts'
import type { CallContext } from './call-context.ts'
import type { ComponentEnvironment } from './component-env.ts'
import { ComponentProcess } from './component-process.ts'
import type { EoConfig } from './config.schema.ts'
import { bindMyEo } from './my-eo.ts'
import { rehearsing } from './rehearsal.ts'
import type { WatchdogLink } from './watchdog.ts'

/** The shutdown ends by then, come what may: the process then just exits. */
const SHUTDOWN_MS = 5_000

/** What {@link runEo} is given. */
export interface EoRunOptions {
  readonly env: ComponentEnvironment
  readonly config: EoConfig
  readonly log: Logger
  /** In which functions run: the log asks it for their traces. */
  readonly context: CallContext
  readonly watchdog: WatchdogLink
  readonly crash: (kind: string, error: unknown) => void
  /** Ends the process. 0 says that it was orderly. */
  readonly exit: (code: number) => never
}

/** A component that runs on the calling thread. */
export interface RunningEo {
  readonly app: App
  /** Begins the orderly end: the terminate callback, then everything in reverse, then `exit`. Repeats do nothing. */
  end(why: string): void
}

/** Opens a component on the calling thread, in both thread models, and resolves when its `initialize` has returned. */
export async function runEo(options: EoRunOptions): Promise<RunningEo> {
  const { env, config, log, context, watchdog, crash } = options
  let ending = false
  const end = (why: string, terminate: boolean): void => {
    if (ending) return
    ending = true
    log.info({ why }, 'the component ends')
    setTimeout(() => options.exit(0), SHUTDOWN_MS).unref()
    void shutdown(component, options, terminate)
  }
  const component = await ComponentProcess.open({
    env,
    config,
    log,
    context,
    createCheckpoint: createCheckpointClient,
    crash,
    watchdog,
    onRole: rehearsing(log),
    onTerminated: () => {
      end('terminate was asked for', false)
    },
  })
  bindMyEo(component.app)
  watchdog.setPort(component.app.address.port)
  // Signals reach the main thread only, and while an application blocks it no handler could run: without one the
  // signal ends the process at once.
  if (isMainThread) {
    process.once('SIGTERM', () => {
      end('SIGTERM', true)
    })
  }
  await component.start()
  log.info({ eo: config.name, address: component.app.address }, 'the component runs')
  return {
    app: component.app,
    end: (why) => {
      end(why, true)
    },
  }
}

/** In reverse: author's code, calls, checkpoint, agent, port, watchdog. */
async function shutdown(
  component: ComponentProcess,
  { log, watchdog, exit }: EoRunOptions,
  terminate: boolean,
): Promise<void> {
  try {
    if (terminate) await component.terminate()
    await component.stop()
    await watchdog.stop()
  } catch (error) {
    log.warn({ err: error }, 'the end was not orderly')
  }
  exit(0)
}
