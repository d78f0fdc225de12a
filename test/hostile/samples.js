// @ts-check
import { createRandom } from '../crosstalk/random.js'
import { readingsOf } from './readers.js'
import { legacyBody } from './requests.js'

/** Bodies of a hostile client that are JSON. @param {number} seed @param {number} count */
export function sampleBodies(seed, count) {
  const random = createRandom(seed)
  /** @type {string[]} */
  const texts = []
  for (let id = 0; texts.length < count; id++) {
    const text = legacyBody(random, String(id))
    if (readingsOf(text).length > 0) texts.push(text)
  }
  return texts
}

export { readingsOf }
