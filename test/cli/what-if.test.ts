import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCommandLine } from '../../amf/cli/program.ts'

const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), '..', 'fixtures', 'import')
const MODEL = `
cluster: pair
nodes: { n1: {}, n2: {} }
componentTypes: { t: { command: [/no/such/program] } }
serviceGroups:
  g:
    redundancy: 2N
    serviceUnits:
      u1: { node: n1, rank: 1, components: { c1: t } }
      u2: { node: n2, components: { c2: t } }
    serviceInstances: { s: { csis: { x: {} } } }
`
let dir = ''

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hf-cli-'))
  writeFileSync(join(dir, 'pair.yaml'), MODEL)
  writeFileSync(join(dir, 'lone.yaml'), MODEL.replace(/ +u2.*\n/, ''))
})
afterAll(() => rmSync(dir, { recursive: true }))

async function holdfast(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const code = await runCommandLine(argv, {
    env: {},
    stdout: (text) => void (out += text),
    stderr: (text) => void (err += text),
    isTerminal: false,
    signal: new AbortController().signal,
  })
  return { code, out, err }
}

describe('simulate', () => {
  const model = (name = 'pair'): string => join(dir, `${name}.yaml`)

  test('a timeline, outages and final assignments', async () => {
    const { code, out } = await holdfast('simulate', model(), '--fail', 'u1', '--at', '6s')
    expect(code).toBe(0)
    await expect(out).toMatchFileSnapshot(join(FIXTURES, '..', 'simulate', 'fail-u1.txt'))
  })

  test('--at is for the action before it, options and script come together', async () => {
    writeFileSync(join(dir, 'script.yaml'), '- { at: 4s, lock: u2 }\n')
    const words = ['--fail', 'c1', '--at', '6s', '--repair', 'u1', '--json', '--until', '9s']
    const { code, out } = await holdfast('simulate', model(), join(dir, 'script.yaml'), ...words)
    expect(code).toBe(0)
    const { timeline, endMs } = JSON.parse(out) as {
      timeline: { atMs: number; kind: string; to: string }[]
      endMs: number
    }
    const actions = timeline.filter(({ kind }) => kind === 'action')
    expect(actions.map(({ atMs, to }) => `${String(atMs)} ${to}`)).toEqual([
      '4000 operator: lock u2',
      '6000 c1 dies',
      '7000 operator: repair u1',
    ])
    expect(endMs).toBe(9_000)
  })

  test('durations are options', async () => {
    const times = ['--launch-ms', '1000', '--callback-ms', '7', '--json']
    const { out } = await holdfast('simulate', model(), ...times)
    expect(JSON.parse(out)).toMatchObject({ settledMs: 1_014 })
  })

  test('--single-failures ends with 1 when a service is lost, still with one document', async () => {
    expect(await holdfast('simulate', model(), '--single-failures')).toMatchObject({ code: 0 })
    const lone = await holdfast('simulate', model('lone'), '--single-failures', '--json')
    expect(lone.code).toBe(1)
    const { failures } = JSON.parse(lone.out) as { failures: { entity: string }[] }
    expect(failures.map(({ entity }) => entity)).toEqual(['c1', 'u1', 'n1', 'n2'])
    const text = await holdfast('simulate', model('lone'), '--single-failures')
    expect(text.out).toMatch(/n1 +node +s +LOST FOR GOOD/)
    expect(text.err).toContain('lose service for good')
  })

  test('--random judges and names its seed', async () => {
    const { code, out } = await holdfast('simulate', model(), '--random', '60', '--seed', '5')
    expect(code).toBe(0)
    expect(out).toContain('seed 5: 60 actions')
    expect(out).toContain('converged')
  })

  test.each([
    [['--fail', 'u9'], 3, 'there is no "u9"'],
    [['--fail', 's'], 2, 'cannot fail by itself'],
    [['--fail', 'u1', '--at', 'soon'], 2, 'must be a time'],
    [['--at', '5s'], 2, 'comes after the action'],
    [['--fail', 'u1', '--at', '9s', '--until', '5s'], 2, 'before the last action'],
    [['--single-failures', '--fail', 'u1'], 2, 'leave out the actions'],
    [['--random', 'many'], 2, 'whole number'],
    [['no-script.yaml'], 3, 'cannot read the script'],
  ])('%j', async (words, code, message) => {
    const result = await holdfast('simulate', model(), ...words)
    expect(result.code).toBe(code)
    expect(result.err).toContain(message)
  })

  test('a script that cannot be understood is a usage error with its line', async () => {
    writeFileSync(join(dir, 'bad.yaml'), '- { fail: u1 }\n- { fial: u1 }\n')
    const { code, err } = await holdfast('simulate', model(), join(dir, 'bad.yaml'))
    expect(code).toBe(2)
    expect(err).toContain('line 2: unknown key "fial"')
  })
})

describe('import', () => {
  const files = ['nodes.xml', 'mill.xml'].map((file) => join(FIXTURES, file))

  test('prints a model that check takes; absent programs are warnings', async () => {
    const path = join(dir, 'imported.yaml')
    const { code, out, err } = await holdfast('import', ...files, '--output', path)
    expect(code).toBe(0)
    expect(out).toBe('')
    expect(err).toContain(`${join(FIXTURES, 'mill.xml')}:45: SaAmfCompType`)
    const checked = await holdfast('check', path)
    expect(checked.code).toBe(0)
    expect(checked.out).toContain('program "/opt/west/bin/wheel" of wheel-1 is not on this machine')
    expect((await holdfast('import', ...files)).out).toBe(readFileSync(path, 'utf8'))
  })

  test('--json is one document', async () => {
    const { out } = await holdfast('import', ...files, '--json')
    const { model, notes } = JSON.parse(out) as { model: { cluster: string }; notes: unknown[] }
    expect(model.cluster).toBe('plant')
    expect(notes.length).toBeGreaterThan(5)
  })

  test('errors are listed, and no file is written', async () => {
    const path = join(dir, 'none.yaml')
    const { code, out, err } = await holdfast(
      'import',
      files[1] ?? '',
      files[1] ?? '',
      '--output',
      path,
    )
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/mill\.xml:\d+: SaAmfAppBaseType safAppType=mill: is there twice/)
    expect(() => readFileSync(path)).toThrow()
    expect((await holdfast('import', join(dir, 'absent.xml'))).code).toBe(3)
    expect((await holdfast('import')).code).toBe(2)
  })
})
