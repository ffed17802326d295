import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import type { Logger } from 'pino'
import { z } from 'zod'
import { defineInterface, SdkError, type Method } from '../../idl/index.ts'
import { createRmd, IOC_PORT, memoryTransport, openPort } from '../../ioc/index.ts'
import type { Rmd, Transport } from '../../ioc/index.ts'
import { CLIENT_ID, Cpm, CpmCallbacks, type HaState } from '../cpm/interface.ts'
import { createCheckpointClient } from '../services/checkpoint/client.ts'
import { Checkpoint } from '../services/checkpoint/interface.ts'
import type { App, Call } from './app.ts'
import { CallContext } from './call-context.ts'
import { ComponentProcess } from './component-process.ts'
import { parseComponentModule, type ClEoConfig } from './config.schema.ts'
import { keepNewSpaceSmall } from './new-space.ts'

/**
 * A standby that takes over runs code that this process never ran: the receive path, the queue, the commits. Cold code
 * is some ten times slower, in the very moment in which everybody waits. So a standby plays its promotion beforehand,
 * on a stage: a second component in memory, whose agent and callers are played too. Nothing of it leaves the process
 * and nothing of it stays, but for the compiled code.
 */

/** Promotions played: the first takes 45 ms, the fourth and all later ones 8. */
const ROUND_COUNT = 4
/** Calls that wait for the role in each of them. */
const CALL_COUNT = 64
const NODE = 1
const CSI = 'rehearsal'
const SECTION = 'last'
const EMPTY = (): Record<string, never> => ({})
const ignore = (): void => undefined

const Rehearsal = defineInterface({
  name: 'Rehearsal',
  clientId: CLIENT_ID.userFirst,
  version: 'B.1.1',
  methods: {
    next: {
      serviceId: 0,
      input: z.strictObject({ count: z.int() }),
      output: z.strictObject({ last: z.int() }),
    },
  },
})

/**
 * Plays promotions on the calling thread when the component becomes STANDBY for the first time; between rounds the
 * event loop turns, and another role ends it. One that fails is a line in the log: the first calls after a real
 * promotion are slower then, and that is all.
 * @returns what is to be told of each role; its promise resolves when nothing is played any more, and never rejects.
 */
export function rehearsing(log: Logger): (haState: HaState) => Promise<void> {
  let isStandby = false
  let done: Promise<void> | null = null
  let letGrow: (() => void) | null = null
  return (haState) => {
    isStandby = haState === 'STANDBY'
    if (!isStandby) {
      letGrow?.()
      letGrow = null
      return Promise.resolve()
    }
    // What is played leaves nothing behind, and a standby has little to do.
    letGrow ??= keepNewSpaceSmall()
    done ??= rehearse(log, () => isStandby).catch((error: unknown) => {
      log.warn({ err: error }, 'the promotion was not rehearsed')
    })
    return done
  }
}

async function rehearse(log: Logger, isWanted: () => boolean): Promise<void> {
  // V8 drops code that did not run for some collections; a standby waits for weeks.
  setFlagsFromString('--no-flush-bytecode')
  const stage = await Stage.open(log.child({ part: 'rehearsal' }, { level: 'silent' }))
  let roundCount = 0
  while (roundCount < ROUND_COUNT && isWanted()) await stage.promote(++roundCount)
  await stage.close()
  log.debug({ roundCount }, 'a promotion was rehearsed')
}

class Stage {
  readonly #understudy: ComponentProcess
  readonly #agent: Rmd
  readonly #caller: Rmd
  #invocation = 0
  #onResponse: () => void = () => undefined

  private constructor(understudy: ComponentProcess, agent: Rmd, caller: Rmd) {
    this.#understudy = understudy
    this.#agent = agent
    this.#caller = caller
  }

  static async open(log: Logger): Promise<Stage> {
    const transport = memoryTransport()
    const part = async (name: string, port: number): Promise<Rmd> =>
      createRmd({ port: await openPort({ transport, node: NODE, port, name, log }) })
    const agent = await part('agent', IOC_PORT.agent)
    const caller = await part('caller', 0)
    const understudy = await openUnderstudy(log, transport)
    const stage = new Stage(understudy, agent, caller)
    stage.#playAgent()
    await understudy.start()
    return stage
  }

  /** Calls come, and wait; the role comes, and they run. */
  async promote(epoch: number): Promise<void> {
    await this.#set('STANDBY', epoch)
    const { address } = this.#understudy.app
    const client = this.#caller.client(Rehearsal, { to: address, atMostOnce: true })
    const calls = Array.from({ length: CALL_COUNT }, () => client.next({ count: 1 }))
    await turn()
    await this.#set('ACTIVE', epoch)
    await Promise.all(calls)
    await this.#set('QUIESCED', epoch)
  }

  async close(): Promise<void> {
    await this.#understudy.stop()
    await this.#caller.close()
    await this.#agent.close()
  }

  /** What an agent answers when all goes well: every commit is held by everybody at once. */
  #playAgent(): void {
    const parts = new Map<number, (input: Uint8Array) => Uint8Array>()
    const play = <I extends z.ZodType, O extends z.ZodType>(
      { functionNumber, input, output }: Method<I, O>,
      answer: (value: z.output<I>) => z.input<O>,
    ): void => {
      parts.set(functionNumber, (payload) => output.encode(answer(input.decode(payload))))
    }
    const { initialize, namesWatch, register, finalize, response } = Cpm.methods
    play(initialize, () => ({ node: 'stage', nodeId: NODE, cluster: 'stage' }))
    play(namesWatch, () => ({ names: [], complete: true, whole: true }))
    play(register, EMPTY)
    play(finalize, EMPTY)
    play(response, () => {
      this.#onResponse()
      return {}
    })
    const { attach, commit, detach } = Checkpoint.methods
    play(attach, () => ({ epoch: 0, sequence: 0, sections: [], replies: [], acknowledged: [] }))
    play(commit, ({ batch: { firstSequence, records } }) => ({
      sequence: firstSequence + records.length - 1,
    }))
    play(detach, EMPTY)
    this.#agent.serve((call) => {
      const part = parts.get(call.functionNumber)
      if (part !== undefined) call.reply(part(call.payload))
      else call.fail(new SdkError('NOT_SUPPORTED', `function ${call.functionNumber} is not played`))
    })
  }

  /** Gives the understudy a role, and resolves when it has answered. */
  async #set(haState: 'ACTIVE' | 'STANDBY' | 'QUIESCED', epoch: number): Promise<void> {
    const { address, component } = this.#understudy.app
    const answered = new Promise<void>((resolve) => (this.#onResponse = resolve))
    const descriptor = {
      ...({ csi: CSI, flags: 'ADD_ONE', haState, epoch, transition: null } as const),
      ...{ activeComponent: null, standbyRank: 0, attributes: {} },
    }
    this.#invocation += 1
    const { csiSet } = this.#agent.client(CpmCallbacks, { to: address })
    await csiSet({ invocation: this.#invocation, component, haState, descriptor })
    await answered
  }
}

function openUnderstudy(log: Logger, transport: Transport): Promise<ComponentProcess> {
  const clEoConfig: ClEoConfig = { name: CSI, userClients: 1, initialize: initializeUnderstudy }
  return ComponentProcess.open({
    env: { runDir: '', component: CSI, node: 'stage', nodeId: NODE, hungMs: 2_000 },
    config: parseComponentModule({ clEoConfig }, CSI),
    log,
    context: new CallContext(),
    createCheckpoint: createCheckpointClient,
    crash: ignore,
    onTerminated: ignore,
    watchdog: { setActive: ignore, setRunning: ignore, statistics: EMPTY },
    transport,
  })
}

/** As authors write it: a function that reads and writes a checkpoint. */
async function initializeUnderstudy(app: App): Promise<void> {
  await app.cpm.initialize({ csiSet: ignore, csiRemove: ignore, terminate: ignore })
  const checkpoint = app.checkpoint.open(CSI)
  const next = ({ count }: { readonly count: number }, call: Call): { last: number } => {
    const view = checkpoint.in(call)
    const last = ((view.read(SECTION) as number | undefined) ?? 0) + count
    view.write(SECTION, last)
    return { last }
  }
  app.eo.clientInstall(Rehearsal, { next }, { csi: CSI })
  await app.cpm.register()
}
