import type { ServerEntry } from '../options/file.ts'

type ToolEntry = NonNullable<ServerEntry['tools']>[string]

/** Warnings about results that are shared although the server is isolated by client, session or call. */
export function cacheWarnings(name: string, entry: ServerEntry): string[] {
  const { cache, isolation } = entry
  if (isolation !== 'client' && isolation !== 'session' && isolation !== 'call') return []
  const shared = (rule: ToolEntry['cache'] | 'hints'): boolean =>
    typeof rule === 'object' && rule.scope === 'shared'
  const places = [
    ...(shared(cache) ? ['all its tools'] : []),
    ...Object.entries(entry.tools ?? {}).flatMap(([glob, tool]) => (shared(tool.cache) ? [`"${glob}"`] : [])),
  ]
  if (places.length === 0) return []
  return [
    `The server "${name}" has a conversation of its own for each ${isolation} ("isolation"), but results of ${places.join(', ')} are shared by all clients ("scope"). Make sure that they depend on nothing but the arguments.`,
  ]
}
