import type { TransportTraits } from '../shared/traits.ts'

/** Deprecated HTTP+SSE: one stream brings everything, and each message to the server is a request of its own. */
export const SSE_TRAITS: TransportTraits = {
  attribution: 'none',
  ordered: false,
  process: false,
  headers: false,
  eras: ['legacy'],
}
