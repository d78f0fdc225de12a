/** Claude Code cuts server instructions at 2 KB; a digest that fits is worth more than a concatenation that does not. */
export const MAX_INSTRUCTIONS_CHARS = 2000
const MAX_PER_SERVER_CHARS = 400

/** What one server has to say. */
export interface Introduced {
  readonly name: string
  readonly prefix: string | false
  readonly instructions: string | undefined
  /** Number of its tools that the client sees. */
  readonly tools: number
}

/** One text for the model from what the servers say of themselves, `undefined` when there is nothing to say. */
export function mergedInstructions(servers: readonly Introduced[]): string | undefined {
  if (servers.length === 1) return servers[0]?.instructions
  if (servers.length === 0) return undefined
  const lines = ['Several servers answer here; the part of a tool name before "__" says which.']
  let left = MAX_INSTRUCTIONS_CHARS - (lines[0] as string).length
  const share = Math.max(60, Math.min(MAX_PER_SERVER_CHARS, Math.floor(left / servers.length) - 4))
  for (const { name, prefix, instructions, tools } of servers) {
    const label = prefix === false ? name : prefix
    const about =
      instructions === undefined ? `${tools} tools` : firstSentences(instructions, share - label.length)
    const line = `- ${label}: ${about}`
    if (line.length + 1 > left) break
    lines.push(line)
    left -= line.length + 1
  }
  return lines.join('\n')
}

function firstSentences(text: string, max: number): string {
  const flat = text.replace(/\s+/g, ' ').trim()
  if (flat.length <= max) return flat
  const cut = flat.slice(0, max - 1)
  const end = Math.max(cut.lastIndexOf('. '), cut.lastIndexOf('! '), cut.lastIndexOf('? '))
  return end > max / 3 ? cut.slice(0, end + 1) : `${cut}…`
}
