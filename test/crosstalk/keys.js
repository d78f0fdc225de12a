// @ts-check
import { createHash } from 'node:crypto'

/** The key of a client: the same one for the same index. @param {number} index */
export function keyOf(index) {
  return `mfd_${createHash('sha256').update(`crosstalk ${index}`).digest('base64url')}`
}

/** What a configuration says of clients with keys; all others are one client without. @param {readonly number[]} indexes */
export function withKeys(indexes) {
  const digest = (/** @type {string} */ key) => createHash('sha256').update(key).digest('hex')
  const clients = Object.fromEntries(
    indexes.map(index => [`c${index}`, { keys: [`sha256:${digest(keyOf(index))}`] }]),
  )
  // A client that leaves with the question of another of its calls keeps that one waiting for so long.
  const asks = { answerTimeout: '20s' }
  const gateway = { auth: { anonymous: 'others' }, maxLinksPerClient: 1000, asks }
  return indexes.length === 0 ? {} : { clients: { ...clients, others: {} }, gateway }
}
