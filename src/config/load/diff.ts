import { isJsonObject } from '../../core/json-object.ts'
import { formatPath, type Path } from '../problem.ts'

/** What a running gateway takes over: where the replicas of a server are, and what share each of them has. */
const LIVE: ReadonlySet<string> = new Set([
  'replicas',
  'type',
  'command',
  'args',
  'env',
  'envFile',
  'cwd',
  'url',
  'serverUrl',
  'headers',
])

/** Places at which two files differ and that a running gateway does not take over, in the order of the files. */
export function needsRestart(before: unknown, after: unknown): string[] {
  return differences(before, after, [])
    .filter(([root, , key]) => !(isServers(root) && LIVE.has(String(key))))
    .map(formatPath)
}

/** As deep as a person looks for it: a key of a server, of a client or of a section. */
function differences(before: unknown, after: unknown, path: Path): Path[] {
  const depth = isServers(path[0]) ? 3 : 2
  if (path.length < depth && isJsonObject(before) && isJsonObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys.flatMap(key => differences(before[key], after[key], [...path, key]))
  }
  return canonical(before) === canonical(after) ? [] : [path]
}

function isServers(root: string | number | undefined): boolean {
  return root === 'mcpServers' || root === 'servers'
}

/** The order of keys says nothing. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) =>
      isJsonObject(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    ) ?? ''
  )
}
