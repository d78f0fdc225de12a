// @ts-check
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'

/** Clients in the configuration, and rules of each. */
const CLIENTS = 1000
const RULES = 100

/**
 * A configuration with everything on that decides about calls: a thousand clients with keys, a hundred rules each, rates, concurrency and budgets
 * that are never reached, and state that outlives the process.
 * @param {string} url MCP endpoint of the upstream
 * @param {string} folder for the state and the audit log
 * @param {boolean} audited whether there is an audit log
 * @returns {{ config: object, keys: string[] }} keys of the clients, in their order
 */
export function policyConfig(url, folder, audited) {
  /** @type {Record<string, object>} */
  const clients = {}
  const keys = Array.from({ length: CLIENTS }, (_, at) => {
    const key = `mfd_${randomBytes(32).toString('base64url')}`
    clients[`client-${at}`] = {
      keys: [`sha256:${createHash('sha256').update(key).digest('hex')}`],
      rules: rulesOf(at),
      default: 'deny',
      rate: '1000000/min',
      concurrency: 1000,
      budget: {
        calls: ['100000000/hour', '1000000000/day'],
        compute: '10000h/day',
        cost: '1000000000/month',
        bytes: '1000GB/day',
      },
      limits: { 'up/*': { rate: '1000000/min', budget: { calls: '1000000000/day' } } },
    }
    return key
  })
  const config = {
    mcpServers: { up: { url, rate: '10000000/min', budget: { calls: '1000000000/day' } } },
    clients,
    gateway: {
      http: { port: 0 },
      state: `lmdb:${join(folder, 'state')}`,
      log: 'warn',
      audit: audited ? { file: join(folder, 'audit.jsonl'), maxFiles: 2 } : { file: 'off' },
    },
  }
  return { config, keys }
}

/** Most are about other things, some about what is called; the last but one depends on the arguments of every call. @param {number} client */
function rulesOf(client) {
  const others = Array.from({ length: RULES - 3 }, (_, at) =>
    at % 2 === 0
      ? { effect: 'deny', match: [`other-${at}/*_${client}`] }
      : { effect: 'allow', match: [`tool:other-${at}/read_*`] },
  )
  return [
    ...others,
    { effect: 'allow', match: ['up/e*'] },
    { effect: 'deny', match: ['up/echo'], when: 'args.text == "never sent"' },
    { effect: 'deny', match: ['up/delete_*'] },
  ]
}
