import { afterEach, expect } from 'vitest'
import type { EventChannel } from '../../../runtime/services/event/channel.ts'
import {
  type ChannelFlag,
  type ChannelOpenAnswer,
  type EventClient,
  type EventHandle,
  eventLibrary,
} from '../../../runtime/services/event/client.ts'
import type { DeliveredEvent } from '../../../runtime/services/event/delivered-event.ts'
import { eventServer } from '../../../runtime/services/event/server.ts'
import { rejection } from '../../ioc/rmd-kit.ts'
import { type RigComponent, ServiceRig } from './rig.ts'

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

export async function rigOf(...ids: readonly number[]): Promise<ServiceRig> {
  const rig = new ServiceRig(eventServer)
  open.push(rig)
  await rig.start(...ids)
  return rig
}

export interface User extends RigComponent<EventClient> {
  readonly handle: EventHandle
  readonly events: DeliveredEvent[]
  readonly answers: ChannelOpenAnswer[]
  /** While true its callback does not come back. */
  gate: Promise<void> | null
}

export async function user(rig: ServiceRig, node: number, name: string): Promise<User> {
  const component = await rig.component(node, name, eventLibrary)
  const events: DeliveredEvent[] = []
  const answers: ChannelOpenAnswer[] = []
  const made: User = {
    ...component,
    events,
    answers,
    gate: null,
    handle: component.client.initialize({
      deliver: (event) => {
        events.push(event)
        return made.gate ?? undefined
      },
      channelOpen: (answer) => answers.push(answer),
    }),
  }
  return made
}

export const BOTH = ['GLOBAL', 'SUBSCRIBER', 'PUBLISHER', 'CREATE'] as const

export const channel = (
  one: User,
  name: string,
  flags: readonly ChannelFlag[] = BOTH,
): Promise<EventChannel> => one.handle.channelOpen({ name, flags })

export const data = (text: string): Uint8Array => Buffer.from(text)
export const text = ({ data: bytes }: { readonly data: Uint8Array }): string =>
  Buffer.from(bytes).toString()
export const textsOf = ({ events }: User): string[] => events.map(text)
export const code = async (promise: Promise<unknown>): Promise<unknown> =>
  ((await rejection(promise)) as { code: string }).code

/** Publishes a last event, and waits until everybody has it: what did not come before it never will. */
export async function settle(publisher: EventChannel, ...users: readonly User[]): Promise<void> {
  const ends = (one: User): number => textsOf(one).filter((each) => each === 'end').length
  const before = users.map(ends)
  await publisher.publish({ data: data('end') })
  for (const [i, one] of users.entries()) {
    await expect.poll(() => ends(one), { timeout: 5_000 }).toBeGreaterThan(before[i] ?? 0)
  }
}
