import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import { clientKindOf, type ClientKind } from '../protocol/client-kind.ts'
import { isModernVersion } from '../protocol/revisions.ts'
import type { ListableLink } from './list-server.ts'

export function kindOfClient({ protocolVersion, features }: Exchange): ClientKind {
  return clientKindOf(isModernVersion(protocolVersion), features)
}

/** Key of one refresh: a server, listed for a kind of client or over a link. */
export function attemptKey(
  server: string,
  exchange: Exchange | undefined,
  link: ListableLink | undefined,
): string {
  if (exchange) return `${server}\n${kindOfClient(exchange)}`
  return link
    ? `${server}\nover ${clientKindOf(link.peer.era === 'modern', link.capabilities ?? '')}`
    : server
}

/** Name of the server in such a key. */
export function serverOfAttempt(key: string): string {
  const end = key.indexOf('\n')
  return end < 0 ? key : key.slice(0, end)
}

/** Deletes all attempts of these servers, in one pass. */
export function deleteAttemptsOf(
  servers: ReadonlySet<string>,
  attempts: { keys(): Iterable<string>; delete(key: string): boolean },
): void {
  for (const key of attempts.keys()) if (servers.has(serverOfAttempt(key))) attempts.delete(key)
}

/** Converts the cause of a failed listing to an error with a readable message. */
export function listingErrorOf(server: string, error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  const cause = describeError(error).slice(0, 300)
  return new GatewayError('upstream_protocol', `Server "${server}" could not be listed: ${cause}`, {
    server,
    cause: error,
  })
}

/** The link led to a server that a reload has replaced. The lists are fetched again over a new link. */
export function replaced(server: string): GatewayError {
  return new GatewayError('upstream_closed', `Server "${server}" was replaced while it was listed.`, {
    server,
    delivery: 'not_sent',
  })
}
