import { pino } from 'pino'
import { createRmd, openPort, type Rmd } from '../../ioc/index.ts'
import { Cpm, CpmCallbacks, Dispatcher, type HaState } from '../../runtime/internal.ts'
import type { ComponentProcess, ProcessExit } from '../../amf/node/component-ports.ts'
import type { Random } from '../property/simulation.ts'
import { Host, type Network } from './network.ts'
import { clock } from './virtual-time.ts'

const log = pino({ enabled: false })

export interface ActorOptions {
  readonly name: string
  readonly node: number
  readonly pid: number
  readonly network: Network
  readonly random: Random
  /** A role was taken (before it is confirmed) or given up (as it is confirmed). */
  readonly onRole: () => void
}

/** A component as a process that does what its agent says, after a while, and holds roles. */
export class Actor implements ComponentProcess {
  readonly pid: number
  readonly started = null
  readonly exited: Promise<ProcessExit>
  readonly drained: Promise<void>
  /** By CSI: what the component would act on at this instant. */
  readonly roles = new Map<string, HaState>()
  isAlive = true
  readonly #options: ActorOptions
  readonly #host: Host
  #rmd: Rmd | null = null
  #exit: (exit: ProcessExit) => void = () => undefined

  constructor(options: ActorOptions) {
    this.#options = options
    this.pid = options.pid
    this.#host = new Host(options.node)
    this.exited = new Promise((resolve) => {
      this.#exit = resolve
    })
    this.drained = this.exited.then(() => undefined)
    this.#later(() => void this.#register().catch(() => this.die('SIGABRT')))
  }

  kill(): void {
    this.die('SIGKILL')
  }

  terminate(): void {
    this.die('SIGTERM')
  }

  stderrTail(): string {
    return ''
  }

  /** Ends at once; its agent learns of it a moment later. */
  die(signal: NodeJS.Signals | null): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.roles.clear()
    this.#options.network.kill(this.#host)
    setTimeout(() => this.#exit({ code: signal === null ? 0 : null, signal }), this.#delayMs())
  }

  async #register(): Promise<void> {
    const { network, node, name } = this.#options
    const port = await openPort({
      transport: network.transport(this.#host),
      node,
      port: null,
      name,
      clock,
    })
    const rmd = createRmd({ port })
    this.#rmd = rmd
    const dispatcher = new Dispatcher(log)
    dispatcher.install(CpmCallbacks, {
      csiSet: ({ invocation, haState, descriptor }) => {
        if (haState === 'ACTIVE') this.#take(descriptor.csi, haState)
        this.#later(() => {
          if (haState !== 'QUIESCING') this.#take(descriptor.csi, haState)
          void this.#agent.response({ invocation, rc: 0, message: '' }).catch(() => undefined)
          if (haState !== 'QUIESCING') return
          this.#later(() => {
            this.#take(descriptor.csi, 'QUIESCED')
            void this.#agent.quiescingComplete({ invocation, rc: 0 }).catch(() => undefined)
          })
        })
        return {}
      },
      csiRemove: ({ invocation, csi }) => {
        this.#later(() => {
          this.roles.delete(csi)
          void this.#agent.response({ invocation, rc: 0, message: '' }).catch(() => undefined)
        })
        return {}
      },
      terminate: () => {
        this.#later(() => this.die(null))
        return {}
      },
      healthCheck: () => ({}),
      proxiedComponentInstantiate: () => ({}),
      proxiedComponentCleanup: () => ({}),
      containedComponentInstantiate: () => ({}),
      containedComponentCleanup: () => ({}),
      namesChanged: () => ({}),
      protectionGroupChanged: () => ({}),
    })
    rmd.serve((call) => dispatcher.serve(call))
    await this.#agent.initialize({ component: name, pid: this.pid, version: 'B.1.1' })
    await this.#agent.register({ component: name, proxy: null, address: rmd.address })
  }

  get #agent() {
    if (this.#rmd === null) throw new Error('not connected')
    const to = { node: this.#options.node, port: 1 }
    return this.#rmd.client(Cpm, { to, timeoutMs: 1_000 })
  }

  #take(csi: string, role: HaState): void {
    this.roles.set(csi, role)
    this.#options.onRole()
  }

  #later(run: () => void): void {
    setTimeout(() => this.isAlive && run(), this.#delayMs())
  }

  #delayMs(): number {
    const { random } = this.#options
    return random.chance(0.05) ? random.below(250) : 1 + random.below(10)
  }
}
