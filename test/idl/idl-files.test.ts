import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { CL_TYPES, type ClientOf, defineInterface } from '../../idl/index.ts'
import { buildInterfaces, generateModule, readIdl } from '../../idl/internal.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const EXCHANGE = readFileSync(join(ROOT, 'test/fixtures/idl/exchange.xml'), 'utf8')
const CORPUS = join(ROOT, '../shared/data/safplus/idl')

function read(text: string, define: Record<string, string> = {}) {
  const options = { define: new Map(Object.entries(define)) }
  return readIdl([{ file: 'x.xml', text }], options)
}

function good(text: string, define: Record<string, string> = {}) {
  const outcome = read(text, define)
  if ('problems' in outcome) throw new Error(JSON.stringify(outcome.problems))
  return outcome.idl
}

describe('elementary types', () => {
  test('there are 17', () => expect(Object.keys(CL_TYPES)).toHaveLength(17))

  const v = { releaseCode: 66, majorVersion: 1, minorVersion: 1 }
  test.each<[keyof typeof CL_TYPES, unknown[], unknown[]]>([
    ['ClInt8T', [-128, 127], [-129, 128, 0.5, 1n]],
    ['ClUint8T', [0, 255], [-1, 256]],
    ['ClCharT', [-128, 127], [128, 'a']],
    ['ClInt16T', [-32_768, 32_767], [-32_769, 32_768]],
    ['ClUint16T', [0, 65_535], [-1, 65_536]],
    ['ClInt32T', [-2_147_483_648, 2_147_483_647], [2_147_483_648]],
    ['ClUint32T', [0, 4_294_967_295], [-1, 4_294_967_296]],
    ['ClInt64T', [-(2n ** 63n), 2n ** 63n - 1n], [2n ** 63n, 1]],
    ['ClUint64T', [0n, 2n ** 64n - 1n], [-1n, 2n ** 64n]],
    ['ClWordT', [0, 4_294_967_295], [-1]],
    ['ClHandleT', [0n, 2n ** 64n - 1n], [-1n]],
    ['ClNameT', ['', 'x'.repeat(256)], ['x'.repeat(257), 'é'.repeat(129)]],
    ['ClStringT', [null, '', 'text'], [1]],
    ['ClVersionT', [v], [{ releaseCode: 66 }]],
    ['ClMD5T', [new Uint8Array(16)], [new Uint8Array(15)]],
    ['ClDataVectorT', [[], [{ index: 1, data: new Uint8Array(2) }]], [[{ index: -1 }]]],
    ['ClDifferenceVectorT', [{ digests: [], blocks: [] }], [{}]],
  ])('%s', (name, accepted, refused) => {
    for (const value of accepted) expect(CL_TYPES[name].safeParse(value).success).toBe(true)
    for (const value of refused) expect(CL_TYPES[name].safeParse(value).success).toBe(false)
  })
})

describe('reading IDL files', () => {
  test('numbers, versions and directions of operations', () => {
    const [server, older] = good(EXCHANGE).ports
    expect(server).toMatchObject({ name: 'exchangeServer', clientId: 0, version: 'B.5.1' })
    const rows = server?.operations.map(({ name, serviceId, version, mode }) => [
      name,
      serviceId,
      version,
      mode,
    ])
    expect(rows).toEqual([
      ['connect', 0, 'B.5.1', 'both'],
      ['_ring', 1, 'B.4.0', 'async'],
      ['load', 2, 'B.5.1', 'sync'],
    ])
    expect(older).toMatchObject({ name: 'exchangeServer_4_0_0', version: 'B.4.0' })
    const [connect] = older?.operations ?? []
    expect(connect?.input.map(({ name }) => name)).toEqual(['target', 'credit'])
    expect(connect?.output.map(({ name }) => name)).toEqual(['credit', 'route'])
  })

  test('values go over the codec of what was built and come back', () => {
    const [server, older] = buildInterfaces(good(EXCHANGE))
    const hop = { node: 'n1', next: { node: 'n2', next: null } }
    const line = {
      state: 2,
      digits: new Uint8Array(4),
      levels: [1, -2, 3],
      note: new Uint8Array([9]),
      connectedSince: -5n,
    }
    const cases = [
      [older?.methods['connect']?.input, { target: { kind: 'line', value: line }, credit: -1 }],
      [older?.methods['connect']?.input, { target: { kind: 'number', value: 7n }, credit: 1 }],
      [older?.methods['connect']?.output, { credit: 2, route: { hops: hop, cost: 65_535 } }],
      [server?.methods['ring']?.input, { lines: [{ state: 8, digest: new Uint8Array(16) }] }],
      [server?.methods['connect']?.input, { target: null }],
    ] as const
    for (const [codec, value] of cases) {
      expect(codec?.decode(codec.encode(value as never))).toEqual(value)
    }
    const wrong = { target: { kind: 'line', value: { ...line, levels: [1] } }, credit: 0 }
    expect(() => older?.methods['connect']?.input.encode(wrong as never)).toThrow(/levels/)
  })

  test.each<[string, string, RegExp]>([
    ['not XML', '<IDLSpecs>', /x\.xml:\d+: malformed XML/],
    ['another document', '<model/>', /x\.xml:1: <model> is no IDL/],
    [
      'entities',
      '<!DOCTYPE x [<!ENTITY a "b">]><IDLSpecs name="&a;"/>',
      /x\.xml:1: a document type/,
    ],
    [
      'an unknown type',
      '<IDLSpecs>\n<Struct name="S"><DataMember name="a" type="FooT"/></Struct></IDLSpecs>',
      /x\.xml:2: type FooT is not defined; remedy: .*--define FooT=ClUint32T/,
    ],
    [
      'an unknown length',
      '<IDLSpecs><Struct name="S"><DataMember name="a" type="ClUint8T" lengthVar="n"/></Struct></IDLSpecs>',
      /lengthVar n names no sibling/,
    ],
    [
      'an unknown port',
      '<IDLSpecs><Port name="p" ID="MY_ID"><Group name="g"><Operation name="o"/></Group></Port></IDLSpecs>',
      /ID "MY_ID" of the port is not known; remedy: --define MY_ID=21/,
    ],
    [
      'an argument without direction',
      '<IDLSpecs><Port name="p" ID="21"><Group name="g"><Operation name="o"><Argument name="a" type="ClUint8T"/></Operation></Group></Port></IDLSpecs>',
      /ParameterType of a is missing/,
    ],
    [
      'two definitions',
      '<IDLSpecs><Enum name="E"><EnumMember name="A"/></Enum><Enum name="E"><EnumMember name="B"/></Enum></IDLSpecs>',
      /E is defined otherwise at x\.xml:1/,
    ],
    [
      '65 operations',
      `<IDLSpecs><Port name="p" ID="21"><Group name="g">${Array.from({ length: 65 }, (_, i) => `<Operation name="o${i}"/>`).join('')}</Group></Port></IDLSpecs>`,
      /at most 64; divide it/,
    ],
  ])('%s is refused with its place', (_name, text, message) => {
    const outcome = read(text)
    const said = 'problems' in outcome ? outcome.problems : []
    const lines = said.map(({ place, text: why }) => `${place.file}:${place.line}: ${why}`)
    expect(lines.join('\n')).toMatch(message)
  })

  test('--define says what headers would', () => {
    const text =
      '<IDLSpecs><Port name="p" ID="MY_ID"><Group name="g"><Operation name="o">' +
      '<Argument name="a" type="FooT" ParameterType="CL_IN"/></Operation></Group></Port></IDLSpecs>'
    const idl = good(text, { FooT: 'ClUint8T', MY_ID: '21' })
    expect(idl.ports[0]?.clientId).toBe(21)
  })
})

describe('the generated module', () => {
  test('compiles under the strict options, and is what was built', async () => {
    const directory = mkdtempSync(join(ROOT, 'test/fixtures/idl/generated-'))
    try {
      const text = generateModule(good(EXCHANGE), ['exchange.xml'])
      writeFileSync(
        join(directory, 'exchange.ts'),
        text.replace('holdfast/idl', '../../../../idl/index.ts'),
      )
      const options = { noEmit: true, declaration: true, incremental: false, rootDir: ROOT }
      writeFileSync(
        join(directory, 'tsconfig.json'),
        JSON.stringify({
          extends: join(ROOT, 'tsconfig.json'),
          compilerOptions: { ...options, tsBuildInfoFile: null },
          include: ['.'],
        }),
      )
      const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
      execFileSync(process.execPath, [tsc, '-p', directory], { stdio: 'pipe' })
      const made = (await import(join(directory, 'exchange.ts'))) as {
        exchangeServer: { methods: Record<string, { input: { shape: unknown } }> }
      }
      const [built] = buildInterfaces(good(EXCHANGE))
      const shapeOf = (face: typeof made.exchangeServer | undefined) =>
        Object.values(face?.methods ?? {}).map(({ input }) => input.shape)
      expect(shapeOf(made.exchangeServer)).toEqual(shapeOf(built as never))
    } finally {
      rmSync(directory, { recursive: true })
    }
  }, 60_000)

  test.runIf(existsSync(CORPUS))('the files of the original are all read', () => {
    const files = readdirSync(CORPUS).filter((file) => file.endsWith('.xml'))
    const counts = files.map((file) => {
      const idl = good(readFileSync(join(CORPUS, file), 'utf8'))
      for (const face of buildInterfaces(idl)) expect(Object.keys(face.methods)).not.toEqual([])
      expect(generateModule(idl, [file])).toContain('Generated by')
      return idl.ports.reduce((sum, port) => sum + port.operations.length, 0)
    })
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(81)
  })
})

test('clients of an interface are typed by it', () => {
  const Sequence = defineInterface({
    name: 'Sequence',
    clientId: 20,
    version: 'B.1.1',
    methods: {
      next: {
        serviceId: 0,
        input: z.strictObject({ count: z.int().default(1) }),
        output: z.strictObject({ first: z.int(), tags: z.array(z.string()).optional() }),
      },
    },
  })
  type Next = ClientOf<(typeof Sequence)['spec']>['next']
  expectTypeOf<Parameters<Next>[0]>().toEqualTypeOf<{ count?: number | undefined }>()
  expectTypeOf<Awaited<ReturnType<Next>>>().toEqualTypeOf<{
    first: number
    tags?: string[] | undefined
  }>()
})
