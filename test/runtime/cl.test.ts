import { afterEach, beforeEach, expect, test } from 'vitest'
import { rcError } from '../../idl/index.ts'
import { clEoMyEoIocPortGet, clEoMyEoObjectGet, clRmdWithMsg } from '../../runtime/cl/index.ts'
import { Probe } from '../fixtures/runtime/probe.ts'
import { FakeAgent } from './support/fake-agent.ts'

let agent: FakeAgent
beforeEach(async () => {
  agent = await FakeAgent.start()
})
afterEach(() => agent.stop())

test('a component written with the names of the original lives its life', async () => {
  const component = agent.launch('test/fixtures/runtime/cl-component.js')
  await agent.until('registration', () => agent.registered.length > 0)
  const to = { node: 1, port: agent.registered[0]!.port }
  expect(await agent.csiSet('ACTIVE')).toMatchObject({ rc: 0 })
  const { text, callbacks } = await agent.rmd.client(Probe, { to }).echo({ text: '' })
  expect(text).toBe(`probe1 ${to.port} 0,0,0,0,0,0`)
  expect(callbacks).toEqual(['set probe1 1'])
  const quiesced = await agent.csiSet('QUIESCING')
  expect(quiesced).toMatchObject({ by: 'quiescingComplete', rc: 0 })
  const refused = await agent.csiSet('STANDBY')
  expect(rcError(refused.rc)).toBe(0x1f)
  expect(await agent.callback('terminate', {})).toMatchObject({ rc: 0 })
  expect(await component.exited).toEqual({ code: 0, signal: null })
})

test('before an EO is bound, functions say so by code', async () => {
  const out = { value: undefined }
  expect(rcError(clEoMyEoObjectGet(out))).toBe(0x12)
  expect(rcError(clEoMyEoIocPortGet({ value: 0 }))).toBe(0x12)
  expect(rcError(await clRmdWithMsg('1:1', 1, new Uint8Array(0), null, 0))).toBe(0x12)
})
