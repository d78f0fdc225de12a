import type { TransportTraits } from '../shared/traits.ts'

/** stdio: the two pipes of a process carry everything. */
export const STDIO_TRAITS: TransportTraits = {
  attribution: 'none',
  ordered: true,
  process: true,
  headers: false,
  eras: ['modern', 'legacy'],
}
