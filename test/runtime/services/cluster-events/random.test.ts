import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ocEv, type OcEvCookie, type OcEvFd, type OcEvHandle } from '../../../../runtime/index.ts'
import { EventRig, FAILED, GROUP, OK, textOf } from './kit.ts'

type Style = 'direct' | 'noreturn' | 'get-fd'
type Completion = 'at once' | 'later' | 'throws'

interface Life {
  readonly handle: OcEvHandle
  readonly got: string[]
  readonly held: OcEvCookie[]
  completion: Completion
  /** How many events were published before its activation; null: it is not active. */
  since: number | null
  /** It had its callback all the time. */
  isSteady: boolean
  /** What it had got when it was unregistered. */
  end: number | null
}

const which = fc.nat(5)
const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      component: fc.nat(1),
      priority: fc.nat(2),
      completion: fc.constantFrom<Completion>('at once', 'later', 'throws'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('activate' as const),
      which,
      style: fc.constantFrom<Style>('direct', 'noreturn', 'get-fd'),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ kind: 'publish' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('complete' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unregister' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('toggle' as const), which }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'turn' as const }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

let published: string[] = []

function born(owner: Parameters<typeof ocEv.register>[0], completion: Completion): Life {
  const handle = ocEv.register(owner)!
  return { handle, got: [], held: [], completion, since: null, isSteady: true, end: null }
}

function listen(life: Life, priority: number): void {
  const rc = ocEv.setCallback(life.handle, priority, GROUP, (event, cookie, _size, data) => {
    life.got.push(textOf(event, data))
    if (life.completion === 'throws') throw new Error('thrown by a test')
    if (life.completion === 'later') life.held.push(cookie)
    else expect(ocEv.callbackDone(cookie)).toBe(OK)
  })
  expect(rc).toBe(OK)
}

function activate(life: Life, style: Style): void {
  const place: OcEvFd = { fd: null }
  const styles = {
    direct: ocEv.OC_EV_AS_DIRECT,
    noreturn: ocEv.OC_EV_AS_NORETURN,
    'get-fd': ocEv.OC_EV_AS_GET_FD,
  } as const
  const rc = ocEv.activate(life.handle, styles[style], place)
  expect(rc).toBe(life.since === null && life.end === null && life.isSteady ? OK : rc)
  if (rc !== OK) return
  life.since = published.length
  place.fd?.on('readable', () => void ocEv.handleEvent(life.handle))
  if (style === 'noreturn') void ocEv.handleEvent(life.handle)
}

function take(rig: EventRig, lives: Life[], one: Exclude<Step, { kind: 'register' }>): void {
  if (one.kind === 'turn') return
  if (one.kind === 'publish') {
    const text = `event ${published.length}`
    published.push(text)
    rig.publish(1, text)
    return
  }
  const life = lives[one.which % lives.length]
  if (life === undefined) return
  if (one.kind === 'activate') activate(life, one.style)
  else if (one.kind === 'complete') {
    const cookie = life.held.shift()
    // Those of a handle that is unregistered are complete already.
    if (cookie !== undefined)
      expect(ocEv.callbackDone(cookie)).toBe(life.end === null ? OK : FAILED)
  } else if (one.kind === 'unregister') {
    expect(ocEv.unregister(life.handle)).toBe(life.end === null ? OK : FAILED)
    life.end ??= life.got.length
  } else if (life.end === null) {
    life.isSteady = false
    expect(ocEv.setCallback(life.handle, 0, GROUP, null)).toBe(OK)
    listen(life, 0)
  }
}

it('handles get what is published, once and in order, whatever they do', async () => {
  const rig = await EventRig.start(1)
  const components = [await rig.component(1, 'a'), await rig.component(1, 'b')] as const
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      published = []
      const lives: Life[] = []
      for (const one of steps) {
        if (one.kind === 'register') {
          const { client } = components[one.component === 0 ? 0 : 1]
          const life = born({ clusterEvents: client }, one.completion)
          listen(life, one.priority)
          lives.push(life)
        } else {
          take(rig, lives, one)
          if (one.kind === 'turn') await turn()
        }
      }
      for (const life of lives) {
        life.completion = 'at once'
        if (life.end === null) for (const cookie of life.held.splice(0)) ocEv.callbackDone(cookie)
      }
      const active = lives.filter(({ since, end }) => since !== null && end === null)
      // Until those that became active at last have heard one.
      for (let round = 0; active.some(({ got }) => got.at(-1) !== published.at(-1)); round++) {
        if (round > 500) throw new Error('an event does not come')
        if (round % 20 === 0) take(rig, lives, { kind: 'publish' })
        await turn()
      }
      for (const { got, since, isSteady, end, handle } of lives) {
        const places = got.map((text) => published.indexOf(text))
        expect(places).toEqual([...new Set(places)].sort((a, b) => a - b))
        expect(places[0] ?? Infinity).toBeGreaterThanOrEqual(since ?? 0)
        if (since === null) expect(got).toEqual([])
        const from = places[0] ?? 0
        if (isSteady) expect(got).toEqual(published.slice(from, from + got.length))
        if (end === null) expect(ocEv.unregister(handle)).toBe(OK)
        else expect(got).toHaveLength(end)
      }
    }),
    { numRuns: 60 },
  )
}, 30_000)
