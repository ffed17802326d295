import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { CL_TYPES, type ClientOf, defineInterface, type Interface } from '../../idl/index.ts'
import { buildInterfaces, generateModule, readIdl } from '../../idl/internal.ts'
import { createRmd, openPort, type Rmd, unixTransport } from '../../ioc/index.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const EXCHANGE = readFileSync(join(ROOT, 'test/fixtures/idl/exchange.xml'), 'utf8')
const CORNERS = readFileSync(join(ROOT, 'test/fixtures/idl/corners.xml'), 'utf8')
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

const specs = (inside: string): string =>
  inside.startsWith('<IDLSpecs') ? inside : `<IDLSpecs>${inside}</IDLSpecs>`
const struct = (name: string, rest: string, count = 'ClUint8T'): string =>
  `<Struct name="${name}"><DataMember name="n" type="${count}"/><DataMember name="a" ${rest}/></Struct>`
const enumeration = (rest: string): string => `<Enum name="E"><EnumMember name="A" ${rest}/></Enum>`
const port = (name: string, id: number, more = ''): string =>
  `<Port name="${name}" ID="${id}"><Group name="g"><Operation name="o"/>${more}</Group></Port>`

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
    ['an empty file', '', /x\.xml:1: malformed XML/],
    ['bytes of something else', '\0\u0001\uFFFD', /x\.xml:1: malformed XML/],
    ['what the parser repeats at length', '<'.repeat(1e5), /^x\.xml:1: malformed.{1,500}\.\.\.$/],
    ['an enumeration without a number', enumeration('value=""'), /value "" of A is not a number/],
    ['one above 32 bits', enumeration('value="4294967296"'), /value "4294967296" of A/],
    ['a struct inside itself', struct('S', 'type="S"'), /:1: S contains itself.*pointer="Single"/],
    [
      'structs inside each other',
      specs(struct('A', 'type="B"') + struct('B', 'type="A" multiplicity="2"')),
      /A contains itself/,
    ],
    [
      'more structs inside each other than travel',
      specs(
        Array.from({ length: 200 }, (_, i) =>
          struct(`S${i}`, i === 0 ? 'type="ClInt8T"' : `type="S${i - 1}"`),
        ).join(''),
      ),
      /S127 has 128 types inside each other; at most 128 travel/,
    ],
    [
      'a length that is no number',
      struct('S', 'type="ClInt8T" lengthVar="n"', 'ClStringT'),
      /no sib/,
    ],
    ['a length of itself', struct('S', 'type="ClInt8T" lengthVar="a"'), /lengthVar a of a is no/],
    ['a member without a place to be', struct('__proto__', 'type="ClInt8T"'), /"__proto__"/],
    [
      'a port twice',
      specs(port('p', 21) + port('p', 22)),
      /the name p is taken already at x\.xml:1/,
    ],
    ['an id twice', specs(port('p', 21) + port('q', 21)), /ID 21 is that of port p/],
    [
      'a port that is a type',
      specs(struct('p', 'type="ClInt8T"') + port('p', 21)),
      /name p is taken/,
    ],
    [
      'a type that has the name of a version',
      specs(
        struct('S', 'type="ClInt8T"') +
          struct('S', 'type="ClInt8T"').replace('>', ' version="5.0.0">') +
          struct('S_4_0_0', 'type="ClInt16T"'),
      ),
      /the name S_4_0_0 is taken/,
    ],
    [
      'an operation twice',
      port('p', 21, '<Operation name="o"/>'),
      /o stands twice in version B\.4\.0/,
    ],
    [
      'an operation without a letter',
      port('p', 21, '<Operation name="__1"/>'),
      /name __1 has to begin/,
    ],
    ['a name that is too long', port('p'.repeat(65), 21), /at most; rename it/],
    [
      'a version that is not there',
      specs(struct('S', 'type="ClInt8T"') + struct('T', 'type="S" version="6.0.0"')),
      /there is no S of version B\.6\.0, but of B\.4\.0/,
    ],
  ])('%s is refused with its place', (_name, text, message) => {
    const outcome = read(text.startsWith('<S') || /^<(Enum|Port)/.test(text) ? specs(text) : text)
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
      const write = (name: string, xml: string): void => {
        const text = generateModule(good(xml), [`${name}.xml\n`])
        expect(generateModule(good(xml), [`${name}.xml\n`])).toBe(text)
        const local = text.replace('holdfast/idl', '../../../../idl/index.ts')
        writeFileSync(join(directory, `${name}.ts`), local)
      }
      write('exchange', EXCHANGE)
      write('corners', `\uFEFF${CORNERS.replaceAll('\n', '\r\n')}`)
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
      await callOverSockets((await import(join(directory, 'corners.ts'))) as CornersModule)
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

interface CornersModule {
  readonly default_: Interface
  readonly second: Interface
}

/** One value at the lower end of what each type takes, and one at the upper end. */
const limits = [
  { int: -1, big: -(2n ** 63n), unsigned: 0, name: '', string: null, items: 0 },
  { int: 1, big: 2n ** 63n - 1n, unsigned: 1, name: 'é'.repeat(128), string: 'x\0y', items: 3 },
].map(({ int, big, unsigned, name, string, items }) => {
  const signed = (bits: number): number => (int < 0 ? -(2 ** (bits - 1)) : 2 ** (bits - 1) - 1)
  const top = (bits: number): number => unsigned * (2 ** bits - 1)
  const data = Array.from({ length: items }, (_, i) => ({
    index: 2 ** 32 - 1 - i,
    data: new Uint8Array(i),
  }))
  const md5 = new Uint8Array(16).fill(255 * unsigned)
  return {
    int8: signed(8),
    uint8: top(8),
    char: signed(8),
    int16: signed(16),
    uint16: top(16),
    int32: signed(32),
    uint32: top(32),
    int64: big,
    uint64: BigInt(unsigned) * (2n ** 64n - 1n),
    word: top(32),
    handle: BigInt(unsigned) * (2n ** 64n - 1n),
    name,
    string,
    version: { releaseCode: top(8), majorVersion: top(8), minorVersion: top(8) },
    md5,
    data,
    difference: { digests: data.map(() => md5), blocks: data },
  }
})

const leaf = (kind: string, value: unknown) => ({ kind, value })
const tree = (value: object, kids: object[] = []) => ({ value, kids, other: null })
const leaves = [
  leaf('int8', -128),
  leaf('big', 2n ** 64n - 1n),
  leaf('name', 'n'),
  leaf('text', null),
  leaf('digest', new Uint8Array(16)),
  leaf('state', -2_147_483_648),
  leaf('struct', { constructor: 0x7fff_ffff, typeof: 255, new: '' }),
  leaf('inner', leaf('inner', null)),
  leaf('list', [tree(leaf('int8', 1))]),
]
const shapes = [
  {
    arrays: {
      rows: [{ row: [1, -2, 3] }, { row: [0, 0, 2_147_483_647] }],
      more: [{ row: [4, 5, 6] }],
      text: new Uint8Array([1, 2]),
      pairs: [-(2n ** 63n)],
    },
    tree: {
      ...tree(
        leaf('name', 'root'),
        leaves.map((each) => tree(each)),
      ),
      other: { tree: null },
    },
    buffer: new Uint8Array(70_000).fill(7),
  },
  {
    arrays: {
      rows: [{ row: [1, 2, 3] }, { row: [1, 2, 3] }],
      more: [],
      text: new Uint8Array(4),
      pairs: [],
    },
    tree: null,
    buffer: new Uint8Array(0),
  },
]

/** Each side is client and server of the other; what comes in goes out again. */
async function callOverSockets({ default_: face, second }: CornersModule): Promise<void> {
  const runDir = mkdtempSync(join(tmpdir(), 'hf-idl-'))
  const open: Rmd[] = []
  try {
    const sides = await Promise.all(
      [1, 2].map(async (node) => {
        const port = await openPort({
          transport: unixTransport({ runDir }),
          node,
          port: 0,
          name: 'p',
        })
        const rmd = createRmd({ port })
        open.push(rmd)
        rmd.serve((call) => {
          const table = [face, second].find(({ clientId }) => clientId === call.functionNumber >> 6)
          const method = Object.values(table?.methods ?? {}).find(
            ({ functionNumber }) => functionNumber === call.functionNumber,
          )
          call.reply(method!.output.encode(method!.input.decode(call.payload) as never))
        })
        return { rmd, to: `${node}:${port.address.port}` }
      }),
    )
    const [one, other] = sides as [(typeof sides)[0], (typeof sides)[0]]
    for (const { rmd, to } of [
      { rmd: one.rmd, to: other.to },
      { rmd: other.rmd, to: one.to },
    ]) {
      const client = rmd.client(face, { to }) as unknown as Record<'all' | 'shapes', Echo>
      for (const value of limits) expect(await client.all(value)).toStrictEqual(value)
      for (const value of shapes) expect(await client.shapes(value)).toStrictEqual(value)
      const removed = rmd.client(second, { to }) as unknown as Record<'delete', Echo>
      expect(await removed.delete({})).toStrictEqual({})
      for (const [key, value] of Object.entries({
        int8: 128,
        int64: 2n ** 63n,
        name: 'x'.repeat(257),
      })) {
        const wrong = client.all({ ...limits[0]!, [key]: value })
        await expect(wrong).rejects.toThrow(new RegExp(`all input: ${key}: `))
      }
    }
  } finally {
    await Promise.all(open.map((rmd) => rmd.close()))
    rmSync(runDir, { recursive: true })
  }
}

type Echo = (value: object) => Promise<object>

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
