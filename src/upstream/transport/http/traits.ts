import type { TransportTraits } from '../shared/traits.ts'

/** Streamable HTTP: each request has a stream of its own. */
export const HTTP_TRAITS: TransportTraits = {
  attribution: 'stream',
  ordered: false,
  process: false,
  headers: true,
  eras: ['modern', 'legacy'],
}
