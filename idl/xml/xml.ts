import { XMLParser, XMLValidator } from 'fast-xml-parser'

/** Where {@link readXml} says why it refused. */
export interface XmlFindings {
  fileError(place: { readonly file: string; readonly line: number }, message: string): void
}

/** One element, without its namespace prefix. Text of an element is its own text, trimmed. */
export interface XmlElement {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  readonly text: string
  /** From 1. */
  readonly line: number
}

/** What a source file may be at most; above it is refused. */
export const XML_LIMITS = { bytesMax: 32 * 1024 * 1024, depthMax: 64 } as const

const MESSAGE_MAX = 500

/**
 * Reads a document into elements with their lines. Entities are not processed: a document type definition is refused
 * (it is where entities would come from), of the references only the five of the standard and characters by number are
 * read. Null when the text was refused; the reason is in `findings`.
 */
export function readXml(text: string, file: string, findings: XmlFindings): XmlElement | null {
  const refuse = (line: number, message: string): null => {
    // The parser puts what it read into its messages, however long that is.
    const text = message.length > MESSAGE_MAX ? `${message.slice(0, MESSAGE_MAX)}...` : message
    findings.fileError({ file, line }, text)
    return null
  }
  // The parser counts positions in a text with plain line ends.
  const source = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n')
  const doctype = doctypeLine(source)
  if (doctype !== null) {
    const message = 'a document type definition (<!DOCTYPE>) is not read: it may define entities'
    return refuse(doctype, `${message}; remove it`)
  }
  const valid = XMLValidator.validate(source, { allowBooleanAttributes: false })
  if (valid !== true) {
    return refuse(valid.err.line, `malformed XML: ${valid.err.msg.replace(/\.$/, '')}`)
  }
  let parsed: unknown
  try {
    parsed = PARSER.parse(source)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return refuse(1, `cannot be read: ${reason}; at most ${String(XML_LIMITS.depthMax)} levels`)
  }
  const roots = elementsOf(parsed, lineCounter(source))
  const [root, second] = roots
  if (!root) return refuse(1, 'malformed XML: no element')
  if (second) return refuse(second.line, `malformed XML: a second root element <${second.name}>`)
  return root
}

const TEXT = '#text'
const CDATA = '#cdata'
const ATTRIBUTES = ':@'

const PARSER = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  textNodeName: TEXT,
  cdataPropName: CDATA,
  processEntities: false,
  htmlEntities: false,
  parseTagValue: false,
  parseAttributeValue: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  removeNSPrefix: true,
  captureMetaData: true,
  maxNestedTags: XML_LIMITS.depthMax,
})
const META = XMLParser.getMetaDataSymbol() as unknown as symbol

/** Line of a document type definition, which may only stand before the first element; null when there is none. */
function doctypeLine(source: string): number | null {
  let at = 0
  for (;;) {
    while (/\s/.test(source.charAt(at))) at += 1
    const end = source.startsWith('<?', at) ? '?>' : source.startsWith('<!--', at) ? '-->' : null
    if (end === null) break
    const close = source.indexOf(end, at + 2)
    if (close < 0) return null
    at = close + end.length
  }
  return /^<!doctype/i.test(source.slice(at, at + 9)) ? lineCounter(source)(at) : null
}

/** Finds the line of a position by halving: a document has many elements. */
function lineCounter(source: string): (position: number) => number {
  const ends: number[] = []
  for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) ends.push(at)
  return (position) => {
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((ends[middle] ?? 0) < position) low = middle + 1
      else high = middle
    }
    return low + 1
  }
}

type Raw = Readonly<Record<string | symbol, unknown>>

function elementsOf(nodes: unknown, lineOf: (position: number) => number): XmlElement[] {
  if (!Array.isArray(nodes)) return []
  return (nodes as Raw[]).flatMap((node) => {
    const name = Object.keys(node).find((key) => key !== ATTRIBUTES)
    if (name === undefined || name === TEXT || name === CDATA) return []
    const position = (node[META] as { startIndex?: number } | undefined)?.startIndex ?? 0
    const attributes = Object.entries((node[ATTRIBUTES] ?? {}) as Record<string, string>)
    return [
      {
        name,
        attributes: new Map(attributes.map(([key, value]) => [key, decode(value)])),
        children: elementsOf(node[name], lineOf),
        text: textOf(node[name]),
        line: lineOf(position),
      },
    ]
  })
}

function textOf(nodes: unknown): string {
  if (!Array.isArray(nodes)) return ''
  const parts = (nodes as Raw[]).flatMap((node) => {
    if (typeof node[TEXT] === 'string') return [decode(node[TEXT])]
    const inner = node[CDATA]
    if (!Array.isArray(inner)) return []
    return (inner as Raw[]).map((each) => (typeof each[TEXT] === 'string' ? each[TEXT] : ''))
  })
  return parts.join('').trim()
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** The references that every document may use. Unknown ones stay as they are written. */
function decode(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]+));/gi,
    (whole, hex, dec, name) => {
      if (typeof name === 'string') return NAMED[name] ?? whole
      const code = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(dec)
      return code > 0 && code <= 0x10_ff_ff ? String.fromCodePoint(code) : whole
    },
  )
}
