import { afterEach, describe, expect, it } from 'vitest'
import { CL_CID, CL_ERR, rcOf, SdkError } from '../../../idl/index.ts'
import { bindMyEo, type App } from '../../../runtime/index.ts'
import {
  clDebugDeregister,
  clDebugPrint,
  clDebugPrintFinalize,
  clDebugPrintInitialize,
  clDebugPromptSet,
  clDebugRegister,
} from '../../../runtime/cl/index.ts'
import {
  type DebugClient,
  type DebugCommand,
  debugLibrary,
} from '../../../runtime/services/debug/client.ts'
import { DEBUG_LIMITS, DebugCommands } from '../../../runtime/services/debug/interface.ts'
import { rejection } from '../../ioc/rmd-kit.ts'
import { type RigComponent, ServiceRig } from './rig.ts'

/** Machines may be busy. */
const SOON = { timeout: 10_000 }

const open: ServiceRig[] = []
afterEach(async () => {
  for (const rig of open.splice(0)) await rig.close()
})

async function start() {
  const rig = new ServiceRig()
  open.push(rig)
  await rig.start(1)
  const component: RigComponent<DebugClient> = await rig.component(1, 'a', debugLibrary)
  const operator = await rig.component(1, 'operator', debugLibrary)
  const debug = operator.rmd.client(DebugCommands, { to: component.rmd.address, timeoutMs: 5_000 })
  const run = (command: string, ...args: string[]) => debug.run({ command, arguments: args })
  return { component, client: component.client, debug, run }
}

const command = (name: string, run: DebugCommand['run'] = () => ''): DebugCommand => ({
  name,
  help: `${name}: does it`,
  run,
})
const code = async (promise: Promise<unknown>): Promise<unknown> =>
  ((await rejection(promise)) as { code: string }).code
const codeOf = (step: () => unknown): string => {
  try {
    step()
    return 'none'
  } catch (error) {
    return (error as SdkError).code
  }
}

describe('debug commands', () => {
  it('are listed, run with their arguments, and go', async () => {
    const { client, debug, run } = await start()
    const sum = command('sum', (args) => String(args.reduce((all, one) => all + Number(one), 0)))
    const registration = client.register([sum, command('late', async () => 'done')], 'a>')
    const { component, prompt, commands } = await debug.list({})
    expect([component, prompt, commands.map(({ name }) => name)]).toEqual([
      'a',
      'a>',
      ['errno', 'help', 'late', 'sum'],
    ])
    expect(await run('sum', '1', '2')).toEqual({ rc: 0, text: '3', isCut: false })
    expect((await run('late')).text).toBe('done')
    expect((await run('help', 'sum')).text).toBe('sum: does it')
    expect((await run('help')).text).toContain('sum    sum: does it')
    expect((await run('errno', '0xb0014')).text).toContain('TIMEOUT')
    expect((await run('errno', 'x')).rc).toBe(rcOf(0, CL_ERR.INVALID_PARAMETER))
    registration.deregister()
    expect(await code(run('sum'))).toBe('NOT_EXIST')
    expect(codeOf(() => registration.deregister())).toBe('INVALID_HANDLE')
  })

  it('that fail are answers with a return code', async () => {
    const { client, run } = await start()
    const refused = new SdkError('NO_SPACE', 'full')
    client.register([
      command('own', () => ({ rc: 7, text: 'half' })),
      command('refused', () => Promise.reject(refused)),
      command('bug', () => {
        throw new TypeError('oops')
      }),
    ])
    expect(await run('own')).toEqual({ rc: 7, text: 'half', isCut: false })
    expect(await run('refused')).toEqual({ rc: refused.rc, text: 'full', isCut: false })
    const { rc, text } = await run('bug')
    expect([rc, text]).toEqual([rcOf(CL_CID.DEBUG, CL_ERR.UNSPECIFIED), 'oops'])
  })

  it('are bounded: output, time, how many at once', async () => {
    const { client, debug, run } = await start()
    const signals: AbortSignal[] = []
    client.register([
      command('long', () => 'x'.repeat(DEBUG_LIMITS.outputLength + 1)),
      command('never', (_, signal) => {
        signals.push(signal)
        return new Promise(() => undefined)
      }),
    ])
    const long = await run('long')
    expect([long.text.length, long.isCut]).toEqual([DEBUG_LIMITS.outputLength, true])
    const under = Array.from({ length: DEBUG_LIMITS.runningCount }, () =>
      debug.run({ command: 'never', arguments: [] }, { timeoutMs: 1_500 }),
    )
    await expect.poll(() => signals.length, SOON).toBe(DEBUG_LIMITS.runningCount)
    expect(await code(run('never'))).toBe('TRY_AGAIN')
    const answers = await Promise.all(under)
    expect(new Set(answers.map(({ rc }) => rc))).toEqual(
      new Set([rcOf(CL_CID.DEBUG, CL_ERR.TIMEOUT)]),
    )
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
    expect((await run('errno', '0')).rc).toBe(0)
  })

  it.each([
    ['a taken name', [command('help')], 'ALREADY_EXIST'],
    ['the same name twice', [command('x'), command('x')], 'ALREADY_EXIST'],
    ['an empty name', [command('')], 'INVALID_PARAMETER'],
    ['white space', [command('a b')], 'INVALID_PARAMETER'],
    ['a long name', [command('x'.repeat(80))], 'INVALID_PARAMETER'],
    ['too many', Array.from({ length: 255 }, (_, i) => command(`c${i}`)), 'NO_SPACE'],
  ])('are refused with %s, all of them', async (_, commands, expected) => {
    const { client, debug } = await start()
    expect(codeOf(() => client.register([command('first'), ...commands]))).toBe(expected)
    expect((await debug.list({})).commands).toHaveLength(2)
  })
})

describe('cl names', () => {
  it('register, print and deregister', async () => {
    const { client, component, debug, run } = await start()
    bindMyEo({
      component: 'a',
      node: 'node1',
      address: component.rmd.address,
      rmd: {},
      debug: client,
    } as unknown as App)
    const out: Parameters<typeof clDebugRegister>[2] = { value: undefined }
    clDebugPromptSet('COMP_A')
    const table = [
      {
        funcName: 'show',
        funcHelp: 'show: everything',
        fpCallback: (argc: number, argv: readonly string[], ret: { value: string }) => {
          const msg: Parameters<typeof clDebugPrintInitialize>[0] = { value: undefined }
          clDebugPrintInitialize(msg)
          clDebugPrint(msg.value, `${argc}: `)
          clDebugPrint(msg.value, argv.join(' '))
          clDebugPrintFinalize(msg, ret)
          return argc === 1 ? 0 : 5
        },
      },
    ]
    expect(clDebugRegister(table, 1, out)).toBe(0)
    expect((await debug.list({})).prompt).toBe('COMP_A')
    expect(await run('show')).toMatchObject({ rc: 0, text: '1: show' })
    expect(await run('show', 'x')).toMatchObject({ rc: 5, text: '2: show x' })
    expect(clDebugRegister(table, 1, out)).toBe(rcOf(CL_CID.DEBUG, CL_ERR.ALREADY_EXIST))
    expect(clDebugDeregister(out.value)).toBe(0)
    expect(clDebugDeregister(out.value)).toBe(rcOf(CL_CID.DEBUG, CL_ERR.INVALID_HANDLE))
    expect(clDebugDeregister(undefined)).toBe(rcOf(CL_CID.DEBUG, CL_ERR.INVALID_HANDLE))
  })
})
