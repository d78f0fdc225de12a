/**
 * Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; `Infinity` when it
 * exceeds `limit`. Takes at most `editCells` steps: cells further than `limit` from the diagonal are skipped.
 */
export function editDistance(a: string, b: string, limit = Infinity): number {
  if (Math.abs(a.length - b.length) > limit) return Infinity
  const width = b.length + 1
  let before = Array.from({ length: width }, () => Infinity)
  let row = Array.from({ length: width }, (_, at) => (at > limit ? Infinity : at))
  let next = Array.from({ length: width }, () => Infinity)
  for (let i = 1; i <= a.length; i++) {
    const from = Math.max(1, i - limit)
    const to = Math.min(b.length, i + limit)
    // The cells at both sides of the band hold values of earlier rows.
    next[from - 1] = from === 1 && i <= limit ? i : Infinity
    let least = next[from - 1] as number
    const char = a.charCodeAt(i - 1)
    for (let j = from; j <= to; j++) {
      const other = b.charCodeAt(j - 1)
      let cost = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1)
      cost = Math.min(cost, (row[j - 1] as number) + (char === other ? 0 : 1))
      if (i > 1 && j > 1 && char === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === other)
        cost = Math.min(cost, (before[j - 2] as number) + 1)
      next[j] = cost
      least = Math.min(least, cost)
    }
    if (to < b.length) next[to + 1] = Infinity
    // A swap refers to the row before the previous one and costs one more than the value there.
    if (least > limit + 1) return Infinity
    ;[before, row, next] = [row, next, before]
  }
  const distance = row[b.length] as number
  return distance > limit ? Infinity : distance
}

/** Maximum number of steps of `editDistance`. */
export function editCells(a: string, b: string, limit: number): number {
  return a.length * Math.min(b.length, 2 * limit + 1)
}
