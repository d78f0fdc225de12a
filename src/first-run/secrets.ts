import { maskArgs, maskText } from '../config/problem.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'

/** Secrets that stand in an entry as they are. They are named, and never shown. */

export interface SecretPlace {
  readonly key: 'env' | 'headers'
  readonly name: string
}

/** Service under which secrets are in the keyring. */
export const KEYRING_SERVICE = 'mcp-manifold'

const SECRET =
  /key|token|secret|passw|pwd|auth|credential|cookie|session|dsn|connection|database_url|webhook|(?:^|_)pat(?:_|$)/i

export function secretsIn(entry: JsonObject): SecretPlace[] {
  return (['env', 'headers'] as const).flatMap(key => {
    const table = entry[key]
    return Object.entries(isJsonObject(table) ? table : {}).flatMap(([name, value]) =>
      typeof value === 'string' && isSecret(name, value) ? [{ key, name }] : [],
    )
  })
}

/** Whether a variable or a header is a secret: by its name, or as an address with a password in it. */
function isSecret(name: string, value: string): boolean {
  if (value === '' || value.includes('${')) return false
  return SECRET.test(name) || maskText(value) !== value
}

/** Where else a secret stands in an entry. Those stay in the configuration. */
export function otherSecretPlaces(entry: JsonObject): string[] {
  const { args, url, oauth } = entry
  const texts = Array.isArray(args) ? args.filter((arg): arg is string => typeof arg === 'string') : []
  const isMasked = maskArgs(texts).some((shown, at) => shown !== texts[at] && !texts[at]?.includes('${'))
  const clientSecret = isJsonObject(oauth) ? oauth['clientSecret'] : undefined
  return [
    ...(isMasked ? ['an argument'] : []),
    ...(typeof url === 'string' && !url.includes('${') && maskText(url) !== url ? ['the address'] : []),
    ...(typeof clientSecret === 'string' && !clientSecret.includes('${') ? ['oauth.clientSecret'] : []),
  ]
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
