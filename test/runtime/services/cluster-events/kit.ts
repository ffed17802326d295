import { afterEach, expect } from 'vitest'
import {
  ocEv,
  type OcEvClass,
  type OcEvCookie,
  type OcEvHandle,
} from '../../../../runtime/index.ts'
import {
  clusterEventLibrary,
  type ClusterEvents,
} from '../../../../runtime/services/cluster-events/client.ts'
import type { OcEvData } from '../../../../runtime/services/cluster-events/interface.ts'
import { ClusterEventServer } from '../../../../runtime/services/cluster-events/server.ts'
import { groupServer } from '../../../../runtime/services/group/server.ts'
import { type RigComponent, ServiceRig } from '../rig.ts'

export const { OC_SUCCESS: OK, OC_FAILURE: FAILED } = ocEv
export const { OC_EV_CONN_CLASS: CONN, OC_EV_MEMB_CLASS: MEMB, OC_EV_GROUP_CLASS: GROUP } = ocEv

const open: EventRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.rig.close()
})

/** Nodes with cluster events, whose network interfaces the test sets. */
export class EventRig {
  readonly rig: ServiceRig
  readonly servers = new Map<number, ClusterEventServer>()
  interfaces: readonly string[] = ['eth0']
  /** May be changed while they run. */
  quorumLostMs = 60_000

  constructor() {
    this.rig = new ServiceRig((host) => {
      const quorumLostMs = (): number => this.quorumLostMs
      const server = new ClusterEventServer(host, {
        interfaces: () => this.interfaces,
        lookMs: 100,
        get quorumLostMs() {
          return quorumLostMs()
        },
      })
      this.servers.set(host.nodeId, server)
      return [groupServer(host, (effect) => server.observe(effect)), server]
    })
  }

  static async start(...ids: readonly number[]): Promise<EventRig> {
    const rig = new EventRig()
    open.push(rig)
    await rig.rig.start(...ids)
    return rig
  }

  component(node: number, name: string): Promise<RigComponent<ClusterEvents>> {
    return this.rig.component(node, name, clusterEventLibrary)
  }

  /** An event of the group class at one node. */
  publish(node: number, text: string): void {
    const message = { group: 1, from: 1, data: Buffer.from(text) }
    this.servers.get(node)?.observe({ kind: 'message', message, to: new Map() })
  }
}

/** What a handle's callbacks got, as text: the message of an event, else its number in its class. */
export function textOf(event: number, data: OcEvData | null): string {
  if (data?.kind === 'groupMessage') return Buffer.from(data.message).toString()
  if (data?.kind === 'membership') {
    const members = data.nodes.slice(0, data.memberCount).map((node) => node?.nodeId)
    return `${ocEv.getClass(event)}.${ocEv.getEvent(event)} ${members.join(',')}`
  }
  if (data?.kind === 'connectivity') {
    return `${ocEv.getClass(event)}.${ocEv.getEvent(event)} ${data.change} ${data.names.join(',')}`
  }
  return `${ocEv.getClass(event)}.${ocEv.getEvent(event)}`
}

export interface Recorder {
  readonly handle: OcEvHandle
  readonly got: string[]
  /** Cookies that were not completed. */
  readonly cookies: OcEvCookie[]
  /** False: callbacks keep their cookies. */
  isDone: boolean
}

/** A handle whose callbacks keep a record. @param log - of several handles together. */
export function recorder(
  { client }: Pick<RigComponent<ClusterEvents>, 'client'>,
  options: {
    readonly classes?: readonly OcEvClass[]
    readonly priority?: number
    readonly name?: string
    readonly log?: string[]
  } = {},
): Recorder {
  const { classes = [GROUP], priority = ocEv.OC_EV_PRIO_MED, name = '', log } = options
  const handle = ocEv.register({ clusterEvents: client })!
  const record: Recorder = { handle, got: [], cookies: [], isDone: true }
  for (const eventClass of classes) {
    const code = ocEv.setCallback(handle, priority, eventClass, (event, cookie, _size, data) => {
      record.got.push(textOf(event, data))
      log?.push(name)
      if (record.isDone) ocEv.callbackDone(cookie)
      else record.cookies.push(cookie)
    })
    expect(code).toBe(OK)
  }
  return record
}

/** Waits until the handles are part of the node's stream: publishes until they get it, then forgets all that came. */
export async function live(
  rig: EventRig,
  node: number,
  ...all: readonly Recorder[]
): Promise<void> {
  await expect
    .poll(() => {
      rig.publish(node, 'probe')
      return all.every(({ got }) => got.includes('probe'))
    })
    .toBe(true)
  rig.publish(node, 'last probe')
  await expect.poll(() => all.every(({ got }) => got.at(-1) === 'last probe')).toBe(true)
  for (const { got } of all) got.length = 0
}
