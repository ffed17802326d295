import { pino } from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { rehearsing } from '../../runtime/eo/rehearsal.ts'

/** Log lines of a rehearsal, as objects. */
function begin(): {
  readonly tell: ReturnType<typeof rehearsing>
  readonly lines: Record<string, unknown>[]
} {
  const lines: Record<string, unknown>[] = []
  const sink = { write: (line: string) => void lines.push(JSON.parse(line)) }
  return { tell: rehearsing(pino({ level: 'debug' }, sink)), lines }
}

describe('rehearsing', () => {
  it('plays the whole of every promotion when the component becomes STANDBY, once', async () => {
    const { tell, lines } = begin()
    tell('STANDBY')
    await vi.waitFor(() => expect(lines).not.toEqual([]), { timeout: 10_000, interval: 5 })
    expect(lines).toMatchObject([{ roundCount: 4, msg: 'a promotion was rehearsed' }])
    tell('QUIESCED')
    tell('STANDBY')
    await new Promise((resolve) => setImmediate(resolve))
    expect(lines).toHaveLength(1)
  })

  it('ends when the real promotion comes', async () => {
    const { tell, lines } = begin()
    tell('STANDBY')
    // Its timer is due before this one, which takes the role in the middle of the first round.
    setTimeout(() => tell('ACTIVE'), 201)
    await vi.waitFor(() => expect(lines).not.toEqual([]), { timeout: 10_000, interval: 5 })
    expect(lines).toMatchObject([{ msg: 'a promotion was rehearsed' }])
    expect(lines[0]?.['roundCount']).toBeLessThan(4)
  })
})
