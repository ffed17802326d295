import { invalidParameter } from './errors.ts'
import { HEADER_SIZE_BYTES, makeFrameHeader, PROTOCOL, viewOf, writeHeader } from './frame.ts'

/** Longest name of a multicast group, bytes of UTF-8. */
export const GROUP_NAME_BYTES_MAX = 64

/** A name without control characters and blanks, so that it prints and parses. */
const NAME = /^[^\s\p{Cc}]+$/u

/** True for what may stand behind `#`. */
export const isGroupName = (name: string): boolean =>
  NAME.test(name) && new TextEncoder().encode(name).length <= GROUP_NAME_BYTES_MAX

/** @throws SdkError INVALID_PARAMETER when the text is no name of a group. */
export function checkGroupName(name: string): string {
  if (isGroupName(name)) return name
  const shown = JSON.stringify(name.slice(0, 80))
  const rule = `1 to ${GROUP_NAME_BYTES_MAX} bytes, no blanks or control characters`
  throw invalidParameter(`${shown} is no group: ${rule}`, { group: name.slice(0, 80) })
}

/** A whole frame that lists the groups of a port, each name after its length (u8). */
export function encodeGroups(groups: Iterable<string>): Uint8Array {
  const names = [...groups].map((name) => new TextEncoder().encode(name))
  const size = names.reduce((sum, name) => sum + 1 + name.length, 0)
  const bytes = new Uint8Array(HEADER_SIZE_BYTES + size)
  const header = makeFrameHeader()
  header.protocol = PROTOCOL.groups
  writeHeader(viewOf(bytes), 0, header, size)
  let at = HEADER_SIZE_BYTES
  for (const name of names) {
    bytes[at] = name.length
    bytes.set(name, at + 1)
    at += 1 + name.length
  }
  return bytes
}

/** Reads the payload of such a frame; undefined when it is none or names more than `countMax`. */
export function tryParseGroups(
  payload: Uint8Array,
  countMax: number,
): ReadonlySet<string> | undefined {
  const groups = new Set<string>()
  let at = 0
  while (at < payload.length) {
    const name = nameAt(payload, at)
    if (name === undefined || groups.size === countMax) return undefined
    groups.add(name)
    at += 1 + payload[at]!
  }
  return groups
}

/** A message to a group: the name's length (u8), the name, the content. */
export function encodeGroupMessage(group: string, content: Uint8Array): Uint8Array {
  const name = new TextEncoder().encode(group)
  const bytes = new Uint8Array(1 + name.length + content.length)
  bytes[0] = name.length
  bytes.set(name, 1)
  bytes.set(content, 1 + name.length)
  return bytes
}

/** Reads such a message; undefined when it is none. The payload is a view. */
export function trySplitGroupMessage(
  message: Uint8Array,
): { readonly group: string; readonly payload: Uint8Array } | undefined {
  const group = message.length === 0 ? undefined : nameAt(message, 0)
  if (group === undefined) return undefined
  return { group, payload: message.subarray(1 + message[0]!) }
}

function nameAt(bytes: Uint8Array, at: number): string | undefined {
  const end = at + 1 + bytes[at]!
  if (end > bytes.length) return undefined
  const name = new TextDecoder().decode(bytes.subarray(at + 1, end))
  return isGroupName(name) ? name : undefined
}
