import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { importModel, type ImportResult } from '../../../amf/model/import/import-model.ts'
import { assignNames } from '../../../amf/model/import/names.ts'
import { parseImmName } from '../../../amf/model/import/imm-name.ts'
import { XML_LIMITS } from '../../../idl/internal.ts'
import type { Model } from '../../../amf/model/model.ts'
import { modelOf } from '../engine/models.ts'

const HERE = dirname(fileURLToPath(import.meta.url))
const FIXTURES = join(HERE, '..', '..', 'fixtures', 'import')
const DATA = join(HERE, '..', '..', '..', '..', 'shared', 'data')

function read(folder: string, ...files: string[]): ImportResult {
  return importModel(
    files.map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') })),
  )
}

/** What was imported, after `cluster.yaml` was read as everything else reads it. */
function modelFrom(result: ImportResult): Model {
  expect(result.errors).toEqual([])
  return modelOf(result.yaml ?? '')
}

/** One file of IMM objects: `class name { attribute=value; ... }` each. */
function imm(...objects: string[]): string {
  const one = (text: string): string => {
    const [, className = '', name = '', body = ''] = /^(\w+) (\S+)(?: \{(.*)\})?$/.exec(text) ?? []
    const attributes = body
      .split(';')
      .filter((part) => part.trim() !== '')
      .map((part) => {
        const [, attribute = '', values = ''] = /^\s*(\w+): (.*)$/.exec(part) ?? []
        const list = values.split(' | ').map((value) => `<value>${value.trim()}</value>`)
        return `<attr><name>${attribute}</name>${list.join('')}</attr>`
      })
    return `<object class="${className}"><dn>${name}</dn>${attributes.join('')}</object>`
  }
  return `<imm:IMM-contents xmlns:imm="x">\n${objects.map(one).join('\n')}\n</imm:IMM-contents>`
}

/** The least that is a whole application: one 2N pair. */
const PAIR = [
  'SaAmfAppBaseType safAppType=T',
  'SaAmfAppType safVersion=1,safAppType=T',
  'SaAmfSGBaseType safSgType=T',
  'SaAmfSGType safVersion=1,safSgType=T { saAmfSgtRedundancyModel: 1 }',
  'SaAmfSUBaseType safSuType=T',
  'SaAmfSUType safVersion=1,safSuType=T',
  'SaAmfCompBaseType safCompType=T',
  'SaAmfCompType safVersion=1,safCompType=T { saAmfCtCompCategory: 1; saAmfCtRelPathInstantiateCmd: /bin/true }',
  'SaAmfSvcBaseType safSvcType=T',
  'SaAmfSvcType safVersion=1,safSvcType=T',
  'SaAmfCSBaseType safCSType=T',
  'SaAmfCSType safVersion=1,safCSType=T',
  'SaAmfApplication safApp=A { saAmfAppType: safVersion=1,safAppType=T }',
  'SaAmfSG safSg=G,safApp=A { saAmfSGType: safVersion=1,safSgType=T }',
  'SaAmfSU safSu=U1,safSg=G,safApp=A { saAmfSUType: safVersion=1,safSuType=T; saAmfSUHostNodeOrNodeGroup: safAmfNode=N1,safAmfCluster=K }',
  'SaAmfSU safSu=U2,safSg=G,safApp=A { saAmfSUType: safVersion=1,safSuType=T; saAmfSUHostNodeOrNodeGroup: safAmfNode=N2,safAmfCluster=K }',
  'SaAmfComp safComp=C,safSu=U1,safSg=G,safApp=A { saAmfCompType: safVersion=1,safCompType=T }',
  'SaAmfComp safComp=C,safSu=U2,safSg=G,safApp=A { saAmfCompType: safVersion=1,safCompType=T }',
  'SaAmfSI safSi=S,safApp=A { saAmfSvcType: safVersion=1,safSvcType=T; saAmfSIProtectedbySG: safSg=G,safApp=A }',
  'SaAmfCSI safCsi=I,safSi=S,safApp=A { saAmfCSType: safVersion=1,safCSType=T }',
]

/** The pair with the object that starts with `start` replaced (or left out), and others added. */
function pair(start: string, replacement: string | null, ...more: string[]): ImportResult {
  const objects = PAIR.flatMap((text) =>
    text.startsWith(start) ? (replacement === null ? [] : [replacement]) : [text],
  )
  return importModel([{ file: 'pair.xml', text: imm(...objects, ...more) }])
}

describe('OpenSAF', () => {
  test('a whole application with its cluster', async () => {
    const result = read(FIXTURES, 'nodes.xml', 'mill.xml')
    const model = modelFrom(result)
    await expect(result.yaml).toMatchFileSnapshot(join(FIXTURES, 'mill.cluster.yaml'))
    expect(model.startupTimeoutMs).toBe(3_000)
    expect(model.nodes.get('east')).toMatchObject({ suFailoverMax: 4, suFailoverWindowMs: 90_000 })
    expect(model.serviceUnits.get('SU1')).toMatchObject({ node: 'west', rank: 1, failover: true })
    // Its node group leaves east, and its rank is the class's default.
    expect(model.serviceUnits.get('SU2')).toMatchObject({ node: 'east', rank: 7, failover: false })
    expect(model.components.get('wheel-1')).toMatchObject({
      instantiate: { argv: ['/opt/west/bin/wheel', 'run', '--slow', 'one'], timeoutMs: 7_000 },
      env: { GRIT: 'coarse' },
      csiSetTimeoutMs: 2_000,
      csTypes: [{ csType: 'grind', maxActive: 3, maxStandby: 0 }],
    })
    expect(model.components.get('wheel-2')).toMatchObject({
      recovery: 'nodeFailover',
      csTypes: [{ csType: 'grind', maxActive: 2, maxStandby: 0 }],
    })
    expect(model.serviceInstances.get('wheat')).toMatchObject({
      preferredActive: 2,
      rankedSUs: ['SU2', 'SU1'],
    })
    expect(model.serviceInstances.get('rye')?.dependsOn).toEqual([
      { serviceInstance: 'wheat', toleranceMs: 750 },
    ])
    expect(model.csis.get('turn-wheat')?.attributes).toEqual({ speed: ['40', '60'] })
    expect(model.csis.get('bag')?.dependsOn).toEqual(['turn-wheat'])
  })

  test('what has no counterpart is listed with its place, once', () => {
    const { notes } = read(FIXTURES, 'nodes.xml', 'mill.xml')
    const told = notes.map(
      ({ file, line, attribute }) => `${file}:${String(line)} ${attribute ?? ''}`,
    )
    expect(new Set(told).size).toBe(told.length)
    expect(told).toContain('nodes.xml:22 saAmfNodeCapacity')
    expect(told).toContain('nodes.xml:27 saAmfNodeSuFailOverProb')
    expect(told).toContain('mill.xml:45 saAmfCtMadeUp')
    expect(told).toContain('mill.xml:146 ')
    const madeUp = notes.find(({ attribute }) => attribute === 'saAmfCtMadeUp')
    expect(madeUp?.message).toContain('x < y')
  })

  test('the least application', () => {
    const model = modelFrom(pair('nothing', null))
    expect([...model.nodes.keys()]).toEqual(['N1', 'N2'])
    expect([...model.components.keys()].sort()).toEqual(['C-U1', 'C-U2'])
  })

  test.each([
    ['a type that is not there', 'SaAmfSUType', null, 'safVersion=1,safSuType=T is in none'],
    ['a parent that is not there', 'SaAmfApplication', null, 'its parent safApp=A is in none'],
    [
      'two nodes',
      'SaAmfSU safSu=U1',
      'SaAmfSU safSu=U1,safSg=G,safApp=A { saAmfSUType: safVersion=1,safSuType=T; saAmfSUHostNodeOrNodeGroup: safAmfNode=N1,safAmfCluster=K | safAmfNode=N2,safAmfCluster=K }',
      'has 2 values',
    ],
    [
      'no node at all',
      'SaAmfSU safSu=U1',
      'SaAmfSU safSu=U1,safSg=G,safApp=A { saAmfSUType: safVersion=1,safSuType=T }',
      'name a node',
    ],
    [
      'an unknown redundancy model',
      'SaAmfSGType',
      'SaAmfSGType safVersion=1,safSgType=T { saAmfSgtRedundancyModel: 9 }',
      '"9" is none of its values',
    ],
    [
      'a word where a number belongs',
      'SaAmfSI ',
      'SaAmfSI safSi=S,safApp=A { saAmfSvcType: safVersion=1,safSvcType=T; saAmfSIProtectedbySG: safSg=G,safApp=A; saAmfSIRank: high }',
      '"high" is no number',
    ],
    [
      'a parent of another class',
      'SaAmfCSI',
      'SaAmfCSI safCsi=I,safSg=G,safApp=A { saAmfCSType: safVersion=1,safCSType=T }',
      'the parent of a SaAmfCSI is a SaAmfSI',
    ],
    [
      'a reference to another class',
      'SaAmfSI ',
      'SaAmfSI safSi=S,safApp=A { saAmfSvcType: safVersion=1,safSvcType=T; saAmfSIProtectedbySG: safApp=A }',
      'safApp=A is a SaAmfApplication, not a SaAmfSG',
    ],
    [
      'a type that its type excludes',
      'SaAmfSGType',
      'SaAmfSGType safVersion=1,safSgType=T { saAmfSgtRedundancyModel: 1; saAmfSgtValidSuTypes: safVersion=2,safSuType=T }',
      'does not allow safVersion=1,safSuType=T',
    ],
    [
      'an impossible category',
      'SaAmfCompType',
      'SaAmfCompType safVersion=1,safCompType=T { saAmfCtCompCategory: 0x44; saAmfCtRelPathInstantiateCmd: /bin/true }',
      '68 is no category',
    ],
  ])('%s is an error with its place', (_title, start, replacement, message) => {
    const { errors, yaml } = pair(start, replacement)
    expect(yaml).toBeNull()
    const found = errors.find((error) => error.message.includes(message))
    expect(found, JSON.stringify(errors)).toBeDefined()
    expect(found?.file).toBe('pair.xml')
    expect(found?.line).toBeGreaterThan(1)
  })

  test('a program without callbacks, by its commands', () => {
    const type =
      'SaAmfCompType safVersion=1,safCompType=T { saAmfCtCompCategory: 8; saAmfCtRelPathInstantiateCmd: /i start; saAmfCtRelPathTerminateCmd: /i stop; saAmfCtRelPathCleanupCmd: /c; saAmfCtRelPathAmStartCmd: /watch; saAmfCtRelPathAmStopCmd: /unwatch; saAmfCtDefClcCliTimeout: 3000000000 }'
    const model = modelFrom(pair('SaAmfCompType', type))
    expect(model.components.get('C-U1')).toMatchObject({
      category: 'nonSaAware',
      foreground: false,
      instantiate: { argv: ['/i', 'start'], timeoutMs: 3_000 },
      terminate: { argv: ['/i', 'stop'], timeoutMs: 3_000 },
      cleanup: { argv: ['/c'] },
      amStart: { argv: ['/watch'] },
      amStop: { argv: ['/unwatch'] },
    })
    expect(model.warnings.join()).not.toContain('nobody sees its end')
  })

  const proxied = (attributes: string): string[] => [
    'SaAmfCompBaseType safCompType=X',
    'SaAmfCompType safVersion=1,safCompType=X { saAmfCtCompCategory: 72; saAmfCtRelPathCleanupCmd: /c }',
    'SaAmfSG safSg=P,safApp=A { saAmfSGType: safVersion=1,safSgType=T }',
    'SaAmfSU safSu=U3,safSg=P,safApp=A { saAmfSUType: safVersion=1,safSuType=T; saAmfSUHostNodeOrNodeGroup: safAmfNode=N1,safAmfCluster=K }',
    `SaAmfComp safComp=D,safSu=U3,safSg=P,safApp=A { saAmfCompType: safVersion=1,safCompType=X${attributes} }`,
  ]

  test('a proxied component by the CSI of its proxy', () => {
    const result = pair(
      'nothing',
      null,
      ...proxied('; saAmfCompProxyCsi: safCsi=I,safSi=S,safApp=A'),
    )
    expect(modelFrom(result).components.get('D')).toMatchObject({
      category: 'proxied',
      preInstantiable: false,
      mediation: { kind: 'proxied', csi: 'I' },
    })
    expect(result.notes.map(({ message }) => message)).toContain(
      'its proxy or container does this; left out',
    )
  })

  test('a proxied component that names no proxy is left out, with what is left of its group', () => {
    const result = pair('nothing', null, ...proxied(''))
    const model = modelFrom(result)
    expect([...model.serviceGroups.keys()]).toEqual(['G'])
    const told = result.notes.map(({ object, message }) => `${object ?? ''}: ${message}`).join('\n')
    expect(told).toContain('safComp=D,safSu=U3,safSg=P,safApp=A: has no saAmfCompProxyCsi')
    expect(told).toContain('safSu=U3,safSg=P,safApp=A: has no component; left out')
    expect(told).toContain('safSg=P,safApp=A: has no service unit with a component; left out')
  })

  test('duplicates and circles are errors', () => {
    const csi = (name: string, on: string): string =>
      `SaAmfCSI safCsi=${name},safSi=S,safApp=A { saAmfCSType: safVersion=1,safCSType=T; saAmfCSIDependencies: safCsi=${on},safSi=S,safApp=A }`
    const twice = pair('nothing', null, 'SaAmfApplication safApp=A')
    expect(twice.errors.map(({ message }) => message)).toEqual([
      'is there twice: first in pair.xml:14',
    ])
    const circle = pair('SaAmfCSI', csi('I', 'J'), csi('J', 'I'))
    expect(circle.errors[0]?.message).toContain('depends on itself')
    expect(circle.errors[0]?.object).toContain('SaAmfCSI safCsi=')
  })

  test('an attribute that the class definition does not have is an error', () => {
    const text = readFileSync(join(FIXTURES, 'nodes.xml'), 'utf8')
    const unit = PAIR.map((each) => each.replace('saAmfSUType: ', 'saAmfSUTyp: x; saAmfSUType: '))
    const { errors } = importModel([
      { file: 'nodes.xml', text },
      { file: 'pair.xml', text: imm(...unit) },
    ])
    expect(errors.map(({ attribute }) => attribute)).toEqual(['saAmfSUTyp', 'saAmfSUTyp'])
    expect(errors[0]?.message).toContain('nodes.xml:3')
  })
})

describe('SAFplus', () => {
  test('definitions and instances together', async () => {
    const result = read(FIXTURES, 'clAmfConfig.xml', 'clAmfDefinitions.xml')
    const model = modelFrom(result)
    await expect(result.yaml).toMatchFileSnapshot(join(FIXTURES, 'safplus.cluster.yaml'))
    expect(model.serviceGroups.get('mail')).toMatchObject({
      redundancy: 'N+M',
      adminState: 'LOCKED',
      autoAdjust: true,
      maxStandbySIsPerSU: 3,
      // Defaults of SAFplus, not of Holdfast.
      componentRestartMax: 5,
      suRestartWindowMs: 20_000,
    })
    expect(model.components.get('postman0')).toMatchObject({
      node: 'blade0',
      csiSetTimeoutMs: 1_234,
      csiRemoveTimeoutMs: 20_000,
      recovery: 'nodeSwitchover',
      disableRestart: true,
      csTypes: [{ csType: 'letters', maxActive: 1, maxStandby: 5 }],
    })
    expect(model.csis.get('carry')).toMatchObject({
      dependsOn: ['sort'],
      attributes: { town: ['A', 'B'] },
    })
    expect(result.notes.some(({ object }) => object === 'cpmConfig blade')).toBe(true)
  })

  test.each([
    ['a unit on two nodes', 'name="mailSU1"', 'name="mailSU0"', 'is there twice'],
    ['an unknown type', 'type="postman"', 'type="postmen"', 'compType postmen is in none'],
    ['an unknown unit', '>mailSU1<', '>mailSU9<', 'mailSU9 is on no node'],
    ['an unknown sponsor', 'serviceInstance="inbound"', 'serviceInstance="x"', 'x is in none'],
  ])('%s is an error', (_title, from, to, message) => {
    const text = readFileSync(join(FIXTURES, 'clAmfConfig.xml'), 'utf8').replace(from, to)
    const definitions = readFileSync(join(FIXTURES, 'clAmfDefinitions.xml'), 'utf8')
    const { errors } = importModel([
      { file: 'config.xml', text },
      { file: 'definitions.xml', text: definitions },
    ])
    expect(errors.map((error) => error.message).join()).toContain(message)
    expect(errors.every(({ line }) => line > 1)).toBe(true)
  })

  test('an enumeration word that does not exist', () => {
    const definitions = readFileSync(join(FIXTURES, 'clAmfDefinitions.xml'), 'utf8')
    const { errors } = importModel([
      { file: 'c.xml', text: readFileSync(join(FIXTURES, 'clAmfConfig.xml'), 'utf8') },
      { file: 'd.xml', text: definitions.replace('MODEL_M_PLUS_N', 'MODEL_CUSTOM') },
    ])
    expect(errors[0]).toMatchObject({ file: 'd.xml', line: 14, attribute: 'redundancyModel' })
  })
})

describe('XML that is no model', () => {
  const errorOf = (text: string): string => {
    const { yaml, errors } = importModel([{ file: 'x.xml', text }])
    expect(yaml).toBeNull()
    expect(errors).toHaveLength(1)
    return `${String(errors[0]?.line)}: ${errors[0]?.message ?? ''}`
  }

  test('a billion laughs are refused unread', () => {
    const entities = Array.from(
      { length: 30 },
      (_, n) => `<!ENTITY l${String(n + 1)} "${`&l${String(n)};`.repeat(10)}">`,
    )
    const bomb = `<?xml version="1.0"?>\n<!-- <x> -->\n<!DOCTYPE a [<!ENTITY l0 "ha">${entities.join('')}]>\n<IMM-contents>&l30;</IMM-contents>`
    expect(errorOf(bomb)).toContain('3: a document type definition')
  })

  test('external entities are refused', () => {
    const text =
      '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><IMM-contents>&x;</IMM-contents>'
    expect(errorOf(text)).toContain('document type definition')
  })

  test('an unknown reference stays text', () => {
    const extra = '<attr><name>made</name><value>&nope; &#65;&amp;b</value></attr></object>'
    const text = imm(...PAIR).replace('</object>', extra)
    const { notes } = importModel([{ file: 'x.xml', text }])
    expect(notes.map(({ message }) => message).join()).toContain('&nope; A&b')
  })

  test.each([
    ['<a>', 'malformed XML'],
    ['<a></b>', 'malformed XML'],
    ['<a/><b/>', 'second root element'],
    ['<!-- nothing -->', 'XML'],
    ['{}', 'is no model; can be read'],
    ['', 'is no model'],
    ['<html/>', '<html> is no model that can be read'],
    ['<openClovisAsp><version><x/></version></openClovisAsp>', 'no model that can be read'],
    [`${'<a>'.repeat(200)}${'</a>'.repeat(200)}`, 'cannot be read'],
    [`<IMM-contents>${' '.repeat(XML_LIMITS.bytesMax)}</IMM-contents>`, 'is larger than 32 MiB'],
  ])('%.30s', (text, message) => {
    expect(errorOf(text)).toContain(message)
  })

  test('no text makes it throw', () => {
    const pieces = [
      '<',
      '>',
      '/',
      '"',
      '=',
      'IMM-contents',
      'object',
      ' class',
      '<dn>',
      '&#',
      ']]>',
    ]
    const whole = imm(...PAIR)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((list) => list.join('')),
          fc
            .tuple(fc.nat(whole.length), fc.nat(60), fc.constantFrom(...pieces, ''))
            .map(([at, cut, put]) => whole.slice(0, at) + put + whole.slice(at + cut)),
        ),
        (text) => {
          const { yaml, errors } = importModel([{ file: 'x.xml', text }])
          expect(yaml === null).toBe(errors.length > 0)
          if (yaml !== null) modelOf(yaml)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('names', () => {
  test('a distinguished name with escaped commas', () => {
    expect(parseImmName('safDepend=safSi=A\\,safApp=B,safSi=C,safApp=B')).toEqual({
      text: 'safDepend=safSi=A\\,safApp=B,safSi=C,safApp=B',
      type: 'safDepend',
      value: 'safSi=A,safApp=B',
      parent: 'safSi=C,safApp=B',
    })
    expect(parseImmName('nonsense')).toBeNull()
    expect(parseImmName('a=b,,c=d')).toBeNull()
  })

  test('are valid and unique whatever the sources call things', () => {
    const entity = fc.record({
      kind: fc.constantFrom('node', 'SG', 'SU', 'Comp', 'SI', 'CSI'),
      value: fc.oneof(fc.constantFrom('a', '1', 'A b', ''), fc.string({ maxLength: 90 })),
      within: fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }),
    })
    fc.assert(
      fc.property(fc.array(entity, { maxLength: 30 }), (entities) => {
        const names = assignNames(
          entities.map((each, id) => ({ ...each, id: String(id) }) as const),
        )
        expect(names.size).toBe(entities.length)
        expect(new Set(names.values()).size).toBe(entities.length)
        for (const name of names.values()) expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)
      }),
    )
  })
})

describe.runIf(existsSync(DATA))('models that others ship', () => {
  const folder = (name: string): string[] =>
    existsSync(join(DATA, name)) ? readdirSync(join(DATA, name)).map((f) => join(name, f)) : []
  const alone = ['models', 'legacy', 'middleware', 'campaigns', 'schema'].flatMap((name) =>
    folder(join('opensaf', name)),
  )
  const pairs = folder(join('safplus', 'models')).map((name) =>
    ['clAmfConfig.xml', 'clAmfDefinitions.xml'].map((file) => join(name, file)),
  )
  const together = ['AppConfig-2N.xml', 'AppConfig-nwayactive.xml', 'proxied.xml', 'proxy.xml']
    .map((file) => join('opensaf', 'models', file))
    .concat(folder(join('opensaf', 'middleware')), folder(join('opensaf', 'schema')))

  test.each([...alone.map((file) => [file]), ...pairs, together])('%s', (...files) => {
    const result = read(DATA, ...files)
    const model = modelFrom(result)
    expect(model.nodes.size).toBeGreaterThan(0)
    expect(result.notes.every(({ line }) => line >= 1)).toBe(true)
  })
})
