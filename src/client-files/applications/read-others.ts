import { isJsonObject } from '../../core/json-object.ts'
import { readEntry } from './read-entry.ts'
import type { ReadEntry } from './application.ts'

/** Codex: no variables in texts; other keys name environment variables. */
export function readCodex(value: unknown): ReadEntry {
  if (!isJsonObject(value)) return { left: 'it is not an object' }
  const {
    env_vars: passed,
    bearer_token_env_var: token,
    http_headers: headers,
    env_http_headers: named,
  } = value
  const read = readEntry({ ...value, headers }, 'none')
  if ('left' in read) return read
  const { entry } = read
  const env = Object.fromEntries(
    (Array.isArray(passed) ? passed : [])
      .filter(name => typeof name === 'string')
      .map(name => [name, `\${${name}:-}`]),
  )
  const withEnv =
    entry['command'] === undefined || Object.keys(env).length === 0
      ? {}
      : { env: { ...env, ...(entry['env'] as object | undefined) } }
  const own = {
    ...(entry['headers'] as object | undefined),
    ...Object.fromEntries(
      Object.entries(isJsonObject(named) ? named : {}).map(([name, variable]) => [
        name,
        `\${${String(variable)}}`,
      ]),
    ),
    ...(typeof token === 'string' && { Authorization: `Bearer \${${token}}` }),
  }
  const withHeaders = entry['url'] === undefined || Object.keys(own).length === 0 ? {} : { headers: own }
  const known = ['env_vars', 'bearer_token_env_var', 'http_headers', 'env_http_headers']
  return {
    entry: { ...entry, ...withEnv, ...withHeaders },
    dropped: read.dropped.filter(key => !known.includes(key)),
  }
}

/** Goose: `cmd`, `envs` and `uri`; builtin extensions and those whose secrets are in its own keyring stay. */
export function readGoose(value: unknown): ReadEntry {
  if (!isJsonObject(value)) return { left: 'it is not an object' }
  const { type, cmd, envs, uri, env_keys: keys, timeout: _, name: _name, ...rest } = value
  if (type !== 'stdio' && type !== 'sse' && type !== 'streamable_http')
    return { left: 'it is a part of Goose' }
  const missing = (Array.isArray(keys) ? keys : []).filter(
    key => !(isJsonObject(envs) && Object.hasOwn(envs, String(key))),
  )
  if (missing.length > 0)
    return { left: `Goose keeps its secrets (${missing.map(String).join(', ').slice(0, 100)})` }
  return readEntry(
    {
      ...rest,
      ...(type === 'stdio'
        ? { command: cmd, env: envs }
        : { type: type === 'sse' ? 'sse' : 'http', url: uri }),
    },
    'none',
  )
}
