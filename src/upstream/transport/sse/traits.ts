import type { TransportTraits } from '../shared/traits.ts'

/** Deprecated HTTP+SSE: a single stream carries everything, and each message to the server is a separate request. */
export const SSE_TRAITS: TransportTraits = {
  attribution: 'none',
  ordered: false,
  process: false,
  headers: false,
  eras: ['legacy'],
}
