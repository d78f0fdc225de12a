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

/** What a server is, without anything that may be a secret. */
export function shownServer(entry: JsonObject): string {
  const { command, args, url } = entry as { command?: string; args?: readonly string[]; url?: string }
  if (url !== undefined) return URL.canParse(url) ? new URL(url).origin : 'an address with variables'
  const program = (command ?? '').split(/[\\/]/).at(-1) ?? ''
  const runner = /^(?:npx|bunx|pnpx|uvx|uv|pipx|docker|podman|cmd|node|python3?|deno|bun)(?:\.(?:exe|cmd))?$/i
  if (!runner.test(program)) return program
  const name = (args ?? []).find(
    (arg, at, all) =>
      !arg.startsWith('-') && PACKAGE.test(arg) && !SUBCOMMANDS.has(arg) && !takesValue(all[at - 1]),
  )
  return name === undefined
    ? program
    : `${program} ${/[\\/]/.test(name) && !name.startsWith('@') ? lastPart(name) : name}`
}

/** The name of a package, an image or a script. */
const PACKAGE = /^(?:@[\w.-]+\/)?[\w.-]{1,80}(?:[@:][\w.^~-]{1,30})?$|^[\w./\\:-]{1,200}\.(?:m?js|ts|py)$/
const SUBCOMMANDS = new Set(['run', 'exec', 'dlx', 'x', 'tool', 'npx', 'c', 'y'])

/** Whether what follows an argument may be its value, and so a secret. */
function takesValue(arg: string | undefined): boolean {
  return (
    arg?.startsWith('-') === true && !/^(?:-y|--yes|-q|--quiet|-i|-it|-t|--rm|--init|--offline)$/.test(arg)
  )
}

function lastPart(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path
}
