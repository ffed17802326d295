const DIRECTIVE = /%([-0]*)(\d*)(?:\.(\d+))?(?:hh|h|ll|l|z)?([diuxXcsfp%])/g

/**
 * Text with C's directives replaced: d, i, u, x, X, c, s, f, p, with width, zeros and left alignment. A directive
 * without an argument stays as it is. @internal
 */
export function printf(format: string, args: readonly unknown[]): string {
  const left = [...args]
  return format.replace(
    DIRECTIVE,
    (whole: string, flags: string, width: string, digits: string | undefined, kind: string) => {
      if (kind === '%') return '%'
      if (left.length === 0) return whole
      const text = textOf(kind, left.shift(), digits)
      if (flags.includes('-')) return text.padEnd(Number(width))
      return text.padStart(Number(width), flags.includes('0') ? '0' : ' ')
    },
  )
}

function textOf(kind: string, value: unknown, digits: string | undefined): string {
  switch (kind) {
    case 'x':
    case 'X':
    case 'p': {
      const hex = wholeOf(value).toString(16)
      return kind === 'X' ? hex.toUpperCase() : kind === 'p' ? `0x${hex}` : hex
    }
    case 'f':
      return Number(value).toFixed(Number(digits ?? 6))
    case 'c':
      return typeof value === 'number' ? String.fromCharCode(value) : String(value).slice(0, 1)
    case 's':
      return digits === undefined ? String(value) : String(value).slice(0, Number(digits))
    default:
      return String(wholeOf(value))
  }
}

function wholeOf(value: unknown): number | bigint {
  return typeof value === 'bigint' ? value : Math.trunc(Number(value))
}
