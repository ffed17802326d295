import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { importModel, type ImportResult } from '../../../amf/model/import/import-model.ts'
import { modelOf } from '../engine/models.ts'

const HERE = dirname(fileURLToPath(import.meta.url))
const FIXTURES = join(HERE, '..', '..', 'fixtures', 'import')
const BELL = readFileSync(join(FIXTURES, 'bell.conf'), 'utf8')
const EXAMPLE = join(
  ...[HERE, '..', '..', '..', '..', 'shared', 'data', 'opensaf', 'openais', 'amf.conf.example'],
)

function read(text: string): ImportResult {
  return importModel([{ file: 'amf.conf', text }])
}

const PROXY = `
safApp = TELLERS {
  safSg = T {
    saAmfSGRedundancyModel=2n
    safSu = T1 {
      saAmfSUHostedByNode=east
      safComp = teller {
        saAmfCompCategory=proxy
        saAmfCompInstantiateCmd=/bin/teller
      }
    }
  }
  safSi = TELLING {
    safCsi = tell {
      saAmfCSTypeName=telling
    }
  }
}
}`

/** Line of the first line of the fixture that contains `text`. */
function lineOf(text: string): number {
  return BELL.split('\n').findIndex((line) => line.includes(text)) + 1
}

describe('an amf.conf of OpenAIS', () => {
  test('a whole cluster', async () => {
    const result = importModel([{ file: 'bell.conf', text: BELL }])
    expect(result.errors).toEqual([])
    await expect(result.yaml).toMatchFileSnapshot(join(FIXTURES, 'bell.cluster.yaml'))
    const model = modelOf(result.yaml ?? '')
    expect(model.components.get('ringer-R1')).toMatchObject({
      node: 'east',
      instantiate: { argv: ['/opt/bell/bin/ringer', '--east'] },
      csiSetTimeoutMs: 700,
      recovery: 'componentFailover',
      csTypes: [{ csType: 'ring', maxActive: 1, maxStandby: 1 }],
    })
    expect(model.components.get('clapper')).toMatchObject({
      category: 'nonSaAware',
      terminate: { argv: ['/opt/bell/bin/stop'], timeoutMs: 900 },
      disableRestart: true,
    })
    expect(model.serviceInstances.get('HOURS')).toMatchObject({
      rank: 2,
      dependsOn: [{ serviceInstance: 'QUARTERS', toleranceMs: 1_500 }],
    })
    expect(model.serviceInstances.get('QUARTERS')?.rankedSUs).toEqual(['R2'])
    expect(model.csis.get('half')?.dependsOn).toEqual(['quarter'])
    expect(model.csis.get('hour')?.attributes).toEqual({ tone: ['deep', 'loud'] })
  })

  test.each([
    ['saAmfClusterClmCluster', 'has no counterpart (town)'],
    ['saAmfSGMaxActiveSIsperSUs', 'has no effect in 2N'],
    ['ROPE=long', 'is not NAME=VALUE'],
    ['safAmfCSAttrName', 'names of CSI attributes are not checked'],
  ])('%s is noted with its line', (where, message) => {
    const found = read(BELL).notes.find((note) => note.message.includes(message))
    expect(found).toMatchObject({ file: 'amf.conf', line: lineOf(where) })
  })

  test('a component with a proxy is told by it', () => {
    const proxied = BELL.replace(
      'saAmfCompCategory=local',
      'saAmfCompCategory=proxy\nsaAmfCompProxyCsi=tell',
    ).replace(/\}\s*$/, PROXY)
    const result = read(proxied)
    expect(result.errors).toEqual([])
    expect(modelOf(result.yaml ?? '').components.get('clapper')).toMatchObject({
      category: 'proxied',
      mediation: { csi: 'tell' },
    })
    expect(result.notes.map(({ message }) => message)).toContain('its proxy does this; left out')
  })

  test.each([
    ['another node', '=west\n', '=north\n', 'node north is not in the file'],
    ['another model', '=2n', '=3n', '"3n" is none of its values'],
    ['no model', 'saAmfSGRedundancyModel=2n', '', 'is missing'],
    ['a unit twice', 'safSu = R2', 'safSu = R1', 'is there twice'],
    ['another sponsor', 'safDepend = QUARTERS', 'safDepend = NOON', 'NOON is not in the file'],
    ['another rank', 'safRankedSu = R2', 'safRankedSu = R7', 'R7 is not in the file'],
    ['no CS type', 'saAmfCSTypeName = ring', '', 'is missing'],
    ['two groups', '		safSi = HOURS', 'safSg = X {\n}\nsafSi = HOURS', '2 service groups'],
    ['a number', 'saAmfSIRank=2', 'saAmfSIRank=first', '"first" is no number'],
    ['a block of another kind', 'safDepend = QUARTERS {', 'QUARTERS', 'neither'],
    ['one bracket less', /\}\s*$/, '', 'safAmfCluster BELFRY has no }'],
    ['one bracket more', /$/, '}', 'a } without its {'],
    ['a second cluster', /$/, 'safAmfCluster = X {\n}', 'a second cluster'],
    ['a line outside', /$/, 'x = 1', 'stands outside'],
    ['a block in a list', 'ROPE=long', 'safSu = X {', 'cannot stand here'],
    ['a plain word', 'saAmfSGRedundancyModel=2n', 'hello', '"hello" is neither'],
  ])('%s is an error with its line', (_title, from, to, message) => {
    const { errors, yaml } = read(BELL.replace(from, to))
    expect(yaml).toBeNull()
    expect(errors.map((each) => each.message).join('\n')).toContain(message)
    expect(errors.every(({ line }) => line > 1)).toBe(true)
  })

  test('a wrong value is not missing as well', () => {
    const { errors } = read(BELL.replace('=2n', '=3n'))
    const messages = errors.map(({ message }) => message)
    expect(messages.filter((message) => message === 'is missing')).toEqual([])
  })

  test('two files are no one cluster', () => {
    const { errors } = importModel(['a', 'b'].map((file) => ({ file, text: BELL })))
    expect(errors).toMatchObject([{ file: 'b', message: 'is a second cluster' }])
  })

  test('no text makes it throw', () => {
    const lines = BELL.split('\n')
    fc.assert(
      fc.property(fc.nat(lines.length), fc.nat(4), fc.nat(lines.length), (at, cut, from) => {
        const put = lines.slice(from, from + 1)
        const text = [...lines.slice(0, at), ...put, ...lines.slice(at + cut)].join('\n')
        const { yaml, errors } = read(text)
        expect(yaml === null).toBe(errors.length > 0)
        if (yaml !== null) modelOf(yaml)
      }),
      { numRuns: 300 },
    )
  })

  test.runIf(existsSync(EXAMPLE))('one that others ship', () => {
    const result = read(readFileSync(EXAMPLE, 'utf8'))
    expect(result.errors).toEqual([])
    expect(modelOf(result.yaml ?? '').components.size).toBe(4)
  })
})
