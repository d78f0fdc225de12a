/** Two clocks, in milliseconds. */
export interface Clock {
  /** Since the epoch; what calendar periods begin and end by. May be set. */
  wall(): number
  /** Since some moment; never goes backwards. How long something may still be used is measured by it. */
  steady(): number
}

export const CLOCK: Clock = { wall: () => Date.now(), steady: () => performance.now() }
