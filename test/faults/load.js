// @ts-check
import { createRandom } from '../crosstalk/random.js'
import { quantile } from '../bench/statistics.js'
import { KINDS } from './matrix.js'
import { wait } from './processes.js'

/** Many clients that call one server for a while, each the next thing as soon as it has thought. */

/**
 * @typedef {object} LoadOptions
 * @property {import('./client.js').Client[]} clients
 * @property {string} server
 * @property {readonly import('./client.js').Kind[]} [kinds] default all
 * @property {string} prefix of keys
 * @property {number} seconds
 * @property {number} seed
 * @property {number} thinkMs at most, between an answer and the next call
 *
 * @typedef {import('./client.js').Seen & { kind: import('./client.js').Kind, key: string }} Call
 */

/** @param {LoadOptions} options @returns {Promise<Call[]>} in the order of their ends */
export async function load({ clients, server, kinds = KINDS, prefix, seconds, seed, thinkMs }) {
  const random = createRandom(seed)
  /** @type {Call[]} */
  const calls = []
  const end = performance.now() + seconds * 1000
  const act = async (/** @type {import('./client.js').Client} */ client, /** @type {number} */ index) => {
    const own = random.fork()
    for (let number = 1; performance.now() < end; number++) {
      const kind = own.pick(kinds)
      const key = `${prefix}.${index}.${number}`
      calls.push({ ...(await client.call(server, kind, key)), kind, key })
      await wait(own.next() * thinkMs)
    }
  }
  await Promise.all(clients.map(act))
  return calls
}

/** Milliseconds within which 99 % of calls ended. @param {readonly Call[]} calls */
export function p99(calls) {
  return quantile(
    calls.map(({ ms }) => ms).sort((a, b) => a - b),
    0.99,
  )
}
