import type { Exchange } from '../core/exchange.ts'
import { META, MODERN } from '../protocol/revisions.ts'

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

/** The gateway's envelope with what a client's call adds: its capabilities and its log level. */
export function envelopeFor(exchange: Exchange, envelope: Envelope): Envelope {
  if (exchange.logLevel === undefined && exchange.features === '') return envelope
  const own: Record<string, string> = { ...envelope }
  if (exchange.features !== '') own[META.clientCapabilities] = exchange.features
  if (exchange.logLevel !== undefined) own[META.logLevel] = `"${exchange.logLevel}"`
  return own
}
