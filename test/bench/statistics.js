// @ts-check

/**
 * The middle value; the mean of the two middle ones when there is no single one. `NaN` for an empty list.
 * @param {readonly number[]} values
 */
export function median(values) {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
}

/**
 * Linear interpolation between the two nearest values.
 * @param {readonly number[] | Float64Array} sorted ascending
 * @param {number} q from 0 to 1
 */
export function quantile(sorted, q) {
  if (sorted.length === 0) return Number.NaN
  const at = (sorted.length - 1) * q
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

/**
 * A table in Markdown, columns padded so that it also reads well in a terminal.
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows the first column is left-aligned, the rest right-aligned
 */
export function table(head, rows) {
  const widths = head.map((title, column) =>
    Math.max(title.length, 3, ...rows.map(row => row[column]?.length ?? 0)),
  )
  /** @param {readonly string[]} row */
  const line = row =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}
