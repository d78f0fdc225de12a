import { isJsonObject } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'

/** Secrets that stand in an entry as they are. They are named, and never shown. */

export interface SecretPlace {
  readonly key: 'env' | 'headers'
  readonly name: string
}

/** Service under which secrets are in the keyring. */
export const KEYRING_SERVICE = 'mcp-manifold'

const SECRET = /key|token|secret|passw|pwd|auth|credential|cookie|session|dsn|connection|database_url/i

export function secretsIn(entry: JsonObject): SecretPlace[] {
  return (['env', 'headers'] as const).flatMap(key => {
    const table = entry[key]
    return Object.entries(isJsonObject(table) ? table : {}).flatMap(([name, value]) =>
      typeof value === 'string' && value !== '' && SECRET.test(name) && !value.includes('${')
        ? [{ key, name }]
        : [],
    )
  })
}

/** The entry with references to the keyring in place of its secrets, and what belongs into the keyring. */
export function withReferences(
  server: string,
  entry: JsonObject,
): { readonly entry: JsonObject; readonly secrets: ReadonlyMap<string, string> } {
  const secrets = new Map<string, string>()
  let changed = entry
  for (const { key, name } of secretsIn(entry)) {
    const table = changed[key] as JsonObject
    // What stands in the braces of a variable ends with the first one that closes.
    const account = `${server}.${name}`.replace(/[{}$/]/g, '_')
    secrets.set(account, String(table[name]))
    changed = { ...changed, [key]: { ...table, [name]: `\${keyring:${KEYRING_SERVICE}/${account}}` } }
  }
  return { entry: changed, secrets }
}
