import type { Logger } from 'pino'
import { SdkError } from '../../idl/index.ts'
import { isNotLater, type ProtectionGroup } from '../../runtime/internal.ts'
import type { CallbackClient } from './component-ports.ts'

/** CSIs that the programs of one node may track at most; one more is refused with NO_SPACE. */
const TRACKED_COUNT_MAX = 4_096
const RETRY_DELAY_MS = 50

export interface AgentGroupsOptions {
  readonly callbacks: (caller: string) => CallbackClient
  /** Asks the director. @throws SdkError TRY_AGAIN while there is none. */
  readonly ask: (track: readonly string[], read: readonly string[]) => Promise<ProtectionGroup[]>
  readonly log: Logger
}

/**
 * The protection groups that programs of this node track, and who they are. What is tracked is told anew to each
 * director; a program hears of a group when it differs from the one that it heard of last.
 */
export class AgentGroups {
  readonly #options: AgentGroupsOptions
  readonly #watchers = new Map<string, Map<string, CallbackClient>>()
  readonly #groups = new Map<string, ProtectionGroup>()
  readonly #retries = new Set<NodeJS.Timeout>()

  constructor(options: AgentGroupsOptions) {
    this.#options = options
  }

  /** The group now; changes follow when the caller watches. @throws SdkError TRY_AGAIN, NO_SPACE. */
  async track(caller: string, csi: string, watch: boolean): Promise<ProtectionGroup> {
    const isNew = watch && this.#watchers.get(csi)?.has(caller) !== true
    if (isNew) this.#watch(caller, csi)
    try {
      const groups = await this.#options.ask(this.#tracked(), [csi])
      for (const group of groups) this.#receive(group)
      const found = groups.find((group) => group.csi === csi)
      if (found !== undefined) return this.#groups.get(csi) ?? found
    } catch (error) {
      if (isNew) this.stop(caller, csi)
      throw error
    }
    if (isNew) this.stop(caller, csi)
    throw new SdkError('TRY_AGAIN', `the director does not know yet who has ${csi}`)
  }

  stop(caller: string, csi: string): void {
    const watchers = this.#watchers.get(csi)
    watchers?.delete(caller)
    if (watchers?.size !== 0) return
    this.#watchers.delete(csi)
    this.#groups.delete(csi)
  }

  /** The program is gone. */
  forget(caller: string): void {
    for (const csi of [...this.#watchers.keys()]) this.stop(caller, csi)
  }

  /** Another director took this agent in. */
  async renew(): Promise<void> {
    if (this.#watchers.size === 0) return
    try {
      this.receive(await this.#options.ask(this.#tracked(), []))
    } catch (err) {
      // Either the director is gone, and the next one is asked; or the agent joins it again.
      this.#options.log.debug({ err }, 'protection groups not asked for')
    }
  }

  /** Groups as the director sees them now. */
  receive(groups: readonly ProtectionGroup[]): void {
    for (const group of groups) this.#receive(group)
  }

  close(): void {
    for (const timer of this.#retries) clearTimeout(timer)
    this.#watchers.clear()
  }

  #watch(caller: string, csi: string): void {
    const watchers = this.#watchers.get(csi) ?? new Map<string, CallbackClient>()
    if (!this.#watchers.has(csi) && this.#watchers.size >= TRACKED_COUNT_MAX) {
      throw new SdkError('NO_SPACE', `${TRACKED_COUNT_MAX} protection groups are tracked already`)
    }
    this.#watchers.set(csi, watchers.set(caller, this.#options.callbacks(caller)))
  }

  #tracked(): string[] {
    return [...this.#watchers.keys()]
  }

  #receive(group: ProtectionGroup): void {
    const { csi } = group
    if (!this.#watchers.has(csi)) return
    const known = this.#groups.get(csi)
    if (known !== undefined && isNotLater(group, known)) return
    this.#groups.set(csi, group)
    for (const [caller, client] of this.#watchers.get(csi) ?? []) this.#push(caller, client, group)
  }

  /** A watcher that cannot take a message now gets the group as it is a little later. */
  #push(caller: string, client: CallbackClient, group: ProtectionGroup): void {
    client.protectionGroupChanged({ group }, { oneWay: true }).catch((err: unknown) => {
      if (this.#watchers.get(group.csi)?.has(caller) !== true) return
      this.#options.log.debug({ err, caller }, 'a protection group was not pushed; it follows')
      const timer = setTimeout(() => {
        this.#retries.delete(timer)
        const now = this.#groups.get(group.csi)
        const watches = this.#watchers.get(group.csi)?.has(caller) === true
        if (now !== undefined && watches) this.#push(caller, client, now)
      }, RETRY_DELAY_MS)
      this.#retries.add(timer)
    })
  }
}
