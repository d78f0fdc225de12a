import { isJsonObject } from '../../core/json-object.ts'
import type { JsonObject } from '../../core/exchange.ts'
import type { Path } from '../problem.ts'

/** A server entry of a client, converted to the gateway's form. */
export interface Converted {
  readonly entry: JsonObject
  /** Translates a path in the entry to the path in the client's entry. */
  readonly source: (rest: Path) => Path
}

/**
 * OpenCode: `type` is `local` or `remote`, the command and its arguments are one list, `environment`, `enabled`,
 * `{env:NAME}`.
 */
export function convertOpenCode(client: JsonObject): Converted {
  const { type, command, environment, enabled, timeout: _, oauth, ...rest } = client
  const list = Array.isArray(command) ? (command as unknown[]) : undefined
  const entry: JsonObject = {
    ...(type === 'remote' ? { type: 'http' } : type === 'local' || type === undefined ? {} : { type }),
    ...(list ? { command: list[0], args: list.slice(1) } : command === undefined ? {} : { command }),
    ...(environment === undefined ? {} : { env: environment }),
    ...(enabled === false ? { disabled: true } : {}),
    ...(oauth === undefined ? {} : { oauth }),
    ...rest,
  }
  return {
    entry: withVariables(entry) as JsonObject,
    source: ([key, at, ...more]) => {
      const tail = [at, ...more].filter(part => part !== undefined)
      if (key === 'env') return ['environment', ...tail]
      if (list && key === 'command') return ['command', 0]
      if (list && key === 'args') return ['command', ...(typeof at === 'number' ? [at + 1] : [])]
      return key === undefined ? [] : [key, ...tail]
    },
  }
}

/** Zed: `command` with its arguments as text or as an object, `enabled`; `undefined` for an entry of an extension. */
export function convertZed(client: JsonObject): Converted | undefined {
  const { source: _, enabled, timeout: _timeout, settings, remote: _remote, ...rest } = client
  const { command } = rest
  if (command === undefined && rest['url'] === undefined && (settings !== undefined || _ === 'extension'))
    return undefined
  const old = isJsonObject(command) ? command : undefined
  const { path, args, env } = old ?? {}
  const entry: JsonObject = {
    ...rest,
    ...(old && { command: path, ...(args !== undefined && { args }), ...(isJsonObject(env) && { env }) }),
    ...(enabled === false ? { disabled: true } : {}),
  }
  return {
    entry,
    source: rest => {
      if (!old) return rest
      if (rest[0] === 'command') return ['command', 'path', ...rest.slice(1)]
      return rest[0] === 'args' || rest[0] === 'env' ? ['command', ...rest] : rest
    },
  }
}

function withVariables(value: unknown): unknown {
  if (typeof value === 'string')
    return value.replaceAll('${', () => '$${').replace(/\{((?:env|file):[^{}]+)\}/g, '${$1}')
  if (Array.isArray(value)) return value.map(withVariables)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, withVariables(child)]))
}
