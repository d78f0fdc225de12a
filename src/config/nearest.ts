/** Names that other programs give to the same thing; too far away for a comparison of letters. */
const ALIASES: Readonly<Record<string, string>> = {
  context_servers: 'mcpServers',
  mcp: 'mcpServers',
  cmd: 'command',
  exec: 'command',
  arguments: 'args',
  environment: 'env',
  environmentVariables: 'env',
  workingDirectory: 'cwd',
  uri: 'url',
  endpoint: 'url',
  httpUrl: 'url',
  transport: 'type',
  http_headers: 'headers',
  startup_timeout_sec: 'startTimeout',
  tool_timeout_sec: 'timeout',
  bearer_token_env_var: 'headers',
  logLevel: 'log',
  bind: 'host',
  enabled: 'disabled',
}

/** The candidate that `word` was most likely meant to be, `undefined` when none is near. Case, `-` and `_` do not count. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const alias = ALIASES[word]
  if (alias !== undefined && candidates.includes(alias)) return alias
  const sought = plain(word)
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(sought.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(sought, plain(candidate))
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, '')

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      }
      next.push(cost)
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}
