/** The known word that `word` was probably meant to be: at most two edits away, and less than half of it. */
export function didYouMean(word: string, known: Iterable<string>): string | null {
  let best: string | null = null
  let bestDistance = Math.min(3, Math.ceil(word.length / 2))
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** `; did you mean "x"?`, or nothing when no known word is near. */
export function suggestion(word: string, known: Iterable<string>): string {
  const near = didYouMean(word, known)
  return near === null ? '' : `; did you mean "${near}"?`
}

/** Levenshtein, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
