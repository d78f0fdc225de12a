import type { Exchange } from '../../core/exchange.ts'
import { declaredTo } from '../../protocol/capabilities.ts'
import { META, MODERN } from '../../protocol/revisions.ts'

/** Members of `_meta` that every request to a modern server carries, as raw JSON. */
export type Envelope = Readonly<Record<string, string>>

/** The envelope of the gateway's own requests. `clientInfo` is raw JSON. */
export function modernEnvelope(clientInfo: string): Envelope {
  return {
    [META.protocolVersion]: `"${MODERN}"`,
    [META.clientInfo]: clientInfo,
    [META.clientCapabilities]: '{}',
  }
}

/**
 * The gateway's envelope with the capabilities and log level of a client's call. `roots` are those configured for the
 * server.
 */
export function envelopeFor(
  exchange: Exchange,
  envelope: Envelope,
  roots: readonly unknown[] | undefined,
): Envelope {
  if (exchange.logLevel === undefined && exchange.features === '' && !roots) return envelope
  const own: Record<string, string> = { ...envelope }
  own[META.clientCapabilities] = declaredTo(exchange.features, roots)
  if (exchange.logLevel !== undefined) own[META.logLevel] = `"${exchange.logLevel}"`
  return own
}
