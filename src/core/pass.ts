/** How far a request has come in the chains. `compose` alone reads and writes it. */
export interface Pass {
  /** Middlewares that have handed it on. */
  passed: number
}
