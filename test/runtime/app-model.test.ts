import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import type { IocAddress } from '../../ioc/index.ts'
import { EoManagement } from '../../runtime/index.ts'
import { CRASH_EXIT_CODE, readCrashRecord } from '../../runtime/internal.ts'
import { AppProbe } from '../fixtures/runtime/probe.ts'
import { FakeAgent, type LaunchedComponent } from './support/fake-agent.ts'

const FILE = 'test/fixtures/runtime/app-component.js'

let agent: FakeAgent
let component: LaunchedComponent

beforeEach(async () => {
  agent = await FakeAgent.start()
})
afterEach(async () => {
  await agent.stop()
})

async function launch(main: string): Promise<IocAddress> {
  component = agent.launch(FILE, { MAIN: main })
  await agent.until('registration', () => agent.registered.length > 0)
  await agent.until('main runs', () => component.stdout.includes('main runs'))
  return { node: 1, port: agent.registered[0]!.port }
}

function crashRecord(): ReturnType<typeof readCrashRecord> {
  const { runDir } = agent
  return readCrashRecord({ runDir, node: 'node1', component: 'probe1', pid: component.pid })
}

describe.each(['spin', 'wait', 'until', 'free'])('main thread: %s', (main) => {
  test('calls, callbacks, health checks and beats are served, and terminate ends it', async () => {
    const to = await launch(main)
    const probe = agent.rmd.client(AppProbe, { to, timeoutMs: 5_000 })
    const first = await probe.next({})
    expect(first).toMatchObject({ value: 1 })
    expect(first.thread).not.toBe(0)
    expect(await agent.csiSet('ACTIVE', 'appCSI', 3)).toMatchObject({ rc: 0 })
    // What the EO thread prints does not wait for main.
    await agent.until('the printed line', () => component.stdout.includes('csiSet ACTIVE'))
    expect(await agent.callback('healthCheck', { key: 'k' })).toMatchObject({ rc: 0 })
    const management = agent.rmd.client(EoManagement, { to })
    expect(await management.isAlive({})).toEqual({ frequency: 'default', status: 'alive' })
    expect(await management.describe({})).toMatchObject({ pid: component.pid, eo: 'appProbe' })
    const beats = agent.beats.length
    await agent.until('beats', () => agent.beats.length > beats + 3)
    expect(agent.beats.at(-1)?.heartbeat.stampAgeMs).toBeLessThan(500)

    expect(await agent.callback('terminate', {})).toMatchObject({ rc: 0 })
    const exit = await component.exited
    const blocked = main === 'spin' || main === 'wait'
    expect(exit).toEqual(blocked ? { code: null, signal: 'SIGKILL' } : { code: 0, signal: null })
    expect(component.stdout).toContain('terminate ran')
    expect(component.stdout.includes('main saw the end')).toBe(!blocked)
    expect(crashRecord()).toBeNull()
  })
})

test('a main that returns ends the component in order, terminate callback first', async () => {
  await launch('call')
  expect(await component.exited).toEqual({ code: 0, signal: null })
  expect(component.stdout).toContain('"value":1')
  expect(component.stdout).toContain('terminate ran')
})

test('a main that throws ends the process with a crash record', async () => {
  await launch('throw')
  expect(await component.exited).toEqual({ code: CRASH_EXIT_CODE, signal: null })
  expect(crashRecord()).toMatchObject({ kind: 'main' })
  expect(crashRecord()?.error).toContain('a bug in main')
})

test('a blocked main does not keep a failed EO thread alive', async () => {
  await launch('spin')
  await agent.rmd.close()
  expect((await component.exited).signal).toBe('SIGKILL')
  expect(crashRecord()).toMatchObject({ kind: 'agent lost' })
})

test('an EO thread that hangs shows in the beats', async () => {
  const to = await launch('free')
  await agent.rmd.client(AppProbe, { to }).hang({ ms: 800 }, { oneWay: true })
  const age = (): number => agent.beats.at(-1)!.heartbeat.stampAgeMs
  await agent.until('age over 400 ms', () => age() > 400)
  await agent.until('age small again', () => age() < 100)
})

describe('misuse is named', () => {
  test.each([
    ['noMain', 'needs an exported function main'],
    ['mainInRecv', "threadModel 'recv' never runs it"],
    ['byObject', "needs the module's URL"],
    ['waitInRecv', 'would block the receive loop'],
  ])('%s', async (name, message) => {
    component = agent.launch(`test/fixtures/runtime/misuse/${name}.js`)
    expect((await component.exited).code).toBe(CRASH_EXIT_CODE)
    expect(crashRecord()?.error).toContain(message)
  })
})

test('a program with a main of its own hands over the URL and goes on as the application', async () => {
  component = agent.launchProgram('test/fixtures/runtime/own-main.js')
  await agent.until('registration', () => agent.registered.length > 0)
  await agent.until('the program', () => component.stdout.includes('own main blocks'))
  const to = { node: 1, port: agent.registered[0]!.port }
  const probe = agent.rmd.client(AppProbe, { to, timeoutMs: 5_000 })
  expect(await probe.next({}).catch((e: unknown) => isSdkError(e))).toMatchObject({ value: 1 })
  expect(await agent.callback('terminate', {})).toMatchObject({ rc: 0 })
  expect(await component.exited).toEqual({ code: 0, signal: null })
})
