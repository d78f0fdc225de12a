// @ts-check
/**
 * A stream of random numbers that a seed repeats.
 *
 * @param {number} seed
 */
export function createRandom(seed) {
  let state = seed >>> 0
  /** @returns {number} from 0 to 1, without 1 */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    /** @param {number} chance */
    chance: chance => next() < chance,
    /** A whole number from `from` to `to`, both included. @param {number} from @param {number} to */
    between: (from, to) => from + Math.floor(next() * (to - from + 1)),
    /** @template T @param {readonly T[]} list @returns {T} */
    pick: list => /** @type {T} */ (list[Math.floor(next() * list.length)]),
    /** A stream of its own, so that what one client draws does not depend on the speed of another. */
    fork: () => createRandom(Math.floor(next() * 4294967296)),
  }
}

/** @typedef {ReturnType<typeof createRandom>} Random */
