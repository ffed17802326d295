import { describe, expect, it } from 'vitest'
import { fuzz, GROWTH_MIB_MAX } from './fuzz.ts'

/** A part of what `main.ts` does; a longer run by hand: `HOLDFAST_FUZZ_FRAMES=10000000`. */
const FRAMES = Number(process.env['HOLDFAST_FUZZ_FRAMES'] ?? 150_000)

describe('mutated frames', () => {
  it.each([1, Date.now() & 0x7fff_ffff])(
    'end in messages, drops and closed connections, never in more memory: seed %d',
    async (seed) => {
      const report = await fuzz(seed, FRAMES)
      expect(report.frames).toBeGreaterThanOrEqual(FRAMES)
      // Every way was taken, or the run shows nothing.
      expect(report.messages).toBeGreaterThan(FRAMES / 200)
      expect(report.requests).toBeGreaterThan(FRAMES / 200)
      const reasons = [
        'fragment',
        'malformed',
        'notInGroup',
        'unknownProtocol',
        'tooLarge',
        'wrongVersion',
      ]
      for (const reason of reasons) expect(report.drops[reason], reason).toBeGreaterThan(0)
      const [early, end] = report.memoryMb
      expect(end - early).toBeLessThan(GROWTH_MIB_MAX)
    },
    60_000 + FRAMES,
  )
})
