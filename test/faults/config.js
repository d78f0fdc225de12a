// @ts-check

/** Everything that runs of this folder write into a configuration file. */

/** Longest time for a call. */
export const DEADLINE_MS = 2500
/** How often names are looked up. */
export const REFRESH_MS = 1000

/**
 * @typedef {object} ServerSettings
 * @property {string} id name, prefix and URI scheme
 * @property {readonly Record<string, unknown>[]} replicas members of each
 * @property {boolean} [hedge] default false
 * @property {boolean} [checks] whether replicas are checked several times within a deadline; default: as it is
 * @property {number} [deadlineMs]
 * @property {number} [restartLimit]
 * @property {number} [retries] default 2
 */

/** @param {ServerSettings} settings @returns {[string, object]} */
export function serverEntry(settings) {
  const {
    id,
    replicas,
    hedge = false,
    checks = false,
    deadlineMs = DEADLINE_MS,
    restartLimit,
    retries = 2,
  } = settings
  const entry = {
    replicas,
    tools: { marked: { retry: true } },
    uriSchemes: [id],
    timeout: `${deadlineMs}ms`,
    startTimeout: '8s',
    retries,
    retryBudget: 20,
    hedge,
    ...(checks && { health: { interval: '200ms', timeout: '400ms' } }),
    ...(restartLimit !== undefined && { restartLimit }),
  }
  return [id, entry]
}

/** @param {readonly ServerSettings[]} servers @param {string} [nameServer] `address:port` */
export function gatewayConfig(servers, nameServer) {
  return {
    mcpServers: Object.fromEntries(servers.map(serverEntry)),
    gateway: {
      http: { port: 0 },
      state: 'memory',
      ...(nameServer !== undefined && { dns: { servers: [nameServer], refresh: `${REFRESH_MS}ms` } }),
    },
  }
}
