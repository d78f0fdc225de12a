import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { buildConnector } from 'undici'

/** An address that does not answer leaves time for the next one. */
const ATTEMPT_MS = 2000

export interface PinnedConnector {
  readonly connect: buildConnector.connector
  /** Closes what was opened, also while it connects. */
  close(): void
}

/**
 * Connects to the given addresses only, whatever the name of the host resolves to by now. Certificates are checked
 * against the name, with the authorities of Node.js and of `NODE_EXTRA_CA_CERTS`.
 */
export function pinnedConnector(addresses: readonly string[]): PinnedConnector {
  const found = addresses.map(address => ({ address, family: isIP(address) }))
  const sockets = new Set<Socket>()
  const lookup: LookupFunction = (_host, { all }, callback) => {
    const [first] = found
    if (all) callback(null, found)
    else callback(null, first?.address ?? '', first?.family)
  }
  const connect: buildConnector.connector = ({ hostname, protocol, port }, callback) => {
    const isSecure = protocol === 'https:'
    const to = {
      host: hostname,
      port: Number(port) || (isSecure ? 443 : 80),
      lookup,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ATTEMPT_MS,
    }
    const socket = isSecure
      ? connectTls({
          ...to,
          ALPNProtocols: ['http/1.1'],
          ...(isIP(hostname) === 0 && { servername: hostname }),
        })
      : connectTcp(to)
    let settled = false
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', error => {
      if (settled) return
      settled = true
      callback(error, null)
    })
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      if (settled) return
      settled = true
      callback(null, socket)
    })
  }
  return {
    connect,
    close: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}
