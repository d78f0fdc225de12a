/**
 * Bound of the merged text. Claude Code cuts server instructions at 2 KB, so a digest that fits is better than a longer
 * concatenation.
 */
export const MAX_INSTRUCTIONS_CHARS = 2000
/** Shortest useful share of one server. If shares were smaller, the last servers are left out. */
const MIN_PER_SERVER_CHARS = 60

/** The instructions of one server. */
export interface Introduced {
  readonly name: string
  readonly prefix: string | false
  readonly instructions: string | undefined
  /** Number of its tools that the client sees. */
  readonly tools: number
}

/** Merges the instructions of the servers into one text for the model. `undefined`: no server has any. */
export function mergedInstructions(servers: readonly Introduced[]): string | undefined {
  if (servers.length === 1) return servers[0]?.instructions
  if (servers.length === 0) return undefined
  const lines = ['Several servers answer here; the part of a tool name before "__" says which.']
  let left = MAX_INSTRUCTIONS_CHARS - (lines[0] as string).length
  const items = servers.map(({ name, prefix, instructions, tools }) => ({
    start: `- ${prefix === false ? name : prefix}: `,
    about: instructions === undefined ? `${tools} tools` : instructions.replace(/\s+/g, ' ').trim(),
  }))
  const share = fairShare(
    items.map(({ start, about }) => start.length + about.length + 1),
    left,
  )
  for (const { start, about } of items) {
    const line = start + firstSentences(about, Math.max(MIN_PER_SERVER_CHARS, share - 1) - start.length)
    if (line.length + 1 > left) break
    lines.push(line)
    left -= line.length + 1
  }
  return lines.join('\n')
}

/**
 * The largest share such that all together have at most `total`. Servers that need less leave the rest to the others.
 */
function fairShare(needs: readonly number[], total: number): number {
  let left = total
  let others = needs.length
  for (const need of [...needs].sort((a, b) => a - b)) {
    if (need > left / others) return Math.floor(left / others)
    left -= need
    others--
  }
  return total
}

function firstSentences(flat: string, max: number): string {
  if (flat.length <= max) return flat
  const cut = flat.slice(0, max - 1)
  const end = Math.max(cut.lastIndexOf('. '), cut.lastIndexOf('! '), cut.lastIndexOf('? '))
  return end > max / 3 ? cut.slice(0, end + 1) : `${cut}…`
}
