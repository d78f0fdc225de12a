/** The position of a request in the chains. Only `compose` reads and writes it. */
export interface Pass {
  /** Number of middlewares that have called `next`. */
  passed: number
}
