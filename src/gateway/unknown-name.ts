import type { Catalog } from '../catalog/catalog.ts'
import type { View } from '../catalog/view.ts'
import { GatewayError } from '../core/errors.ts'
import type { Principal } from '../core/principal.ts'
import { explained } from './explained.ts'

/** Servers that are named. */
const MOST = 3

/** What a client hears that names a tool or prompt which it does not have: nothing but what it sees could tell. */
export function unknownName(
  kind: 'tools' | 'prompts',
  name: string,
  view: View,
  catalog: Pick<Catalog, 'failure'>,
  principal: Principal,
): GatewayError {
  const what = `Unknown ${kind === 'tools' ? 'tool' : 'prompt'}: ${name.slice(0, 200)}`
  const more = [...unlisted(view, name, catalog, principal), ...meant(view.similar(kind, name))]
  return new GatewayError('unknown_name', more.length === 0 ? what : `${what}. ${more.join(' ')}`)
}

function meant(names: readonly string[]): string[] {
  const last = names.at(-1)
  if (last === undefined) return []
  return [`Did you mean ${names.length === 1 ? '' : `${names.slice(0, -1).join(', ')} or `}${last}?`]
}

/** Why the server whose name it is has not been listed; without such a server, which have not. Empty when all have. */
function unlisted(
  view: View,
  name: string,
  catalog: Pick<Catalog, 'failure'>,
  principal: Principal,
): string[] {
  const owner = view.merged.ownerOf(name)
  // A server that the client may not use must not differ from one that does not exist.
  const owned = owner !== undefined && view.servers.has(owner)
  const missing = view.missing.filter(server => !owned || server === owner)
  const [only, second] = missing
  if (only === undefined) return []
  if (second === undefined) {
    const failure = catalog.failure(only)
    if (!failure)
      return [
        `Server "${only}" has not been listed yet; it may still be starting. Fix: try again in a moment.`,
      ]
    // What a program prints may hold anything. Only the user that runs it reads that, and a client over HTTP is not
    // certain to be that user.
    return [principal.kind === 'local' ? explained(failure) : failure.message]
  }
  const named = missing.slice(0, MOST).map(server => JSON.stringify(server))
  const rest = missing.length > MOST ? ` and ${missing.length - MOST} more` : ''
  return [`Servers that have not been listed: ${named.join(', ')}${rest}.`]
}
