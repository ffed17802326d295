import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import type { Link, LinkFailure, Listener, Transport } from '../../ioc/index.ts'

/** A transport under test and how to clean up after it. */
export interface TransportUnderTest {
  readonly transport: Transport
  dispose(): void
}

/** One end of a link with everything that it was told. */
class End {
  readonly link: Link
  readonly told: string[] = []
  readonly chunks: Uint8Array[] = []
  receivedBytes = 0
  cause: LinkFailure | null = null
  onWritten: () => void = () => {}

  constructor(link: Link) {
    this.link = link
    link.start({
      onOpen: () => void this.told.push('open'),
      onData: (chunk) => {
        this.chunks.push(chunk)
        this.receivedBytes += chunk.length
      },
      onWritten: () => {
        this.told.push('written')
        this.onWritten()
      },
      onClose: (cause) => {
        this.told.push('close')
        this.cause = cause
      },
    })
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }

  get closed(): boolean {
    return this.told.includes('close')
  }
}

const AT = { node: 1, port: 64 }

/** Resolves when `holds` does; the test's own time-out is the deadline. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** What every transport keeps to; see `ioc/transport/transport.ts`. */
export function transportContract(name: string, make: () => TransportUnderTest): void {
  describe(`transport contract: ${name}`, () => {
    let subject: TransportUnderTest
    const listeners: Listener[] = []
    const ends: End[] = []
    beforeEach(() => {
      subject = make()
    })
    afterEach(async () => {
      for (const end of ends.splice(0)) end.link.destroy()
      await Promise.all(listeners.splice(0).map((listener) => listener.close()))
      subject.dispose()
    })

    const listen = async (accepted: End[] = []): Promise<End[]> => {
      const accept = (link: Link): void => {
        accepted.push(new End(link))
        ends.push(accepted.at(-1)!)
      }
      listeners.push(await subject.transport.listen(AT, accept))
      return accepted
    }
    const connect = (): End => {
      const end = new End(subject.transport.connect(AT))
      ends.push(end)
      return end
    }
    const pair = async (): Promise<[near: End, far: End]> => {
      const accepted = await listen()
      const near = connect()
      await until(() => accepted.length === 1 && near.told.includes('open'))
      await until(() => accepted[0]!.told.includes('open'))
      return [near, accepted[0]!]
    }

    it('carries bytes both ways, in order', async () => {
      const [near, far] = await pair()
      near.link.write(Buffer.from('one '))
      await until(() => far.receivedBytes === 4)
      near.link.write(Buffer.from('two'))
      far.link.write(Buffer.from('three'))
      await until(() => far.receivedBytes === 7 && near.receivedBytes === 5)
      expect([far.text, near.text]).toEqual(['one two', 'three'])
    })

    it('tells open once on both ends, before anything else', async () => {
      const [near, far] = await pair()
      far.link.write(Buffer.from('x'))
      await until(() => near.receivedBytes === 1)
      expect(near.told).toEqual(['open'])
      expect(far.told[0]).toBe('open')
    })

    it('never writes again to the bytes that it handed up', async () => {
      const [near, far] = await pair()
      for (const text of ['aaaa', 'bbbb', 'cccc']) {
        const before = far.receivedBytes
        near.link.write(Buffer.from(text))
        await until(() => far.receivedBytes === before + 4)
      }
      expect(far.text).toBe('aaaabbbbcccc')
    })

    it('lets the sender use its buffer again when write returns true, or once it is written', async () => {
      const [near, far] = await pair()
      const buffer = Buffer.from('first')
      if (!near.link.write(buffer)) await until(() => near.told.includes('written'))
      buffer.fill(0)
      await until(() => far.receivedBytes === 5)
      expect(far.text).toBe('first')
    })

    it('says when a large write is finished, and loses nothing of it', async () => {
      const [near, far] = await pair()
      const sent = Buffer.alloc(8_000_000).map((_, i) => i * 31)
      expect(near.link.write(sent)).toBe(false)
      await until(() => near.told.includes('written'))
      await until(() => far.receivedBytes === sent.length)
      expect(Buffer.concat(far.chunks).equals(sent)).toBe(true)
    })

    it('tells at once that nobody listens', async () => {
      const end = connect()
      await until(() => end.closed)
      expect(end.told).toEqual(['close'])
      expect(end.cause?.kind).toBe('unreachable')
    })

    it('tells both ends of a close, exactly once, and loses nothing that was written before', async () => {
      const [near, far] = await pair()
      near.link.write(Buffer.from('last words'))
      near.link.end()
      await until(() => near.closed && far.closed)
      expect(far.text).toBe('last words')
      expect(far.told.filter((word) => word === 'close').length).toBe(1)
      expect([near.cause, far.cause]).toEqual([null, null])
    })

    it('tells both ends of a destroy, in a later turn', async () => {
      const [near, far] = await pair()
      near.link.destroy()
      expect(near.closed).toBe(false)
      near.link.destroy()
      await until(() => near.closed && far.closed)
      expect(near.told.filter((word) => word === 'close').length).toBe(1)
    })

    it('ends a link that is destroyed while it connects', async () => {
      await listen()
      const end = connect()
      end.link.destroy()
      await until(() => end.closed)
      expect(end.told).toEqual(['close'])
    })

    it('ignores writes after the end', async () => {
      const [near, far] = await pair()
      near.link.destroy()
      expect(near.link.write(Buffer.from('x'))).toBe(true)
      await until(() => far.closed)
      expect(far.receivedBytes).toBe(0)
      expect(far.link.write(Buffer.from('x'))).toBe(true)
    })

    it('refuses a second listener at one address, until the first is closed', async () => {
      await listen()
      const second = await listen().catch((error: unknown) => error)
      expect(isSdkError(second, 'ALREADY_EXIST')).toBe(true)
      await listeners[0]!.close()
      await listeners[0]!.close()
      const accepted = await listen()
      const near = connect()
      await until(() => near.told.includes('open') && accepted.length === 1)
    })

    it('keeps accepted links when the listener closes, and accepts no more', async () => {
      const [near, far] = await pair()
      await listeners[0]!.close()
      near.link.write(Buffer.from('still here'))
      await until(() => far.receivedBytes === 10)
      const late = connect()
      await until(() => late.closed)
      expect(late.cause?.kind).toBe('unreachable')
    })

    it('knows who may listen, by port and by node', async () => {
      await listen()
      expect(subject.transport.known({ port: 64 })).toContainEqual(AT)
      expect(subject.transport.known({ node: 1 })).toContainEqual(AT)
      const others = subject.transport
        .known({ node: 3 })
        .concat(subject.transport.known({ port: 9 }))
      expect(others).not.toContainEqual(AT)
    })

    it('keeps many links apart', async () => {
      const accepted = await listen()
      const near = Array.from({ length: 20 }, connect)
      await until(() => accepted.length === 20 && near.every((end) => end.told.includes('open')))
      for (const [i, end] of near.entries()) end.link.write(Buffer.from(`link ${i}`))
      await until(() => accepted.every((end) => end.receivedBytes >= 6))
      const texts = accepted.map((end) => end.text).sort()
      expect(texts).toEqual(near.map((_, i) => `link ${i}`).sort())
    })
  })
}
