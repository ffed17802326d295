import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
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
    await tell('STANDBY')
    expect(lines).toMatchObject([{ roundCount: 4, msg: 'a promotion was rehearsed' }])
    await tell('QUIESCED')
    await tell('STANDBY')
    expect(lines).toHaveLength(1)
  })

  it('ends when the real promotion comes', async () => {
    const { tell, lines } = begin()
    const done = tell('STANDBY')
    await new Promise((resolve) => setImmediate(resolve))
    await tell('ACTIVE')
    await done
    expect(lines).toMatchObject([{ msg: 'a promotion was rehearsed' }])
    expect(lines[0]?.['roundCount']).toBeLessThan(4)
  })
})
