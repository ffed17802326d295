import { type Logger, pino } from 'pino'
import { expect, it } from 'vitest'
import type { Rmd } from '../../../../ioc/index.ts'
import { ocEv } from '../../../../runtime/index.ts'
import { EventStream } from '../../../../runtime/services/cluster-events/event-stream.ts'
import { CLUSTER_EVENT_LIMITS } from '../../../../runtime/services/cluster-events/interface.ts'
import { StreamClient } from '../../../../runtime/services/cluster-events/stream-client.ts'

const NEWS = { descriptor: ocEv.OC_EV_MS_EVICTED, data: null }

/** A program that takes nothing: no answer ever comes. */
const silent = {
  client: () => ({ items: () => new Promise<never>(() => undefined) }),
} as unknown as Rmd

function held(): { stream: EventStream; client: StreamClient; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as never)
  const log: Logger = pino({}, { write })
  const stream = new EventStream(log)
  const client = new StreamClient({ caller: '1', name: 'clock', session: 1, rmd: silent })
  stream.join(client)
  const wanted = [{ eventClass: ocEv.OC_EV_MEMB_CLASS, priority: 0 }]
  stream.reported(client, { completedUpTo: 0, wanted })
  return { stream, client, lines }
}

it('who holds an event for long is named, once', () => {
  const { stream, client, lines } = held()
  stream.publish(NEWS)
  for (const nowMs of [0, 9_999, 10_000, 20_000]) stream.lookForHung(nowMs)
  expect(lines).toMatchObject([{ by: ['clock'], waiting: 0 }])
  stream.reported(client, { completedUpTo: 1, wanted: [] })
  stream.lookForHung(20_000)
  expect([lines.length, client.isEnded]).toEqual([1, false])
})

it('who holds more than the bound goes with the next look, far beyond it at once', () => {
  const { aheadMax, waitingCountMax } = CLUSTER_EVENT_LIMITS
  const { stream, client } = held()
  for (let count = 0; count <= aheadMax + waitingCountMax; count++) stream.publish(NEWS)
  stream.lookForHung(0)
  expect(client.isEnded).toBe(false)
  stream.lookForHung(1)
  expect(client.isEnded).toBe(true)

  const another = held()
  for (let count = 0; count < aheadMax + 4 * waitingCountMax; count++) another.stream.publish(NEWS)
  expect(another.client.isEnded).toBe(false)
  another.stream.publish(NEWS)
  expect([another.client.isEnded, another.lines.length]).toEqual([true, 1])
})
