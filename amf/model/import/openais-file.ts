import type { Findings } from './findings.ts'
import { SourceObject } from './source-object.ts'

/** One block of an `amf.conf`: `CLASS = NAME { ... }`, or `CLASS { ... }` without a name. */
export interface OpenAisBlock {
  /** The class, such as `safSg`. */
  readonly kind: string
  readonly name: string
  /** Attributes of the block; a list block's lines are values of the attribute that is named after it. */
  readonly source: SourceObject
  readonly children: readonly OpenAisBlock[]
}

/** Blocks that are lists: their lines are values of one attribute, or of one name. */
const LISTS = new Set([
  'saAmfCompCsTypes',
  'saAmfCompCmdEnv',
  'saAmfCsiDependencies',
  'safCSIAttr',
  'safCSType',
])
const DEPTH_MAX = 16

interface OpenBlock extends OpenAisBlock {
  readonly children: OpenAisBlock[]
  readonly line: number
}

/** True for texts that look like an `amf.conf`: the first word that is no comment opens the cluster. */
export function isOpenAis(text: string): boolean {
  return /^\uFEFF?(?:[ \t]*(?:#.*)?\r?\n)*[ \t]*safAmfCluster\b/.test(text)
}

/**
 * Reads OpenAIS's `amf.conf`: a line opens a block, closes one, or gives an attribute its value; `#` in front makes a
 * comment. Never throws: what is wrong is found with its line.
 *
 * @returns the cluster, or undefined when the file cannot be read.
 */
export function readOpenAis(
  text: string,
  file: string,
  findings: Findings,
): OpenAisBlock | undefined {
  const open: OpenBlock[] = []
  let cluster: OpenAisBlock | undefined
  const fail = (line: number, message: string): undefined => {
    findings.fileError({ file, line }, message)
    return undefined
  }
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1
    const words = raw.trim()
    if (words === '' || words.startsWith('#')) continue
    const top = open.at(-1)
    if (words === '}') {
      if (top === undefined) return fail(line, 'a } without its {')
      open.pop()
      continue
    }
    const opening = /^(\w+)\s*(?:=\s*(\S(?:.*\S)?)\s*)?\{$/.exec(words)
    if (opening) {
      const [, kind = '', name = ''] = opening
      if (top === undefined ? kind !== 'safAmfCluster' : LISTS.has(top.kind)) {
        return fail(line, `${kind} cannot stand here`)
      }
      if (top === undefined && cluster !== undefined) return fail(line, 'a second cluster')
      if (open.length >= DEPTH_MAX) return fail(line, `more than ${DEPTH_MAX} levels`)
      const source = new SourceObject(`${kind} ${name}`.trim(), { file, line }, { findings })
      const block: OpenBlock = { kind, name, source, children: [], line }
      if (top === undefined) cluster = block
      else top.children.push(block)
      open.push(block)
      continue
    }
    if (top === undefined) return fail(line, 'stands outside of the cluster')
    const [, attribute = '', value = ''] = /^(\w+)\s*=\s*(.*)$/.exec(words) ?? []
    if (LISTS.has(top.kind)) top.source.put(top.kind, { text: words, line })
    else if (attribute !== '') top.source.put(attribute, { text: value, line })
    else return fail(line, `"${words.slice(0, 80)}" is neither ATTRIBUTE=VALUE nor a block`)
  }
  const unclosed = open.at(-1)
  if (unclosed) return fail(unclosed.line, `${unclosed.source.label} has no }`)
  return cluster
}
