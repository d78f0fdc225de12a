// @ts-check

/**
 * What can go wrong, and what must come of it (docs/resilience.md, "What a failure means").
 *
 * @typedef {'not_sent' | 'unknown' | 'silent'} Delivery `silent`: nothing comes back, so that only time tells
 *
 * @typedef {object} Fault
 * @property {string} name
 * @property {string} title
 * @property {string} [legacy] title where servers of that era differ
 * @property {'call' | 'port' | 'certificate' | 'addresses' | 'services' | 'process' | 'start'} at where it strikes; `call`: a replica, as soon as it gets a certain call
 * @property {Delivery} delivery
 * @property {0 | 1} ran whether the server has run the call by then
 * @property {readonly string[]} codes errors that say it clearly
 * @property {boolean} [lasting] no repeat helps where there is no other replica
 * @property {true | string} http whether it exists there, or why not
 * @property {true | string} stdio
 * @property {boolean} [process] replicas need processes of their own, over HTTP as well
 */

const PIPE = 'a pipe has no connections; what ends it is its process'
const NO_HTTP = 'there is no HTTP on a pipe'

/** @type {readonly Fault[]} */
export const FAULTS = [
  {
    name: 'refused',
    title: 'connection refused',
    at: 'port',
    delivery: 'not_sent',
    ran: 0,
    codes: ['upstream_unreachable'],
    http: true,
    stdio: PIPE,
  },
  {
    name: 'reset-before',
    title: 'reset before the call was run',
    at: 'call',
    delivery: 'unknown',
    ran: 0,
    codes: ['upstream_unreachable'],
    http: true,
    stdio: PIPE,
  },
  {
    name: 'reset-after',
    title: 'reset after the call was run',
    at: 'call',
    delivery: 'unknown',
    ran: 1,
    codes: ['upstream_unreachable'],
    http: true,
    stdio: PIPE,
  },
  {
    name: 'mid-answer',
    title: 'cut off in the middle of the answer',
    at: 'call',
    delivery: 'unknown',
    ran: 1,
    codes: ['upstream_unreachable', 'upstream_closed', 'upstream_protocol'],
    http: true,
    stdio: true,
  },
  {
    name: 'stream-ends',
    title: 'event stream ends without the answer',
    at: 'call',
    delivery: 'unknown',
    ran: 1,
    codes: ['upstream_unreachable', 'upstream_protocol'],
    http: true,
    stdio: 'a pipe that ends is in the rows of its process',
  },
  {
    name: 'half-open',
    title: 'half-open: accepted, never answered',
    at: 'call',
    delivery: 'silent',
    ran: 0,
    codes: ['upstream_timeout'],
    http: true,
    stdio: 'a process that is there and does nothing is in the row of SIGSTOP',
  },
  {
    name: 'slow-headers',
    title: 'headers byte by byte, beyond the deadline',
    at: 'call',
    delivery: 'silent',
    ran: 1,
    codes: ['upstream_timeout'],
    http: true,
    stdio: 'a message on a pipe has no headers',
  },
  {
    name: 'slow-body',
    title: 'answer byte by byte, beyond the deadline',
    at: 'call',
    delivery: 'silent',
    ran: 1,
    codes: ['upstream_timeout'],
    http: true,
    stdio: true,
  },
  {
    name: 'content-type',
    title: 'an answer of another type (HTML)',
    at: 'call',
    delivery: 'unknown',
    ran: 1,
    codes: ['upstream_protocol'],
    http: true,
    stdio: 'messages on a pipe have no type',
  },
  {
    name: 'truncated',
    title: 'JSON that ends in the middle',
    at: 'call',
    delivery: 'unknown',
    ran: 1,
    codes: ['upstream_protocol'],
    http: true,
    stdio: true,
  },
  {
    name: 'forgotten',
    title: '404',
    legacy: '404, session forgotten',
    at: 'call',
    delivery: 'not_sent',
    ran: 0,
    codes: ['session_lost', 'upstream_unreachable'],
    http: true,
    stdio: NO_HTTP,
  },
  {
    name: 'too-many',
    title: '429, `Retry-After: 1`',
    at: 'call',
    delivery: 'not_sent',
    ran: 0,
    codes: ['upstream_unreachable'],
    http: true,
    stdio: NO_HTTP,
  },
  .../** @type {const} */ (['500', '502', '504']).map(status => ({
    name: status,
    title: `HTTP ${status}`,
    at: /** @type {const} */ ('call'),
    delivery: /** @type {const} */ ('unknown'),
    ran: /** @type {const} */ (1),
    codes: ['upstream_unreachable'],
    http: /** @type {const} */ (true),
    stdio: NO_HTTP,
  })),
  {
    name: '503',
    title: 'HTTP 503',
    at: 'call',
    delivery: 'not_sent',
    ran: 0,
    codes: ['upstream_unreachable'],
    http: true,
    stdio: NO_HTTP,
  },
  {
    name: 'tls',
    title: 'TLS failure: an untrusted certificate',
    at: 'certificate',
    delivery: 'not_sent',
    ran: 0,
    codes: ['upstream_unreachable'],
    http: true,
    stdio: PIPE,
  },
  {
    name: 'dns',
    title: 'DNS change: the name has another address',
    at: 'addresses',
    delivery: 'not_sent',
    ran: 0,
    codes: ['upstream_unreachable'],
    http: true,
    stdio: 'a command has no address',
  },
  {
    name: 'dns-srv',
    title: 'DNS change: the SRV record has another port',
    at: 'services',
    delivery: 'not_sent',
    ran: 0,
    codes: ['upstream_unreachable'],
    http: true,
    stdio: 'a command has no address',
  },
  {
    name: 'kill-between',
    title: '`kill -9` between two calls',
    at: 'process',
    delivery: 'not_sent',
    ran: 0,
    codes: ['upstream_unreachable', 'upstream_closed'],
    http: true,
    stdio: true,
    process: true,
  },
  {
    name: 'kill-running',
    title: '`kill -9` while the call runs',
    at: 'call',
    delivery: 'unknown',
    ran: 1,
    codes: ['upstream_unreachable', 'upstream_closed'],
    http: true,
    stdio: true,
    process: true,
  },
  {
    name: 'stopped',
    title: '`SIGSTOP` while the call runs',
    at: 'call',
    delivery: 'silent',
    ran: 1,
    codes: ['upstream_timeout'],
    http: true,
    stdio: true,
    process: true,
  },
  {
    name: 'crash-loop',
    title: 'crash loop',
    at: 'start',
    delivery: 'not_sent',
    ran: 0,
    codes: ['upstream_start_failed', 'upstream_closed'],
    lasting: true,
    http: 'the gateway does not start it; a server that is down is in the first row',
    stdio: true,
  },
  {
    name: 'stdout-closed',
    title: 'standard output closed while the call runs',
    at: 'call',
    delivery: 'unknown',
    ran: 1,
    codes: ['upstream_closed'],
    http: 'an HTTP server has no use for it',
    stdio: true,
  },
]

/** @typedef {import('./client.js').Kind} Kind */
/**
 * @typedef {object} Expected
 * @property {'result' | 'error' | 'either'} outcome
 * @property {readonly string[]} codes of the error
 * @property {number} minRuns
 * @property {number} maxRuns
 */

/**
 * What must come of a call that is hit by a fault.
 *
 * @param {Fault} fault
 * @param {Kind} kind
 * @param {1 | 2} replicas
 * @returns {Expected}
 */
export function expected({ delivery, ran, codes, lasting = false }, kind, replicas) {
  const twice = kind !== 'unmarked'
  if (lasting && replicas === 1) return { outcome: 'error', codes, minRuns: 0, maxRuns: 0 }
  // Nothing was run, so anything may be sent elsewhere, or again.
  if (delivery === 'not_sent') return { outcome: 'result', codes, minRuns: 1, maxRuns: 1 }
  if (!twice) return { outcome: 'error', codes, minRuns: ran, maxRuns: ran }
  // Where no other replica can be asked, and nothing shows that waiting is in vain, the time is over with the first attempt.
  if (delivery === 'silent' && replicas === 1)
    return { outcome: 'either', codes, minRuns: ran, maxRuns: ran + 1 }
  return { outcome: 'result', codes, minRuns: ran + 1, maxRuns: ran + 1 }
}
