import { encodeWireError, isSdkError, SdkError, toWireError } from '../../../idl/index.ts'
import { writeModeOf } from './attributes.ts'
import {
  CHECKPOINT_BOUNDS,
  type CheckpointAttributes,
  type SectionDescriptor,
  type SectionOperation,
  type SectionResult,
  type SectionsChosen,
} from './interface.ts'
import { SectionDraft, type ReadValue } from './section-draft.ts'
import type { SectionIndex } from './section-index.ts'
import { headerOf, type SectionHeader, sectionKey } from './section-value.ts'

type Operation<K extends SectionOperation['kind']> = Extract<SectionOperation, { kind: K }>

/** What an operation finds. */
export interface SectionContent {
  readonly name: string
  readonly attributes: CheckpointAttributes
  readonly index: SectionIndex
  readonly read: ReadValue
  /** Wall-clock milliseconds. */
  readonly nowMs: number
}

export interface SectionOutcome {
  readonly result: SectionResult
  /** Keys and new values; null deletes. */
  readonly writes: ReadonlyMap<string, Uint8Array | null>
}

const DONE: SectionResult = { kind: 'done' }
/** One call looks at so many sections at most: the node has other things to do. */
const LOOKED_AT_MAX = 10_000
/** Sections that have ended and make room for one operation, at most. */
const CLEARED_MAX = 1_000
const NOTHING: ReadonlyMap<string, Uint8Array | null> = new Map()

/**
 * One operation on the sections of a checkpoint: what it answers and what it changes. Pure. A section whose time has
 * passed is as good as gone, whether or not it was cleared away. SAFplus, section 14.2.
 * @throws SdkError as in the table there; `context.errorIndex` tells the element of a vector. Nothing is changed then.
 */
export function operate(given: SectionContent, operation: SectionOperation): SectionOutcome {
  try {
    return operateOn({ ...given, ended: [] }, operation)
  } catch (error) {
    if (!isSdkError(error, 'NO_SPACE')) throw error
    const ended = given.index.ended(given.nowMs, CLEARED_MAX)
    if (ended.length === 0) throw error
    return operateOn({ ...given, ended }, operation)
  }
}

function operateOn(content: Content, operation: SectionOperation): SectionOutcome {
  switch (operation.kind) {
    case 'create':
      return create(content, operation)
    case 'delete':
      return changing(content, (draft) => {
        notDefault(content, operation.id, 'deleted')
        existing(content, draft, operation.id)
        draft.delete(operation.id)
      })
    case 'expire':
      return changing(content, (draft) => expire(content, draft, operation))
    case 'write':
      return vector(content, operation.elements, (draft, { id, offset, data }) => {
        existing(content, draft, inBounds(content, id, offset + data.byteLength))
        draft.write(id, data, { offset, nowMs: content.nowMs })
      })
    case 'overwrite':
      return vector(content, operation.elements, (draft, { id, data }) => {
        const { expiresAtMs } = existing(content, draft, inBounds(content, id, data.byteLength))
        draft.put(id, { expiresAtMs, lastUpdateMs: content.nowMs }, data)
      })
    case 'read':
      return { result: read(content, operation), writes: NOTHING }
    case 'list':
      return { result: list(content, operation), writes: NOTHING }
    case 'status': {
      const { count, sizeBytes } = content.index
      const isImplicit = content.attributes.maxSections === 1 && count === 0
      const sectionCount = isImplicit ? 1 : count
      return { result: { kind: 'status', sectionCount, memoryUsed: sizeBytes }, writes: NOTHING }
    }
    case 'synchronize':
      return { result: DONE, writes: NOTHING }
  }
}

/** With the sections that make room by having ended. */
interface Content extends SectionContent {
  readonly ended: readonly string[]
}

function draftOf({ read, ended }: Content): SectionDraft {
  const draft = new SectionDraft(read)
  for (const id of ended) draft.delete(id)
  return draft
}

/** What clears away sections whose time has passed, so many at most. */
export function clearEnded(
  { index, read, nowMs }: Omit<SectionContent, 'attributes' | 'name'>,
  countMax: number,
): ReadonlyMap<string, Uint8Array | null> {
  const draft = new SectionDraft(read)
  for (const id of index.ended(nowMs, countMax)) draft.delete(id)
  return draft.writes
}

function create(content: Content, operation: Operation<'create'>): SectionOutcome {
  const { attributes, index, nowMs } = content
  const { data } = operation
  const expiresAtMs = operation.expiresAtMs ?? Infinity
  const draft = draftOf(content)
  if (attributes.maxSections === 1) {
    throw refusal(content, 'ALREADY_EXIST', 'maxSections is 1: there is the default section only')
  }
  const id = operation.id ?? generatedId(content)
  if (id === '') throw refusal(content, 'INVALID_PARAMETER', 'the section id is empty')
  checkId(content, id)
  checkSize(content, data.byteLength)
  if (expiresAtMs <= nowMs) {
    throw refusal(content, 'INVALID_PARAMETER', 'the expiration time has passed already')
  }
  const before = draft.header(id)
  if (before !== null && before.expiresAtMs > nowMs) {
    throw refusal(content, 'ALREADY_EXIST', `there is a section ${id}`)
  }
  const count = index.count - content.ended.length
  if (before === null && count >= attributes.maxSections) {
    const why = `maxSections ${attributes.maxSections} is reached`
    throw refusal(content, 'NO_SPACE', why)
  }
  draft.put(id, { expiresAtMs, lastUpdateMs: nowMs }, data)
  checkSpace(content, draft)
  return { result: { kind: 'created', id }, writes: draft.writes }
}

function generatedId({ index }: Content): string {
  for (let number = index.count + 1; ; number++) {
    const id = `section-${number}`
    if (!index.has(id)) return id
  }
}

function expire(content: Content, draft: SectionDraft, { id, atMs }: Operation<'expire'>): void {
  notDefault(content, id, 'given an expiration time')
  if (atMs !== null && atMs <= content.nowMs) {
    throw refusal(content, 'INVALID_PARAMETER', 'the expiration time has passed already')
  }
  existing(content, draft, id)
  draft.expire(id, atMs ?? Infinity)
}

function changing(content: Content, change: (draft: SectionDraft) => void): SectionOutcome {
  const draft = draftOf(content)
  change(draft)
  return { result: DONE, writes: draft.writes }
}

/** All elements or none; of a weak checkpoint, those before the first wrong one. */
function vector<E>(
  content: Content,
  elements: readonly E[],
  change: (draft: SectionDraft, element: E) => void,
): SectionOutcome {
  checkVector(content, elements)
  const draft = draftOf(content)
  const isWeak = writeModeOf(content.attributes) === 'ACTIVE_WEAK'
  for (const [index, element] of elements.entries()) {
    try {
      change(draft, element)
    } catch (error) {
      const indexed = withIndex(error, index)
      if (!isWeak || index === 0 || !isSdkError(indexed)) throw indexed
      // The wrong element was refused before it changed anything.
      checkSpace(content, draft)
      const wire = encodeWireError(toWireError(indexed))
      return { result: { kind: 'partial', error: wire }, writes: draft.writes }
    }
  }
  checkSpace(content, draft)
  return { result: DONE, writes: draft.writes }
}

function read(content: Content, { elements }: Operation<'read'>): SectionResult {
  checkVector(content, elements)
  const draft = draftOf(content)
  let sizeBytes = 0
  const data = elements.map(({ id, offset, size }, index) => {
    try {
      const header = existing(content, draft, inBounds(content, id, offset + (size ?? 0)))
      const end = Math.min(header.size, size === null ? Infinity : offset + size)
      sizeBytes += Math.max(0, end - offset)
      if (sizeBytes > CHECKPOINT_BOUNDS.callBytes) {
        const why = `one read gives at most ${CHECKPOINT_BOUNDS.callBytes} bytes: read in parts`
        throw refusal(content, 'TOO_BIG', why)
      }
      return offset < end ? draft.bytes(id, offset, end) : new Uint8Array()
    } catch (error) {
      throw withIndex(error, index)
    }
  })
  return { kind: 'data', data }
}

function list(content: Content, operation: Operation<'list'>): SectionResult {
  const sections: SectionDescriptor[] = []
  let left = LOOKED_AT_MAX
  for (const id of content.index.after(operation.after)) {
    const value = content.read(sectionKey(id))
    if (value === null) continue
    const { expiresAtMs, size, lastUpdateMs } = headerOf(value)
    const isThere = expiresAtMs > content.nowMs
    if (isThere && isChosen(operation.chosen, expiresAtMs, operation.timeMs)) {
      const ends = expiresAtMs === Infinity ? null : expiresAtMs
      sections.push({ id, expiresAtMs: ends, size, lastUpdateMs })
    }
    if (sections.length === operation.count || --left === 0) {
      return { kind: 'sections', sections, next: id }
    }
  }
  return { kind: 'sections', sections, next: null }
}

/** A section that does not check is lost with its replica and never shown: none is ever CORRUPTED. */
function isChosen(chosen: SectionsChosen, expiresAtMs: number, timeMs: number): boolean {
  switch (chosen) {
    case 'ANY':
      return true
    case 'FOREVER':
      return expiresAtMs === Infinity
    case 'LEQ_EXPIRATION':
      return expiresAtMs !== Infinity && expiresAtMs <= timeMs
    case 'GEQ_EXPIRATION':
      return expiresAtMs !== Infinity && expiresAtMs >= timeMs
    case 'CORRUPTED':
      return false
  }
}

/** The header of a section; the default section is there from the start. */
function existing(content: Content, draft: SectionDraft, id: string): SectionHeader {
  const header = draft.header(id)
  if (header !== null && header.expiresAtMs > content.nowMs) return header
  if (id === '' && content.attributes.maxSections === 1) {
    const fresh = { expiresAtMs: Infinity, lastUpdateMs: content.nowMs }
    draft.put('', fresh, new Uint8Array())
    return { ...fresh, size: 0 }
  }
  throw refusal(content, 'NOT_EXIST', `there is no section ${id}`)
}

/** Checks an id and how far an access reaches. @returns the id. */
function inBounds(content: Content, id: string, end: number): string {
  if (id === '' && content.attributes.maxSections > 1) {
    const why = 'the section id is empty: there is no default section where maxSections is above 1'
    throw refusal(content, 'INVALID_PARAMETER', why)
  }
  checkId(content, id)
  checkSize(content, end)
  return id
}

function notDefault(content: Content, id: string, what: string): void {
  if (id !== '') return
  throw refusal(content, 'INVALID_PARAMETER', `the default section cannot be ${what}`)
}

function checkId(content: Content, id: string): void {
  const { maxSectionIdSize, maxSections } = content.attributes
  if (maxSections === 1 ? id === '' : id.length <= maxSectionIdSize) return
  const why =
    maxSections === 1
      ? `there is the default section only, whose id is empty, and not ${id}`
      : `a section id of ${id.length} characters; maxSectionIdSize is ${maxSectionIdSize}`
  throw refusal(content, maxSections === 1 ? 'NOT_EXIST' : 'INVALID_PARAMETER', why)
}

function checkSize(content: Content, size: number): void {
  const max = content.attributes.maxSectionSize
  if (max === 0 || size <= max) return
  throw refusal(content, 'INVALID_PARAMETER', `${size} bytes; maxSectionSize is ${max}`)
}

function checkSpace(content: Content, draft: SectionDraft): void {
  const { checkpointSize } = content.attributes
  if (checkpointSize === 0) return
  let size = content.index.sizeBytes
  for (const [key, value] of draft.writes) {
    if (!key.startsWith(sectionKey(''))) continue
    const before = content.read(key)
    size += (value === null ? 0 : headerOf(value).size) - (before ? headerOf(before).size : 0)
  }
  if (size <= checkpointSize) return
  const why = `${size} bytes; checkpointSize is ${checkpointSize}`
  throw refusal(content, 'NO_SPACE', why)
}

function checkVector(content: Content, elements: readonly unknown[]): void {
  if (elements.length === 0) throw refusal(content, 'INVALID_PARAMETER', 'the vector is empty')
  const max = CHECKPOINT_BOUNDS.elementCount
  if (elements.length <= max) return
  throw refusal(content, 'TOO_BIG', `${elements.length} elements; at most ${max}`)
}

function withIndex(error: unknown, errorIndex: number): unknown {
  if (!isSdkError(error)) return error
  const context = { ...error.context, errorIndex }
  return new SdkError(error.code as 'NOT_EXIST', error.message, { context })
}

type Refusal = 'INVALID_PARAMETER' | 'NOT_EXIST' | 'ALREADY_EXIST' | 'NO_SPACE' | 'TOO_BIG'

function refusal({ name }: Content, code: Refusal, why: string): SdkError {
  return new SdkError(code, `checkpoint ${name}: ${why}`)
}
