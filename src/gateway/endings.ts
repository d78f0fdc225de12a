import type { Generation } from './generation.ts'
import type { Ending } from '../config/source/reloadable.ts'
import type { Credential } from '../front/authenticator.ts'
import type { ServedClient } from '../front/fronts.ts'
import { noLongerServed } from '../front/no-longer-served.ts'
import type { Principal } from '../core/principal.ts'

/** The callers of another configuration, before it takes effect. */
interface Callers {
  /** As `Authenticator.renewed`. */
  renewed(credential: Credential, endpoint: string): Credential | undefined
}

/** The clients that a generation disconnects when it takes effect, by name and reason. */
export function endingsOf(
  clients: Iterable<ServedClient>,
  generation: Generation,
  callers: Callers,
): readonly Ending[] {
  const found = new Map<string, Ending>()
  for (const { endpoint, principal, credential } of clients) {
    const isKnown = credential
      ? callers.renewed(credential, endpoint) !== undefined
      : isConfigured(generation, principal)
    if (isKnown && generation.serves(principal, endpoint)) continue
    const { message: reason } = noLongerServed(principal, isKnown, endpoint)
    const key = `${principal.id}\n${reason}`
    const connections = (found.get(key)?.connections ?? 0) + 1
    found.set(key, { client: principal.name, connections, reason })
  }
  return [...found.values()]
}

/** Whether the configured client, or the issuer of the user's tokens, is still in the configuration. */
export function isConfigured({ config }: Generation, { kind, id, client }: Principal): boolean {
  if (kind === 'user') return config.gateway.auth.jwt.some(({ issuer }) => id.startsWith(`user:${issuer} `))
  return client === undefined || config.clients.some(({ name }) => name === client)
}
