import { dirname, isAbsolute, resolve } from 'node:path'
import { isJsonObject } from '../core/json-object.ts'
import type { ClientFile, Machine } from '../client-files/applications/application.ts'
import type { JsonObject } from '../core/exchange.ts'

/**
 * An entry whose relative paths are those of its client file: they start at the project, or at the folder of the file
 * of the user. A program of a project runs in its folder.
 */
export function withOwnPaths(entry: JsonObject, { scope, file }: ClientFile, { cwd }: Machine): JsonObject {
  const base = scope === 'project' ? cwd : dirname(file)
  const absolute = (path: string): string => (isFixed(path) ? path : resolve(base, path))
  const visit = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.replace(/(?<!\$)\$\{file:([^}]+)\}/g, (_, path: string) => `\${file:${absolute(path)}}`)
    if (Array.isArray(value)) return value.map(visit)
    if (!isJsonObject(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, visit(child)]))
  }
  const copy = visit(entry) as JsonObject
  const { cwd: folder, envFile } = copy
  return {
    ...copy,
    ...(typeof folder === 'string' && { cwd: absolute(folder) }),
    ...(folder === undefined && scope === 'project' && entry['command'] !== undefined && { cwd }),
    ...(typeof envFile === 'string' && { envFile: absolute(envFile) }),
  }
}

/** Whether a path is absolute, in the home directory, or begins with a variable. */
function isFixed(path: string): boolean {
  return isAbsolute(path) || /^(?:~(?:[\\/]|$)|\$\{|[A-Za-z]:[\\/])/.test(path)
}
