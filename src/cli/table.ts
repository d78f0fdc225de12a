import { painted, terminalWidth, type Colour } from './terminal.ts'

/** A cell with its colour. */
export interface PaintedCell {
  readonly text: string
  readonly colour: Colour | undefined
}

export type Cell = string | PaintedCell

const GAP = '  '
/** The last column is not made narrower than this; then lines are wrapped by the terminal. */
const MIN_LAST = 20

/**
 * Lines of a table: columns padded to their widest cell, the last one cut to the width of the terminal. Foreign texts
 * cannot break out of their cell.
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
  const last = widths.length - 1
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0)
  const room = Math.max(MIN_LAST, total - before)
  return clean.map(row =>
    row
      .map(({ text, colour }, at) => {
        const shown = at === last && text.length > room ? `${text.slice(0, room - 1)}…` : text
        const padding = at === row.length - 1 ? '' : ' '.repeat((widths[at] ?? 0) - text.length)
        return painted(shown, colour) + padding
      })
      .join(GAP)
      .trimEnd(),
  )
}
