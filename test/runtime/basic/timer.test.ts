import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../ioc/index.ts'
import { Timers, type Timer } from '../../../runtime/index.ts'

/** A clock that jumps to what is due next. */
class FakeClock implements Clock {
  #nowMs = 0
  #order = 0
  #due: { atMs: number; order: number; run: () => void }[] = []
  setCount = 0

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const entry = { atMs: this.#nowMs + delayMs, order: this.#order++, run }
    this.setCount += 1
    this.#due.push(entry)
    return () => (this.#due = this.#due.filter((other) => other !== entry))
  }

  get pending(): number {
    return this.#due.length
  }

  runTo(endMs: number): void {
    for (;;) {
      this.#due.sort((a, b) => a.atMs - b.atMs || a.order - b.order)
      const next = this.#due[0]
      if (next === undefined || next.atMs > endMs) break
      this.#due.shift()
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
    this.#nowMs = endMs
  }
}

const refused = (code: string): unknown => expect.objectContaining({ code })

describe('timers', () => {
  test('agree with a naive model', () => {
    const script = fc.array(
      fc.record({
        what: fc.constantFrom('start', 'stop', 'update', 'wait', 'wait'),
        timer: fc.nat(5),
        ms: fc.integer({ min: 1, max: 50 }),
      }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(script, (steps) => {
        const clock = new FakeClock()
        const timers = new Timers({ clock })
        const fired: string[] = []
        const expected: string[] = []
        const model = Array.from({ length: 6 }, (_, i) => ({
          timeoutMs: 7 + 5 * i,
          dueMs: Number.POSITIVE_INFINITY,
          order: 0,
          repetitive: i % 2 === 1,
        }))
        let order = 0
        const all = model.map(({ timeoutMs, repetitive }, i) =>
          timers.create({
            timeoutMs,
            type: repetitive ? 'repetitive' : 'oneShot',
            run: () => void fired.push(`${i}@${clock.nowMs()}`),
          }),
        )
        for (const { what, timer, ms } of steps) {
          const m = model[timer]!
          if (what === 'wait') {
            const endMs = clock.nowMs() + ms
            for (;;) {
              const next = [...model].sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0]!
              if (next.dueMs > endMs) break
              expected.push(`${model.indexOf(next)}@${next.dueMs}`)
              next.dueMs = next.repetitive ? next.dueMs + next.timeoutMs : Number.POSITIVE_INFINITY
              next.order = order++
            }
            clock.runTo(endMs)
          } else if (what === 'stop') {
            all[timer]!.stop()
            m.dueMs = Number.POSITIVE_INFINITY
          } else {
            if (what === 'update') m.timeoutMs = ms
            if (what === 'update') all[timer]!.update(ms)
            else all[timer]!.start()
            m.dueMs = clock.nowMs() + m.timeoutMs
            m.order = order++
          }
          expect(fired).toEqual(expected)
          expect(clock.pending).toBeLessThanOrEqual(1)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('ten thousand of them sleep on one', () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock })
    let isOrdered = true
    let last = 0
    let count = 0
    for (let i = 0; i < 10_000; i += 1) {
      const timeoutMs = (i * 7_919) % 10_007
      const run = (): void => {
        isOrdered &&= timeoutMs >= last
        last = timeoutMs
        count += 1
      }
      timers.create({ timeoutMs, run }).start()
    }
    expect(clock.pending).toBe(1)
    clock.runTo(10_007)
    expect([count, timers.armed, clock.pending, isOrdered]).toEqual([10_000, 0, 0, true])
  })

  test('a timer deletes, restarts and stops itself in its own function', () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock })
    const runs: string[] = []
    const make = (name: string, act: (timer: Timer) => void): void => {
      const timer: Timer = timers.create({
        timeoutMs: 10,
        type: 'repetitive',
        run: () => {
          expect(timer.isRunning).toBe(true)
          runs.push(`${name}@${clock.nowMs()}`)
          act(timer)
        },
      })
      timer.start()
    }
    make('delete', (timer) => timer.delete())
    make('stop', (timer) => timer.stop())
    make('update', (timer) => timer.update(25))
    clock.runTo(40)
    expect(runs).toEqual(['delete@10', 'stop@10', 'update@10', 'update@35'])
  })

  test('separate contexts run so many at a time, and one stopped while it waits does not run', async () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock, separateMax: 1 })
    const ends: (() => void)[] = []
    const make = (): Timer =>
      timers.create({
        timeoutMs: 5,
        context: 'separate',
        run: () => new Promise((resolve) => ends.push(resolve)),
      })
    const [a, b, c] = [make(), make(), make()]
    for (const timer of [a, b, c]) timer.start()
    clock.runTo(6)
    expect([a, b, c].map((timer) => timer.isRunning)).toEqual([true, false, false])
    b.stop()
    for (let i = 0; i < 2; i += 1) {
      ends[0]!()
      await new Promise(setImmediate)
      clock.runTo(7 + i)
      await new Promise(setImmediate)
    }
    clock.runTo(10)
    expect([a, b, c].map((timer) => timer.isRunning)).toEqual([false, false, true])
  })

  test('after stopAll nothing fires, what runs or waits for its turn included', () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock, separateMax: 1 })
    let fired = 0
    const make = (context: 'task' | 'separate', run: () => void): Timer => {
      const timer = timers.create({ timeoutMs: 10, type: 'repetitive', context, run })
      timer.start()
      return timer
    }
    for (let i = 0; i < 3; i += 1) make('separate', () => void (fired += 1))
    make('task', () => {
      fired += 1
      timers.stopAll()
    })
    clock.runTo(100)
    expect([fired, timers.armed]).toEqual([1, 0])
  })

  test('a volatile timer that starts itself again is gone all the same', () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock })
    let fired = 0
    const timer: Timer = timers.create({
      timeoutMs: 5,
      type: 'volatile',
      run: () => {
        fired += 1
        timer.start()
      },
    })
    timer.start()
    clock.runTo(50)
    expect([fired, timers.armed, clock.pending]).toEqual([1, 0, 0])
  })

  test('a repetitive timer keeps its place while it runs', () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock, armedMax: 1 })
    const other = timers.create({ timeoutMs: 1_000, run: () => {} })
    let fired = 0
    const timer = timers.create({
      timeoutMs: 10,
      type: 'repetitive',
      run: () => {
        fired += 1
        if (fired === 1) other.start()
      },
    })
    timer.start()
    clock.runTo(35)
    expect([fired, timers.armed]).toEqual([3, 2])
  })

  test('delays beyond what a timer of Node.js sleeps', () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock })
    const fired: number[] = []
    for (const days of [30, 60]) {
      const timeoutMs = days * 86_400_000
      timers.create({ timeoutMs, run: () => void fired.push(days) }).start()
    }
    clock.runTo(30 * 86_400_000 - 1)
    expect(fired).toEqual([])
    clock.runTo(61 * 86_400_000)
    expect(fired).toEqual([30, 60])
  })

  test('a function that throws stops no other timer', () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock })
    const runs: number[] = []
    const fail = (): void => {
      throw new Error('mine')
    }
    timers.create({ timeoutMs: 1, run: fail }).start()
    timers.create({ timeoutMs: 1, run: () => void runs.push(clock.nowMs()) }).start()
    expect(() => clock.runTo(1)).toThrow('mine')
    clock.runTo(2)
    expect(runs).toHaveLength(1)
  })

  test('misuse is refused by its code', () => {
    const clock = new FakeClock()
    const timers = new Timers({ clock, armedMax: 1 })
    const run = (): void => {}
    const wrong = (options: object): unknown =>
      timers.create({ timeoutMs: 1, run, ...options } as Parameters<Timers['create']>[0])
    expect(() => wrong({ run: null })).toThrow(refused('NULL_TIMER_CALLBACK'))
    expect(() => wrong({ type: 'x' })).toThrow(refused('INVALID_TIMER_TYPE'))
    expect(() => wrong({ context: 'x' })).toThrow(refused('INVALID_TIMER_CONTEXT'))
    expect(() => wrong({ timeoutMs: 0, type: 'repetitive' })).toThrow(refused('INVALID_PARAMETER'))
    expect(() => wrong({ timeoutMs: Number.NaN })).toThrow(refused('INVALID_PARAMETER'))
    const volatile = timers.create({ timeoutMs: 1, type: 'volatile', run })
    expect(() => volatile.delete()).toThrow(refused('OP_NOT_PERMITTED'))
    volatile.start()
    expect(volatile.statistics()).toMatchObject({ timeoutMs: 1, remainingMs: 1 })
    expect(() => timers.create({ timeoutMs: 1, run }).start()).toThrow(refused('NO_SPACE'))
    clock.runTo(1)
    expect(() => volatile.start()).toThrow(refused('INVALID_HANDLE'))
  })

  test('real time', async () => {
    const timers = new Timers()
    const startMs = performance.now()
    await new Promise<void>((resolve) => timers.create({ timeoutMs: 20, run: resolve }).start())
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(19.5)
  })
})
