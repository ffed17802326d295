/** A distinguished name: relative names from the object itself to the root, `type=value` each. */
export interface ImmName {
  readonly text: string
  readonly type: string
  /** Without escapes. */
  readonly value: string
  /** Name of the parent; empty for a root object. */
  readonly parent: string
}

/**
 * Reads a name as OpenSAF writes it: commas between relative names, a comma inside a value escaped with a backslash.
 * Null when it is none.
 */
export function parseImmName(text: string): ImmName | null {
  const parts = splitName(text)
  const [first = ''] = parts
  const equals = first.indexOf('=')
  if (equals <= 0 || parts.some((part) => !/^[A-Za-z]\w*=./.test(part))) return null
  return {
    text: parts.join(','),
    type: first.slice(0, equals),
    value: first.slice(equals + 1).replaceAll('\\', ''),
    parent: parts.slice(1).join(','),
  }
}

function splitName(text: string): string[] {
  const parts: string[] = []
  let part = ''
  for (let at = 0; at < text.length; at += 1) {
    const letter = text.charAt(at)
    if (letter === '\\') {
      part += letter + text.charAt(at + 1)
      at += 1
    } else if (letter === ',') {
      parts.push(part.trim())
      part = ''
    } else part += letter
  }
  return [...parts, part.trim()]
}
