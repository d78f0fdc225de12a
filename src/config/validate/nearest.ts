import { editDistance } from '../../core/edit-distance.ts'

/** Names in other programs for the same setting, which differ too much for a comparison of letters. */
const ALIASES: Readonly<Record<string, string>> = {
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

/** The candidate most likely meant by `word`, `undefined` when none is near. Case, `-` and `_` are ignored. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const alias = ALIASES[word]
  if (alias !== undefined && candidates.includes(alias)) return alias
  const sought = plain(word)
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(sought.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(sought, plain(candidate), bestDistance - 1)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** The form of a name that is compared. */
export const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, '')
