import { isJsonObject } from '../../core/json-object.ts'
import { absolutePath } from '../paths.ts'
import { isFileRoot } from '../options/server.ts'
import { SERVER_SECTIONS } from '../validate/scope.ts'
import type { JsonObject } from '../../core/exchange.ts'

/**
 * The value of an included file with the paths of its servers made absolute: `cwd`, `envFile` and `roots` are relative
 * to its own folder.
 */
export function withAbsolutePaths(value: unknown, folder: string, home: string): unknown {
  if (!isJsonObject(value)) return value
  const absolute = (path: unknown): unknown =>
    typeof path === 'string' && path !== '' ? absolutePath(path, folder, home) : path
  const root = (location: unknown): unknown => {
    if (isJsonObject(location)) return { ...location, uri: root(location['uri']) }
    return typeof location === 'string' && isFileRoot(location) && !/^file:\/\//i.test(location)
      ? absolute(location)
      : location
  }
  const endpoint = (entry: unknown): unknown => {
    if (!isJsonObject(entry)) return entry
    const copy: JsonObject = { ...entry }
    for (const key of ['cwd', 'envFile']) if (key in copy) copy[key] = absolute(copy[key])
    if (Array.isArray(copy['roots'])) copy['roots'] = (copy['roots'] as unknown[]).map(root)
    if (Array.isArray(copy['replicas'])) copy['replicas'] = (copy['replicas'] as unknown[]).map(endpoint)
    return copy
  }
  const copy: JsonObject = { ...value }
  for (const section of SERVER_SECTIONS) {
    const entries = copy[section]
    if (isJsonObject(entries))
      copy[section] = Object.fromEntries(
        Object.entries(entries).map(([name, entry]) => [name, endpoint(entry)]),
      )
  }
  return copy
}
