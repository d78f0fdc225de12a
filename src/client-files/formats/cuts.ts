/** Pieces of a text that are removed, by whole lines. */

/** A piece of a text: from an offset to another. */
export interface Cut {
  readonly from: number
  readonly to: number
}

/** Offset at which the line of an offset begins. */
export function lineStart(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1
}

/** Offset behind the line end that follows an offset; the end of the text where there is none. */
export function nextLine(text: string, offset: number): number {
  const at = text.indexOf('\n', offset)
  return at < 0 ? text.length : at + 1
}

/**
 * The lines from one offset to another, with the lines of comments directly above them that have the same indentation.
 * Comments of both formats that use it begin with `#`.
 */
export function wholeLines(text: string, from: number, to: number): Cut {
  let start = lineStart(text, from)
  const indent = /^[ \t]*/.exec(text.slice(start, from))?.[0] ?? ''
  while (start > 0) {
    const above = lineStart(text, start - 1)
    if (!text.slice(above, start).startsWith(`${indent}#`)) break
    start = above
  }
  return { from: start, to: nextLine(text, to) }
}

/** The text without pieces, which may overlap. */
export function cutOut(text: string, cuts: readonly Cut[]): string {
  let rest = ''
  let at = 0
  for (const { from, to } of cuts.toSorted((a, b) => a.from - b.from)) {
    if (from > at) rest += text.slice(at, from)
    at = Math.max(at, to)
  }
  return rest + text.slice(at)
}

/** The line break of a text. */
export function lineBreakOf(text: string): string {
  return /\r\n|\n/.exec(text)?.[0] ?? '\n'
}

/** The spans of members between two brackets that are removed with one of the commas beside them. */
export function membersOut(members: readonly Cut[], isGone: (at: number) => boolean): Cut[] {
  const kept = members.findIndex((_, at) => !isGone(at))
  return members.flatMap((member, at) => {
    if (!isGone(at)) return []
    const [before, after] = [members[at - 1], members[at + 1]]
    // Before the first member that stays, up to the next one; behind it, from the end of the previous one.
    if (after && (kept < 0 || at < kept)) return [{ from: member.from, to: after.from }]
    return [{ from: kept >= 0 && before ? before.to : member.from, to: member.to }]
  })
}
