/**
 * Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; `Infinity` as soon as there are more than `limit`, which makes texts that
 * have nothing in common cheap.
 */
export function editDistance(a: string, b: string, limit = Infinity): number {
  if (Math.abs(a.length - b.length) > limit) return Infinity
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      }
      next.push(cost)
      least = Math.min(least, cost)
    }
    // A swap reaches back one row further, and costs one more than what stands there.
    if (least > limit + 1) return Infinity
    before = row
    row = next
  }
  const distance = row[b.length] ?? 0
  return distance > limit ? Infinity : distance
}
