import { existsSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fileURLToPath } from 'node:url'
import { isSdkError, makeShapeCodec, type Shape } from '../../idl/index.ts'
import type { IocAddress } from '../../ioc/index.ts'
import { EoManagement, runComponent } from '../../runtime/index.ts'
import { CRASH_EXIT_CODE, readCrashRecord } from '../../runtime/internal.ts'
import { runComponentFile } from '../../runtime/light.ts'
import { Probe, ProbeWork } from '../fixtures/runtime/probe.ts'
import { FakeAgent, type LaunchedComponent } from './support/fake-agent.ts'

const FILE = 'test/fixtures/runtime/component.js'
const MISSING = !existsSync(fileURLToPath(new URL(`../../dist/${FILE}`, import.meta.url)))
if (MISSING) throw new Error('dist is missing: run `npm run build` first')

let agent: FakeAgent
let component: LaunchedComponent

beforeEach(async () => {
  agent = await FakeAgent.start()
})
afterEach(async () => {
  await agent.stop()
})

async function launch(env: Readonly<Record<string, string>> = {}): Promise<IocAddress> {
  component = agent.launch(FILE, env)
  await agent.until(
    'registration',
    () => agent.registered.length > 0 || component.child.exitCode !== null,
  )
  const [first] = agent.registered
  if (first === undefined) throw new Error(`not registered: ${component.stderr}`)
  return { node: 1, port: first.port }
}

function crashRecord(): ReturnType<typeof readCrashRecord> {
  const { runDir } = agent
  return readCrashRecord({ runDir, node: 'node1', component: 'probe1', pid: component.pid })
}

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'OK',
    (error: unknown) => (isSdkError(error) ? error.code : String(error)),
  )

describe('a component process', () => {
  test('registers, takes its role, serves, quiesces, and ends by terminate with exit code 0', async () => {
    const to = await launch()
    const probe = agent.rmd.client(Probe, { to, timeoutMs: 5_000 })
    const early = probe.echo({ text: 'parked until ACTIVE' })
    expect(await agent.csiSet('STANDBY')).toMatchObject({ rc: 0 })
    expect(await agent.csiSet('ACTIVE', 'csi1', 7)).toMatchObject({ rc: 0 })
    expect((await early).text).toBe('parked until ACTIVE')
    expect(await agent.callback('healthCheck', { key: 'k' })).toMatchObject({ rc: 0 })

    const slow = probe.slow({ ms: 150 })
    const echoed = await probe.echo({ text: 'x' })
    expect(echoed.callbacks).toEqual([
      'csiSet STANDBY csi1 STANDBY',
      'csiSet ACTIVE csi1 STANDBY',
      'healthCheck k',
    ])
    const quiesced = agent.csiSet('QUIESCING', 'csi1', 7)
    let slowIsDone = false
    const slowDone = slow.then(() => (slowIsDone = true))
    await agent.until('quiescing begins', () => agent.answers.some((a) => a.invocation === 4))
    expect(await code(probe.echo({ text: 'too late' }))).toBe('NOT_ACTIVE')
    expect(await quiesced).toMatchObject({ by: 'quiescingComplete', rc: 0 })
    await slowDone
    expect(slowIsDone).toBe(true)
    expect(await agent.callback('csiRemove', { csi: 'csi1', flags: 'TARGET_ONE' })).toMatchObject({
      rc: 0,
    })
    expect(await agent.callback('terminate', {})).toMatchObject({ rc: 0 })
    expect(await component.exited).toEqual({ code: 0, signal: null })
    expect(crashRecord()).toBeNull()
  })

  test('SIGTERM runs the terminate callback and ends with exit code 0', async () => {
    await launch()
    component.child.kill('SIGTERM')
    expect(await component.exited).toEqual({ code: 0, signal: null })
    expect(component.stdout).toContain('"callback":"terminate"')
  })

  test('a callback that fails is answered with an error', async () => {
    await launch({ FAULT: 'failACTIVE' })
    const answer = await agent.csiSet('ACTIVE')
    expect(answer.rc).not.toBe(0)
    expect(answer.message).toContain('csiSet ACTIVE refused')
  })

  test.each([
    ['uncaughtException', 'throwing', 'a bug outside any call'],
    ['unhandledRejection', 'reject', 'nobody waits for this'],
  ] as const)('%s leaves a crash record and exit code 70', async (kind, method, message) => {
    const to = await launch()
    await agent.csiSet('ACTIVE')
    await agent.rmd.client(Probe, { to })[method]({})
    expect(await component.exited).toEqual({ code: CRASH_EXIT_CODE, signal: null })
    expect(crashRecord()).toMatchObject({ component: 'probe1', node: 'node1', kind })
    expect(crashRecord()?.error).toContain(message)
    expect(crashRecord()?.stack).toContain('component')
  })

  test.each([
    ['initialize throws', FILE, { FAULT: 'throwInInitialize' }, 'initialize', 'refuses to work'],
    [
      'the module has no clEoConfig',
      'idl/index.js',
      {},
      'INVALID_PARAMETER',
      'clEoConfig is missing',
    ],
    ['there is no such module', 'nowhere.js', {}, 'initialize', 'nowhere.js'],
  ])('%s: crash record and exit code 70', async (_, file, env, kind, message) => {
    component = agent.launch(file, env)
    expect(await component.exited).toEqual({ code: CRASH_EXIT_CODE, signal: null })
    expect(crashRecord()).toMatchObject({ kind })
    expect(crashRecord()?.error).toContain(message)
  })

  test('ends when its node process is gone', async () => {
    await launch()
    await agent.rmd.close()
    const { code: exit, signal } = await component.exited
    expect(signal === 'SIGKILL' || exit === CRASH_EXIT_CODE).toBe(true)
  })

  test('refuses to start under another parent', async () => {
    component = agent.launch(FILE, { HOLDFAST_PARENT_PID: '1' })
    expect((await component.exited).code).not.toBe(0)
    expect(component.stderr).toContain('is gone')
    expect(agent.registered).toEqual([])
  })

  test('a blocked event loop keeps the beats coming, with a growing age', async () => {
    const to = await launch()
    await agent.csiSet('ACTIVE')
    await agent.until('a beat', () => agent.beats.some((b) => b.heartbeat.source.port === to.port))
    await agent.rmd.client(Probe, { to }).block({ ms: 700 })
    const age = (): number => agent.beats.at(-1)!.heartbeat.stampAgeMs
    await agent.until('age over 500 ms', () => age() > 500)
    const ages = agent.beats.map((b) => b.heartbeat.stampAgeMs)
    const rising = ages.slice(ages.findLastIndex((ms) => ms < 60) + 1)
    expect(rising.length).toBeGreaterThan(3)
    expect(rising).toEqual(rising.toSorted((a, b) => a - b))
    await agent.until('age small again', () => age() < 100)
    expect(agent.beats.every((b) => b.name === 'probe1')).toBe(true)
  })
})

describe('the management table', () => {
  test('describes what is installed, well enough to call it', async () => {
    const to = await launch()
    await agent.csiSet('ACTIVE')
    const management = agent.rmd.client(EoManagement, { to })
    const description = await management.describe({})
    expect(description).toMatchObject({
      component: 'probe1',
      node: 'node1',
      eo: 'probe',
      pid: component.pid,
    })
    const face = description.interfaces.find((one) => one.name === 'Probe')
    const echo = face?.methods.find((one) => one.name === 'echo')
    expect(face).toMatchObject({ version: 'B.1.1', clientId: 30 })
    expect(JSON.parse(echo?.inputSchema ?? '')).toMatchObject({ required: ['text'] })
    const input = makeShapeCodec('input', echo?.inputShape as Shape)
    const output = makeShapeCodec('output', echo?.outputShape as Shape)
    const reply = await agent.rmd.call(to, echo!.functionNumber, input.encode({ text: 'by shape' }))
    expect(output.decode(reply)).toMatchObject({ text: 'by shape' })
  })

  test('suspends and resumes, and answers meanwhile', async () => {
    const to = await launch()
    await agent.csiSet('ACTIVE')
    const management = agent.rmd.client(EoManagement, { to })
    const probe = agent.rmd.client(Probe, { to })
    expect(await management.stateGet({})).toEqual({ state: 'active' })
    expect(await code(management.stateSet({ state: 'resume' }))).toBe('NO_OP')
    await management.stateSet({ state: 'suspend' })
    expect(await code(probe.echo({ text: '' }))).toBe('EO_SUSPENDED')
    expect(await management.isAlive({})).toEqual({ frequency: 'busy', status: 'alive' })
    await management.stateSet({ state: 'resume' })
    expect(await code(probe.echo({ text: '' }))).toBe('OK')
    await management.logLevelSet({ level: 'debug' })
    expect(await management.logLevelGet({})).toEqual({ level: 'debug' })
    await management.prioritySet({ priority: 'low' })
    expect(await management.priorityGet({})).toEqual({ priority: 'low', nice: 10 })
    expect(await code(management.customAction({ type: 1, data: new Uint8Array(1) }))).toBe(
      'NOT_IMPLEMENTED',
    )
    const { rmd, eo, ioc } = await management.statistics({})
    expect(rmd['nRmdRequests']).toBeGreaterThan(5)
    expect(eo['suspended']).toBe(1)
    expect(ioc['framesIn']).toBeGreaterThan(5)
  })

  test('a veto of stateChange leaves the state', async () => {
    const to = await launch({ FAULT: 'veto' })
    const management = agent.rmd.client(EoManagement, { to })
    expect(await code(management.stateSet({ state: 'suspend' }))).toBe('BAD_OPERATION')
    expect(await management.stateGet({})).toEqual({ state: 'active' })
  })
})

describe('what callers get', () => {
  test('errors with stable codes, and the process goes on', async () => {
    const to = await launch()
    await agent.csiSet('ACTIVE')
    const call = (functionNumber: number, bytes = new Uint8Array(0)): Promise<string> =>
      code(agent.rmd.call(to, functionNumber, bytes, { timeoutMs: 3_000 }))
    expect(await call(99 * 64)).toBe('INVALID_CLIENTID')
    expect(await call(30 * 64 + 60)).toBe('FUNC_NOT_REGISTERED')
    expect(await call(30 * 64, new Uint8Array([0xc1, 1, 2]))).toBe('MESSAGE_ERROR')
    expect(await call(30 * 64, new Uint8Array([0x90]))).toBe('INVALID_PARAMETER')
    const outsider = await FakeAgent.start(agent.runDir, 2)
    const csiRemove = outsider.rmd.call(to, 5 * 64 + 1, new Uint8Array([0x90]))
    expect(['INVALID_PARAMETER', 'OP_NOT_PERMITTED']).toContain(await code(csiRemove))
    await outsider.rmd.close()
    const { n } = await agent.rmd.client(ProbeWork, { to }).square({ n: 12 })
    expect(n).toBe(144)
  })
})

test('a worker that dies fails its job only, and the same job is quarantined the third time', async () => {
  const to = await launch()
  const work = agent.rmd.client(ProbeWork, { to, timeoutMs: 10_000 })
  expect(await work.square({ n: 3 })).toMatchObject({ n: 9 })
  const squares = Array.from({ length: 30 }, (_, n) => code(work.square({ n })))
  expect(await code(work.exit({ code: 3 }))).toBe('WORKER_DIED')
  expect(new Set(await Promise.all(squares))).toEqual(new Set(['OK']))
  expect(await code(work.exit({ code: 3 }))).toBe('WORKER_DIED')
  expect(await code(work.exit({ code: 3 }))).toBe('JOB_QUARANTINED')
  expect(await code(work.exit({ code: 4 }))).toBe('WORKER_DIED')
  expect(await code(work.fail({ code: 'X' }))).toBe('HANDLER_FAILED')
  expect(await code(work.missing({}))).toBe('NOT_IMPLEMENTED')
  expect(await work.square({ n: 5 })).toMatchObject({ n: 25 })
  expect(component.child.exitCode).toBeNull()
})

test('a worker is bound to the EO of its component; a thread of its own is not until it is told', async () => {
  const { port } = await launch()
  const work = agent.rmd.client(ProbeWork, { to: { node: 1, port }, timeoutMs: 10_000 })
  expect(await work.whoAmI({})).toEqual({ me: 'probe1', port, child: 'INVALID_STATE handed' })
})

test('runComponent without an agent says how components are started', async () => {
  const before = process.env['HOLDFAST_RUN_DIR']
  delete process.env['HOLDFAST_RUN_DIR']
  try {
    const config = { name: 'x', initialize: () => undefined }
    await expect(runComponent({ clEoConfig: config })).rejects.toThrow(/holdfast up MODEL/)
    expect(await code(runComponentFile('./x.js'))).toBe('NOT_INITIALIZED')
  } finally {
    if (before !== undefined) process.env['HOLDFAST_RUN_DIR'] = before
  }
})
