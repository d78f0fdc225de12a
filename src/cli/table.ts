import { painted, terminalWidth, type Colour } from './terminal.ts'

/** A cell with its colour. */
export interface PaintedCell {
  readonly text: string
  readonly colour: Colour | undefined
}

export type Cell = string | PaintedCell

const GAP = '  '
/** No column is made narrower than this; then lines are wrapped by the terminal. */
const MIN_WIDTH = 12
/** The last column is made this narrow before any other one is cut. */
const MIN_LAST = 20

/**
 * Lines of a table: columns padded to their widest cell, cut where the terminal is too narrow. Foreign texts cannot
 * break out of their cell.
 */
export function tableLines(rows: readonly (readonly Cell[])[]): string[] {
  return linesOf(rows, terminalWidth() ?? Infinity)
}

/** The same, indented by two spaces, and nothing of it cut. */
export function alignColumns(rows: readonly (readonly Cell[])[]): string[] {
  return linesOf(rows, Infinity).map(line => `  ${line}`.trimEnd())
}

function linesOf(rows: readonly (readonly Cell[])[], total: number): string[] {
  const clean = rows.map(row =>
    row.map(cell => {
      const { text, colour } = typeof cell === 'string' ? { text: cell, colour: undefined } : cell
      return { text: text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' '), colour }
    }),
  )
  const widths: number[] = []
  for (const row of clean)
    row.forEach(({ text }, at) => (widths[at] = Math.max(widths[at] ?? 0, text.length)))
  narrow(widths, total)
  return clean.map(row =>
    row
      .map(({ text, colour }, at) => {
        const width = widths[at] ?? 0
        const shown = text.length > width ? `${text.slice(0, width - 1)}…` : text
        const padding = at === row.length - 1 ? '' : ' '.repeat(width - shown.length)
        return painted(shown, colour) + padding
      })
      .join(GAP)
      .trimEnd(),
  )
}

/** Makes the last column narrower, and then the widest ones, until all fit. Names are in front, and are typed. */
function narrow(widths: number[], total: number): void {
  let over = widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length) - total
  const last = widths.length - 1
  const spare = Math.max(0, Math.min(over, (widths[last] ?? 0) - MIN_LAST))
  widths[last] = (widths[last] ?? 0) - spare
  for (over -= spare; over > 0; over--) {
    const widest = widths.indexOf(Math.max(...widths))
    const width = widths[widest] ?? 0
    if (width <= MIN_WIDTH) return
    widths[widest] = width - 1
  }
}
