import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  defineInterface,
  encodeWireError,
  isSdkError,
  SdkError,
  toWireError,
} from '../../idl/index.ts'
import {
  createRmd,
  type IncomingCall,
  memoryTransport,
  openPort,
  type Rmd,
} from '../../ioc/index.ts'
import type { Call } from '../../runtime/index.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'
import { ExecutionObject } from '../../runtime/eo/execution-object.ts'
import type {
  CallKey,
  CheckpointService,
  CommitGate,
} from '../../runtime/services/checkpoint/commit-gate.ts'
import type { CachedReply } from '../../runtime/services/checkpoint/interface.ts'

const none = z.strictObject({})
const Toy = defineInterface({
  name: 'Toy',
  clientId: 20,
  version: 'B.1.1',
  methods: {
    add: {
      serviceId: 0,
      input: z.strictObject({ n: z.int() }),
      output: z.strictObject({ n: z.int() }),
    },
    wait: { serviceId: 1, input: none, output: none },
    fail: { serviceId: 2, input: z.strictObject({ code: z.string() }), output: none },
    peek: { serviceId: 3, input: none, output: none, staleReads: true },
  },
})
const Own = defineInterface({
  name: 'Own',
  clientId: 0,
  version: 'B.1.1',
  methods: { ping: { serviceId: 0, input: none, output: none } },
})

/** A gate whose commits are let through by the test, and that notes everything. */
class ScriptedGate implements CommitGate {
  readonly log: string[] = []
  readonly commits: { resolve: () => void; reject: (error: Error) => void }[] = []
  readonly keys: CallKey[] = []
  automatic = true
  next: 'run' | 'inProgress' | CachedReply | SdkError = 'run'

  begin(_: Call, key: CallKey): 'run' | 'inProgress' | CachedReply {
    this.keys.push(key)
    if (this.next instanceof SdkError) throw this.next
    return this.next
  }

  finish(_: Call, reply: { rc: number }): Promise<{ epoch: number }> {
    this.log.push(`finish ${reply.rc === 0 ? 'ok' : 'error'}`)
    if (this.automatic) return Promise.resolve({ epoch: 7 })
    return new Promise((resolve, reject) => {
      this.commits.push({ resolve: () => resolve({ epoch: 7 }), reject })
    })
  }

  abort(): void {
    this.log.push('abort')
  }
}

let eo: ExecutionObject
let server: Rmd
let caller: Rmd
let gate: ScriptedGate
let opened: string[]
let isElsewhere: boolean
let runs: number[]
let release: (() => void)[]

async function start(config: Record<string, unknown> = {}): Promise<void> {
  const transport = memoryTransport()
  opened = []
  isElsewhere = false
  runs = []
  release = []
  gate = new ScriptedGate()
  const service = {
    gate: (csi: string) => (opened.includes(csi) ? gate : undefined),
    opened: () => opened,
  }
  eo = new ExecutionObject({
    config: parseComponentModule(
      { clEoConfig: { name: 'toy', initialize: () => undefined, ...config } },
      'toy',
    ),
    checkpoint: () => service as unknown as CheckpointService,
    isElsewhere: () => isElsewhere,
    identity: () => ({ component: 'toy', node: 'node1', address: { node: 1, port: 64 } }),
    log: () => undefined,
  })
  const port = await openPort({ transport, node: 1, port: 64, name: 'eo' })
  server = createRmd({ port, dedupe: eo.dedupes })
  server.serve(eo.dispatch)
  caller = createRmd({ port: await openPort({ transport, port: null, name: 'caller' }) })
  eo.setState('active')
}
beforeEach(() => start())
afterEach(async () => {
  for (const go of release) go()
  await eo.stop(100)
  await caller.close()
  await server.close()
})

function install(csi?: string | null): void {
  eo.client.clientInstall(
    Toy,
    {
      add: ({ n }) => {
        runs.push(n)
        return { n: n + 1 }
      },
      wait: (_, call) =>
        new Promise((resolve, reject) => {
          release.push(() => resolve({}))
          call.signal.addEventListener('abort', () => reject(new Error('aborted')))
        }),
      fail: ({ code }) => {
        throw new SdkError(code, 'chosen by the function')
      },
      peek: () => ({}),
    },
    csi === undefined ? {} : { csi },
  )
}

const toy = (options: object = {}): ReturnType<typeof caller.client<(typeof Toy)['spec']>> =>
  caller.client(Toy, { to: '1:64', timeoutMs: 5_000, ...options })
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'OK',
    (error: unknown) => (isSdkError(error) ? error.code : String(error)),
  )
/** Resolves when `holds` does; the test's own time-out is the deadline. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}
const turn = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('tables', () => {
  test('a client id is one interface; platform ids and missing functions are refused', () => {
    install()
    const other = defineInterface({ ...Own, methods: Own.spec, clientId: 20 })
    expect(() => eo.client.clientInstall(other, { ping: () => ({}) })).toThrow(/taken by Toy/)
    const low = defineInterface({ ...Toy, methods: Toy.spec, clientId: 5 })
    expect(() => eo.client.clientInstall(low, {} as never)).toThrow(/belongs to the platform/)
    expect(() => eo.client.clientInstall(Own, {} as never)).toThrow(/Own\.ping: no function/)
    eo.client.clientUninstall(Toy)
    expect(() => eo.client.clientUninstall(Toy)).toThrow(/not installed/)
    install()
  })

  test('userClients bounds the tables', async () => {
    await start({ userClients: 1 })
    install()
    expect(() => eo.client.clientInstall(Own, { ping: () => ({}) })).toThrow(
      /raise clEoConfig\.userClients/,
    )
  })
})

describe('roles', () => {
  test('a call waits for the role, and runs when it is there', async () => {
    install('a')
    const early = toy().add({ n: 1 })
    eo.setRole('a', 'STANDBY', 1)
    eo.setRole('a', 'promoting', 2)
    await turn()
    expect(runs).toEqual([])
    eo.setRole('a', 'ACTIVE', 2)
    expect(await early).toEqual({ n: 2 })
  })

  test('a parked call is answered by its deadline', async () => {
    install('a')
    expect(['NOT_ACTIVE', 'TIMEOUT']).toContain(await code(toy({ timeoutMs: 60 }).add({ n: 1 })))
    await until(() => eo.statistics()['parkedNow'] === 0)
  })

  test('a call for a role that somebody else holds is refused after a short while', async () => {
    install('a')
    isElsewhere = true
    eo.setRole('a', 'STANDBY', 1)
    expect(await code(toy().add({ n: 1 }))).toBe('NOT_ACTIVE')
    expect(runs).toEqual([])
  })

  test('more calls than may wait get TRY_AGAIN', async () => {
    await start({ queueCountMax: 2 })
    install('a')
    const calls = [1, 2, 3].map((n) => code(toy().add({ n })))
    expect(await calls[2]).toBe('TRY_AGAIN')
    eo.setRole('a', 'ACTIVE', 1)
    expect(await Promise.all(calls)).toEqual(['OK', 'OK', 'TRY_AGAIN'])
  })

  test('quiescing drains what runs and refuses what comes', async () => {
    install('a')
    eo.setRole('a', 'ACTIVE', 1)
    const running = toy().wait({})
    await until(() => release.length === 1)
    eo.setRole('a', 'QUIESCING', 1)
    let isDrained = false
    const drained = eo.drained('a').then(() => (isDrained = true))
    expect(await code(toy().add({ n: 1 }))).toBe('NOT_ACTIVE')
    expect(isDrained).toBe(false)
    release[0]?.()
    await Promise.all([running, drained])
  })

  test('csi null answers in every role; client 0 is refused while suspended', async () => {
    install(null)
    eo.client.clientInstall(Own, { ping: () => ({}) }, { csi: null })
    const own = caller.client(Own, { to: '1:64' })
    eo.setRole('a', 'QUIESCED', 1)
    expect(await code(toy().add({ n: 1 }))).toBe('OK')
    eo.setState('suspended')
    expect(await code(own.ping({}))).toBe('EO_SUSPENDED')
    eo.setState('active')
    expect(await code(own.ping({}))).toBe('OK')
    eo.setState('stopping')
    expect(await code(own.ping({}))).toBe('NOT_ACTIVE')
  })
})

describe('the commit gate', () => {
  beforeEach(() => {
    opened = ['a']
    install()
    eo.setRole('a', 'ACTIVE', 7)
  })

  test('a reply leaves only when its commit is done', async () => {
    gate.automatic = false
    let isDone = false
    const done = toy()
      .add({ n: 1 })
      .then(() => (isDone = true))
    await expect.poll(() => runs).toEqual([1])
    expect(isDone).toBe(false)
    let isDrained = false
    void eo.drained('a').then(() => (isDrained = true))
    await turn()
    expect(isDrained).toBe(false)
    gate.commits[0]?.resolve()
    await done
    expect(gate.log).toEqual(['finish ok'])
  })

  test('what the gate is told of a call', async () => {
    await toy({ atMostOnce: true }).peek({})
    const { functionNumber } = Toy.methods.peek
    expect(gate.keys[0]).toMatchObject({
      caller: caller.caller,
      functionNumber,
      atMostOnce: true,
      staleReads: true,
    })
    expect(gate.keys[0]?.deadlineMs).toBeGreaterThan(performance.now())
    expect(eo.dedupes(functionNumber)).toBe(false)
    opened = []
    expect(eo.dedupes(functionNumber)).toBe(true)
  })

  test('a kept reply is sent without running, kept errors too', async () => {
    const kept = { caller: '', messageId: 1, functionNumber: 1, keepMs: 1 }
    const payload = Uint8Array.from(Toy.methods.add.output.encode({ n: 42 }))
    gate.next = { ...kept, rc: 0, payload }
    expect(await toy().add({ n: 1 })).toEqual({ n: 42 })
    const error = Uint8Array.from(encodeWireError(toWireError(new SdkError('SOLD_OUT', 'kept'))))
    gate.next = { ...kept, rc: 1, payload: error }
    expect(await code(toy().add({ n: 1 }))).toBe('SOLD_OUT')
    expect(runs).toEqual([])
  })

  test('the same call under way is INUSE; a gate that cannot take it says so', async () => {
    gate.next = 'inProgress'
    expect(await code(toy().add({ n: 1 }))).toBe('INUSE')
    gate.next = new SdkError('TRY_AGAIN', 'full')
    expect(await code(toy().add({ n: 1 }))).toBe('TRY_AGAIN')
    expect(runs).toEqual([])
    expect(gate.log).toEqual([])
  })

  test('refusals and bugs of functions are committed as replies; TRY_AGAIN leaves no trace', async () => {
    expect(await code(toy().fail({ code: 'SOLD_OUT' }))).toBe('SOLD_OUT')
    expect(await code(toy().fail({ code: 'TIMEOUT' }))).toBe('HANDLER_FAILED')
    expect(await code(toy().fail({ code: 'TRY_AGAIN' }))).toBe('TRY_AGAIN')
    expect(gate.log).toEqual(['finish error', 'finish error', 'abort'])
  })

  test('wrong bytes are refused without a commit', async () => {
    const { functionNumber } = Toy.methods.add
    const call = caller.call('1:64', functionNumber, new Uint8Array([0x91, 0xa1, 0x61]))
    expect(await code(call)).toBe('INVALID_PARAMETER')
    expect(gate.log).toEqual(['abort'])
  })

  test('a commit that failed is the answer; STALE_EPOCH answers nothing', async () => {
    gate.automatic = false
    const failed = code(toy().add({ n: 1 }))
    await turn()
    gate.commits[0]?.reject(new SdkError('NO_SPACE', 'full'))
    expect(await failed).toBe('NO_SPACE')
    const fenced = code(toy({ timeoutMs: 100 }).add({ n: 2 }))
    await turn()
    gate.commits[1]?.reject(new SdkError('STALE_EPOCH', 'gone'))
    expect(await fenced).toBe('TIMEOUT')
  })

  test('a function that runs past its deadline is told, and its caller answered', async () => {
    const { functionNumber } = Toy.methods.wait
    const late = code(toy({ timeoutMs: 50 }).wait({}))
    expect(await late).toBe('TIMEOUT')
    await turn(60)
    expect(eo.statistics()['abandoned']).toBe(1)
    expect(gate.keys[0]?.functionNumber).toBe(functionNumber)
    expect(gate.log).toEqual(['finish error'])
    await eo.drained(null)
  })
})

describe('overload', () => {
  test('a full queue answers QUEUE_OVERFLOW at once and leaves nothing behind', async () => {
    await start({ queueCountMax: 10 })
    opened = ['a']
    install()
    eo.setRole('a', 'ACTIVE', 7)
    const outcomes = await Promise.all(Array.from({ length: 40 }, (_, n) => code(toy().add({ n }))))
    const overflowed = outcomes.filter((text) => text === 'QUEUE_OVERFLOW').length
    expect(outcomes.filter((text) => text === 'OK').length).toBe(40 - overflowed)
    expect(overflowed).toBeGreaterThan(0)
    expect(gate.log.filter((line) => line === 'abort').length).toBe(overflowed)
    expect(runs.length).toBe(40 - overflowed)
  })

  test('ordered calls run one after the other', async () => {
    install(null)
    const first = toy({ ordered: true, priority: 'ordered' }).wait({})
    const second = toy({ ordered: true, priority: 'ordered' }).add({ n: 1 })
    await turn()
    expect(runs).toEqual([])
    release[0]?.()
    await Promise.all([first, second])
    expect(runs).toEqual([1])
  })
})

describe('calls that came alone', () => {
  /** Hands one call of `add` over as RMD does. `isLast`: nothing that came with it is behind it. */
  function arrive(n: number, isLast: boolean | undefined, more: Partial<IncomingCall> = {}): void {
    eo.dispatch({
      source: { node: 1, port: 65 },
      caller: 'c'.repeat(16),
      messageId: n,
      acknowledgedBelow: 1,
      functionNumber: Toy.methods.add.functionNumber,
      priority: 'default',
      atMostOnce: false,
      oneWay: false,
      deadlineMs: performance.now() + 5_000,
      epoch: 0,
      payload: Toy.methods.add.input.encode({ n }),
      stream: null,
      ...(isLast === undefined ? {} : { isLast }),
      reply: () => undefined,
      fail: (error) => refused.push(error.code),
      ...more,
    })
  }
  let refused: string[]
  beforeEach(() => {
    refused = []
    install(null)
  })

  test('a call that came alone runs at once, and is counted as any other', () => {
    arrive(1, true)
    expect(runs).toEqual([1])
    arrive(2, true, { priority: 'ordered' })
    expect(runs).toEqual([1, 2])
    expect(eo.statistics()).toMatchObject({ jobsStarted: 2, replied: 2, jobsLive: 0 })
    expect(eo.statistics()).toMatchObject({ jobsRunning: 0, jobsQueued: 0 })
  })

  test.each([[false], [undefined]])('isLast %s: what came with it may go first', async (isLast) => {
    arrive(1, isLast, { priority: 'low' })
    arrive(2, isLast)
    arrive(3, true, { priority: 'high' })
    expect(runs).toEqual([])
    await turn(0)
    expect(runs).toEqual([3, 2, 1])
  })

  test('one that came alone waits where it must: ordered ones take turns', async () => {
    arrive(1, true, {
      functionNumber: Toy.methods.wait.functionNumber,
      payload: Toy.methods.wait.input.encode({}),
      priority: 'ordered',
    })
    arrive(2, true, { priority: 'ordered' })
    expect(release).toHaveLength(1)
    await turn(0)
    expect(runs).toEqual([])
    release[0]?.()
    await until(() => runs.length > 0)
    expect(runs).toEqual([2])
  })

  test('one that came alone and too late does not run', async () => {
    arrive(1, true, { deadlineMs: performance.now() - 1 })
    await until(() => refused.length > 0)
    expect(refused).toEqual(['DEADLINE_PASSED'])
    expect(runs).toEqual([])
  })

  test('one that waited for a role never runs inside the change of role', async () => {
    eo.client.clientUninstall(Toy)
    install('csi1')
    arrive(1, true)
    eo.setRole('csi1', 'ACTIVE', 3)
    expect(runs).toEqual([])
    await until(() => runs.length > 0)
  })
})
