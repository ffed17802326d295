import { describe, expect, test } from 'vitest'
import { isSdkError } from '../../idl/index.ts'
import { parseComponentModule } from '../../runtime/eo/config.schema.ts'

const initialize = (): void => undefined
const config = { name: 'x', initialize }
const basic = { osal: true, timer: true, buffer: true, ioc: true, rmd: true, eo: true }

function refusal(module: unknown): string {
  try {
    parseComponentModule(module, 'x.js')
    return 'accepted'
  } catch (error) {
    if (!isSdkError(error, 'INVALID_PARAMETER')) throw error
    return error.message
  }
}

describe('clEoConfig', () => {
  test('fills in the defaults', () => {
    expect(parseComponentModule({ clEoConfig: config, other: 1 }, 'x.js')).toEqual({
      clientLibs: new Set(),
      name: 'x',
      threadPriority: 'default',
      threads: 1,
      iocPort: 0,
      userClients: 16,
      threadModel: 'recv',
      queueCountMax: 4_096,
      queueHighPercent: 80,
      queueLowPercent: 50,
      overdueMs: 10_000,
      workerHeapMiB: 256,
      initialize,
      finalize: null,
    })
  })

  test('takes the libraries that exist', () => {
    const module = {
      clEoConfig: config,
      clEoBasicLibs: { ...basic, om: false, hal: false, dbal: true },
      clEoClientLibs: { name: true, log: true, transaction: false },
    }
    expect(refusal(module)).toBe('accepted')
  })

  test.each<[string, unknown, RegExp]>([
    ['no config', {}, /x\.js: clEoConfig is missing/],
    ['no module', null, /clEoConfig is missing/],
    ['no name', { clEoConfig: { initialize } }, /clEoConfig\.name:/],
    ['no initialize', { clEoConfig: { name: 'x' } }, /clEoConfig\.initialize: must be a function/],
    ['threads 0', { clEoConfig: { ...config, threads: 0 } }, /clEoConfig\.threads: at least 1/],
    [
      'a thread model',
      { clEoConfig: { ...config, threadModel: 'main' } },
      /threadModel: .*'app'|app/,
    ],
    ['finalize', { clEoConfig: { ...config, finalize: initialize } }, /finalize: must be null/],
    [
      'marks the wrong way round',
      { clEoConfig: { ...config, queueHighPercent: 10 } },
      /queueLowPercent: must be below queueHighPercent/,
    ],
    [
      "a port of the platform's",
      { clEoConfig: { ...config, iocPort: 63 } },
      /give 64 to 127, or 0/,
    ],
    ['a port out of range', { clEoConfig: { ...config, iocPort: 1024 } }, /clEoConfig\.iocPort/],
    ['an unknown key', { clEoConfig: { ...config, thread: 1 } }, /clEoConfig: .*thread/],
    [
      'a basic library missing',
      { clEoConfig: config, clEoBasicLibs: { ...basic, rmd: false } },
      /clEoBasicLibs\.rmd: is mandatory/,
    ],
    [
      'a basic library to come',
      { clEoConfig: config, clEoBasicLibs: { ...basic, hal: true } },
      /clEoBasicLibs\.hal: does not exist yet/,
    ],
    [
      'an unknown library',
      { clEoConfig: config, clEoBasicLibs: { ...basic, usb: true } },
      /clEoBasicLibs: .*usb/,
    ],
    [
      'a client library to come',
      { clEoConfig: config, clEoClientLibs: { alarm: true } },
      /clEoClientLibs\.alarm: does not exist yet/,
    ],
    [
      'a flag that is none',
      { clEoConfig: config, clEoClientLibs: { log: 'yes' } },
      /clEoClientLibs\.log/,
    ],
  ])('%s is refused by its path', (_, module, expected) => {
    expect(refusal(module)).toMatch(expected)
  })

  test('every mistake is named at once', () => {
    const text = refusal({ clEoConfig: { name: '', threads: -1, initialize: 1 } })
    for (const path of ['clEoConfig.name', 'clEoConfig.threads', 'clEoConfig.initialize']) {
      expect(text).toContain(path)
    }
  })
})
