export interface Reading {
  readonly reader: string
  readonly method: unknown
  readonly target: unknown
  readonly amounts: readonly unknown[]
  readonly paths: readonly string[]
}

/** Bodies of a hostile client that are JSON; the same ones for the same seed. */
export function sampleBodies(seed: number, count: number): string[]
/** How servers in Node, Python and Go read a request. */
export function readingsOf(text: string): Reading[]
