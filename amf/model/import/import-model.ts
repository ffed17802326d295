import { stringify } from 'yaml'
import { findProblems } from '../parse.ts'
import { pathText } from '../problem.ts'
import { compact, Draft, type ClusterDraft } from './draft.ts'
import { Findings, type Finding } from './findings.ts'
import { readImmFile } from './imm-file.ts'
import type { ClassDefinition, RawObject } from './imm-objects.ts'
import { importOpenAis } from './openais.ts'
import { isOpenAis, type OpenAisBlock, readOpenAis } from './openais-file.ts'
import { importLegacy } from './opensaf-legacy.ts'
import { importOpenSaf } from './opensaf.ts'
import { importSafplus } from './safplus.ts'
import { partOf } from './safplus-file.ts'
import { readCampaign } from './smf-campaign.ts'
import { readXml, XML_LIMITS, type XmlElement } from '../../../idl/internal.ts'

/** A file to import: its name as messages shall show it, and its text. */
export interface ImportSource {
  readonly file: string
  readonly text: string
}

export interface ImportResult {
  /** A `cluster.yaml`; null when `errors` is not empty. */
  readonly yaml: string | null
  /** The same as plain data. */
  readonly model: ClusterDraft | null
  /** What has no counterpart or was changed, with its place. */
  readonly notes: readonly Finding[]
  /** What contradicts itself or cannot be read. */
  readonly errors: readonly Finding[]
  /** Findings above the limit, which are not listed. */
  readonly unlisted: number
}

type Format = 'imm' | 'campaign' | 'legacy' | 'safplus' | 'openais'

const FORMATS = [
  'OpenSAF IMM XML (root IMM-contents)',
  'SMF campaigns (upgradeCampaign)',
  "OpenSAF's older APPConfig",
  'SAFplus clAmfConfig.xml with clAmfDefinitions.xml (openClovisAsp, amfConfig, amfTypes)',
  "OpenAIS's amf.conf (safAmfCluster)",
].join(', ')

/**
 * Turns models of OpenSAF, SAFplus or OpenAIS into the text of a `cluster.yaml` that `parseModel` accepts. Several
 * files are one model. Never throws for what is in the files: errors and notes have the file and line they are about.
 */
export function importModel(sources: readonly ImportSource[]): ImportResult {
  const findings = new Findings()
  const draft = new Draft(findings)
  const files = sources.flatMap((source) => readSource(source, findings))
  const formats = new Set(files.map(({ format }) => (format === 'campaign' ? 'imm' : format)))
  if (formats.size > 1) {
    const kinds = files.map(({ file, format }) => `${file} (${format})`).join(', ')
    const place = { file: files[0]?.file ?? '', line: 1 }
    findings.fileError(place, `files of different formats are no one model: ${kinds}`)
  } else {
    const xml = files.flatMap((each) => ('root' in each ? [each] : []))
    if (formats.has('imm')) importImm(xml, draft)
    if (formats.has('legacy')) importLegacy(xml, draft)
    if (formats.has('safplus')) importSafplus(xml, draft)
    if (formats.has('openais')) importConfs(files, draft)
  }
  if (Object.keys(draft.text.nodes).length === 0) {
    draft.text.nodes['node1'] = {}
    const place = { file: sources[0]?.file ?? '', line: 1, object: null, attribute: null }
    const message = 'no file names a node; node1 stands for one'
    findings.add({ ...place, level: 'note', message })
  }
  if (findings.of('error').length === 0) checkResult(draft)
  const errors = findings.of('error')
  const model = errors.length === 0 ? draft.text : null
  return {
    yaml: model && yamlOf(model, sources),
    model,
    notes: findings.of('note'),
    errors,
    unlisted: findings.dropped,
  }
}

interface XmlFile {
  readonly file: string
  readonly root: XmlElement
  readonly format: Exclude<Format, 'openais'>
}

interface ConfFile {
  readonly file: string
  readonly cluster: OpenAisBlock
  readonly format: 'openais'
}

type ReadFile = XmlFile | ConfFile

function readSource({ file, text }: ImportSource, findings: Findings): ReadFile[] {
  if (text.length > XML_LIMITS.bytesMax) {
    const limit = `${String(XML_LIMITS.bytesMax / 1024 / 1024)} MiB`
    findings.fileError({ file, line: 1 }, `is larger than ${limit}; split it`)
    return []
  }
  if (isOpenAis(text)) {
    const cluster = readOpenAis(text, file, findings)
    return cluster ? [{ file, cluster, format: 'openais' }] : []
  }
  if (!/^\uFEFF?\s*</.test(text)) {
    findings.fileError({ file, line: 1 }, `is no model; can be read: ${FORMATS}`)
    return []
  }
  const root = readXml(text, file, findings)
  if (!root) return []
  const format = formatOf(root)
  if (format !== null) return [{ file, root, format }]
  const message = `<${root.name}> is no model that can be read; these can: ${FORMATS}`
  findings.fileError({ file, line: root.line }, message)
  return []
}

function formatOf(root: XmlElement): XmlFile['format'] | null {
  if (root.name === 'IMM-contents') return 'imm'
  if (root.name === 'upgradeCampaign') return 'campaign'
  if (root.name === 'APPConfig') return 'legacy'
  return partOf(root) === null ? null : 'safplus'
}

function importImm(files: readonly XmlFile[], draft: Draft): void {
  const objects: RawObject[] = []
  const classes: ClassDefinition[] = []
  for (const { file, root, format } of files) {
    if (format === 'campaign') objects.push(...readCampaign(root, file, draft.findings))
    else {
      const read = readImmFile(root, file, draft.findings)
      objects.push(...read.objects)
      classes.push(...read.classes)
    }
  }
  importOpenSaf(objects, classes, draft)
}

/** One file is a whole cluster. */
function importConfs(files: readonly ReadFile[], draft: Draft): void {
  const [first, second] = files.flatMap((each) => ('cluster' in each ? [each] : []))
  if (second) draft.findings.fileError({ file: second.file, line: 1 }, 'is a second cluster')
  if (first) importOpenAis(first.cluster, draft)
}

/** What a `cluster.yaml` may not say was said by the sources: told with the place of the object it came from. */
function checkResult(draft: Draft): void {
  for (const { path, message } of findProblems(draft.text)) {
    const source = draft.sourceOf(path)
    const place = { file: source?.file ?? '', line: source?.line ?? 1 }
    const text = `${pathText(path)}: ${message}`
    const object = source?.label ?? null
    draft.findings.add({ ...place, level: 'error', object, attribute: null, message: text })
  }
}

function yamlOf(model: ClusterDraft, sources: readonly ImportSource[]): string {
  const from = sources.map(({ file }) => `# Imported from ${file.replace(/[^\x20-\x7e]/g, '?')}`)
  const { cluster, adminState, startupTimeoutMs, serviceGroups, ...rest } = model
  const whole = { ...compact({ cluster, adminState, startupTimeoutMs, ...rest }), serviceGroups }
  return `${from.join('\n')}\n${stringify(whole, { lineWidth: 100 })}`
}
