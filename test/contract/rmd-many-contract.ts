import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { createRmd, openPort, type Port, type Rmd } from '../../ioc/index.ts'
import { Echo, rejection } from '../ioc/rmd-kit.ts'
import type { TransportSet } from '../ioc/transports.ts'

/** A program that listens and notes what it is asked to run. */
interface Receiver {
  readonly port: Port
  readonly rmd: Rmd
  readonly ran: string[]
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** Calls to many, as every transport has to carry them; see `Destination` in `ioc/rmd/rmd.ts`. */
export function rmdManyContract(name: string, make: () => TransportSet): void {
  describe(`calls to many: ${name}`, () => {
    let set: TransportSet
    const open: Rmd[] = []
    beforeEach(() => {
      set = make()
    })
    afterEach(async () => {
      await Promise.all(open.splice(0).map((rmd) => rmd.close()))
      set.dispose()
    })

    const receiver = async (node: number, number: number, groups: string[]): Promise<Receiver> => {
      const port = await openPort({
        transport: set.of(node),
        node,
        port: number,
        name: `program ${node}:${number}`,
        limits: { sendQueueBytesMax: 64 * 1024 },
      })
      for (const group of groups) port.joinGroup(group)
      const rmd = createRmd({ port })
      open.push(rmd)
      const ran: string[] = []
      rmd.serve((call) => {
        ran.push(Echo.methods.echo.input.decode(call.payload))
        call.reply(call.payload)
      })
      return { port, rmd, ran }
    }
    const echo = (
      from: Receiver,
      to: string,
    ): ((text: string, more?: object) => Promise<unknown>) =>
      from.rmd.client(Echo, { to, oneWay: true }).echo

    it('runs once at each member of a group, whether connected before or not', async () => {
      const sender = await receiver(1, 64, ['news'])
      const members = [await receiver(1, 65, ['news']), await receiver(2, 66, ['news', 'more'])]
      const other = await receiver(2, 67, ['more'])
      const news = echo(sender, '#news')
      await news('first')
      await until(() => members.every(({ ran }) => ran.length === 1))
      await news('second', { ordered: true })
      await until(() => members.every(({ ran }) => ran.length === 2))
      await echo(sender, '#more')('third')
      await until(() => other.ran.length === 1 && members[1]!.ran.length === 3)
      expect(members.map(({ ran }) => ran)).toEqual([
        ['first', 'second'],
        ['first', 'second', 'third'],
      ])
      expect([sender.ran, other.ran]).toEqual([[], ['third']])
      expect(sender.rmd.pendingCount).toBe(0)
    })

    it('runs once at a port of every node, and at every port of the own one', async () => {
      const sender = await receiver(1, 64, [])
      const same = await receiver(1, 66, [])
      const far = await receiver(2, 66, [])
      const farther = await receiver(2, 67, [])
      await echo(sender, '*:66')('all')
      await until(() => same.ran.length === 1 && far.ran.length === 1)
      await echo(sender, '.:*')('here')
      await until(() => same.ran.length === 2)
      expect([same.ran, far.ran, farther.ran]).toEqual([['all', 'here'], ['all'], []])
    })

    it('is done at once when there is nobody', async () => {
      const sender = await receiver(1, 64, ['alone'])
      await echo(sender, '#alone')('x')
      await echo(sender, '*:999')('x')
      expect(sender.rmd.statistics()).toMatchObject({ nRmdCalls: 2, nFailedCalls: 0 })
    })

    it.each(['#news', '*:65', '.:*'])('refuses calls to %s that want a reply', async (to) => {
      const sender = await receiver(1, 64, [])
      const member = await receiver(1, 65, ['news'])
      const client = sender.rmd.client(Echo, { to })
      for (const options of [{}, { atMostOnce: true }, { ordered: true }]) {
        const error = await rejection(client.echo('x', options))
        expect(isSdkError(error, 'INVALID_PARAMETER')).toBe(true)
        expect(String(error)).toContain(`function 20.0 of ${to}: only one-way calls go to many`)
      }
      const stream = sender.rmd.stream(to, Echo.methods.echo.functionNumber, new Uint8Array(1))
      expect(isSdkError(await rejection(stream.next()), 'INVALID_PARAMETER')).toBe(true)
      await client.echo('one way', { oneWay: true })
      await until(() => member.ran.length === 1)
      expect(member.rmd.statistics()['nRmdRequests']).toBe(1)
    })

    it('names the receivers whose queue is full, and the others run it', async () => {
      const sender = await receiver(1, 64, [])
      const members = [await receiver(1, 65, ['bulk']), await receiver(2, 66, ['bulk'])]
      const bulk = echo(sender, '#bulk')
      await bulk('a')
      await until(() => members.every(({ ran }) => ran.length === 1))
      // All of one turn, and too few to leave before its end.
      const [near] = members
      const fill = sender.rmd.client(Echo, { to: '1:65', oneWay: true })
      const filled = Promise.allSettled(
        Array.from({ length: 7 }, () => fill.echo('x'.repeat(10_000))),
      )
      const error = await rejection(bulk('b'))
      expect(isSdkError(error, 'TRY_AGAIN')).toBe(true)
      expect(error).toMatchObject({ mayHaveRun: true, context: { to: '#bulk', refused: ['1:65'] } })
      await filled
      await until(() => members[1]!.ran.at(-1) === 'b')
      expect(near!.ran).not.toContain('b')
    })
  })
}
