/** The one definition of loopback, for listen addresses, hosts, origins, issuers and peers. */

/** Names under which local clients reach the gateway, as written in URLs. */
export const LOOPBACK_NAMES: readonly string[] = ['127.0.0.1', 'localhost', '[::1]']

const IPV4 = /^127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/
/** `::ffff:127.x.x.x` as the URL standard writes it. */
const MAPPED = /^\[::ffff:7f[\da-f]{2}:[\da-f]{1,4}\]$/

/**
 * Whether a host is a loopback host: `127.0.0.0/8`, `::1`, IPv4-mapped IPv6 addresses of that range, `localhost` and
 * names below it (RFC 6761). With or without brackets, without a port.
 */
export function isLoopback(host: string): boolean {
  if (host === '127.0.0.1' || host === 'localhost' || host === '::1' || host === '[::1]') return true
  if (host.includes(':')) return isLoopbackIPv6(host.replace(/^\[|\]$/g, ''))
  const name = host.toLowerCase().replace(/\.$/, '')
  return IPV4.test(name) || name === 'localhost' || /^[^@/\s]+\.localhost$/.test(name)
}

function isLoopbackIPv6(address: string): boolean {
  if (!/^[\da-f:.]+$/i.test(address)) return false
  try {
    const { hostname } = new URL(`http://[${address}]/`)
    return hostname === '[::1]' || MAPPED.test(hostname)
  } catch {
    return false
  }
}
