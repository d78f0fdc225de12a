import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SecureContextOptions } from 'node:tls'
import type { HttpFrontConfig, TlsConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import { readRegularFile, whyUnreadable } from '../../regular-file.ts'

/** The listening socket: plain or with TLS, and the errors of its address. */

const OPTIONS: ServerOptions = {
  keepAliveTimeout: 65_000,
  requestTimeout: 60_000,
  // A connection without a request is closed, because it occupies one of the available connections.
  headersTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
  // Node.js would silently drop the second of two Authorization headers.
  joinDuplicateHeaders: true,
}

export interface HttpListener {
  readonly server: Server
  /** `http://127.0.0.1:3333` */
  readonly origin: string
  readonly port: number
  /** `undefined` without TLS. */
  readonly certificates: TlsCredentials | undefined
}

/** Interval for checking whether connections have ended. */
const POLL_MS = 25

/** Resolves when no connection is left, or after `ms`. */
export async function untilDisconnected(server: Server, ms: number): Promise<void> {
  const until = monotonicNow() + ms
  const count = (): Promise<number> =>
    new Promise(resolve => server.getConnections((_, open) => resolve(open)))
  while (monotonicNow() < until && (await count()) > 0) await sleep(POLL_MS)
}

/** Stops listening. Idle connections are closed, and the others when they become idle or after `ms`. */
export async function closeServer(server: Server, ms: number): Promise<void> {
  if (!server.listening) return
  // Requests that have already arrived are answered: closing a socket with an unread request would reset the
  // connection.
  for (let turn = 0; turn < 2; turn++) await new Promise(resolve => setImmediate(resolve))
  const idle = setInterval(() => server.closeIdleConnections(), POLL_MS)
  const overdue = setTimeout(() => server.closeAllConnections(), ms)
  await new Promise<void>(resolve => server.close(() => resolve()))
  clearInterval(idle)
  clearTimeout(overdue)
}

/** Listens on the configured address. @throws GatewayError `config` when that is not possible */
export async function openServer(config: HttpFrontConfig, listener: RequestListener): Promise<HttpListener> {
  const { host, port, tls } = config
  const certificates = tls && (await readCertificates(tls))
  const server: Server =
    tls && certificates ? await createTlsServer(tls, certificates, listener) : createServer(OPTIONS, listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)))
    server.listen(port, host, resolve)
  })
  server.removeAllListeners('error')
  const address = server.address() as AddressInfo
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address
  const { port: bound } = address
  return { server, origin: `${tls ? 'https' : 'http'}://${shown}:${bound}`, port: bound, certificates }
}

async function createTlsServer(
  tls: TlsConfig,
  certificates: TlsCredentials,
  listener: RequestListener,
): Promise<Server> {
  const { createServer: createHttpsServer } = await import('node:https')
  return createHttpsServer(
    {
      ...OPTIONS,
      ...certificates,
      handshakeTimeout: OPTIONS.headersTimeout,
      requestCert: tls.clientCertificates !== 'none',
      // Otherwise an invalid certificate breaks the connection instead of being answered with an error message.
      rejectUnauthorized: tls.clientCertificates === 'require',
    },
    listener,
  )
}

/** TLS options of new connections. */
export type TlsCredentials = Pick<SecureContextOptions, 'cert' | 'key' | 'ca' | 'minVersion'>

/** Reads the TLS files and checks that they are usable. @throws GatewayError `config` */
export async function readCertificates(tls: TlsConfig): Promise<TlsCredentials> {
  const [cert, key, ca] = await Promise.all([
    readPem('cert', tls.cert),
    readPem('key', tls.key),
    tls.ca === undefined ? undefined : readPem('ca', tls.ca),
  ])
  const certificates: TlsCredentials = { cert, key, ...(ca && { ca }), minVersion: 'TLSv1.2' }
  const { createSecureContext } = await import('node:tls')
  try {
    createSecureContext(certificates)
    return certificates
  } catch (cause) {
    throw new GatewayError(
      'config',
      'The files of "gateway.http.tls" are no certificate and key that belong together. Both must be PEM, the key without a password.',
      { cause },
    )
  }
}

async function readPem(option: keyof TlsConfig, file: string): Promise<Buffer> {
  try {
    return await readRegularFile(file)
  } catch (cause) {
    throw new GatewayError(
      'config',
      `The file ${file} was not read: ${whyUnreadable(cause)}. Correct "gateway.http.tls.${option}".`,
      { cause },
    )
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): GatewayError {
  const fixes: Record<string, string> = {
    EADDRINUSE: `Port ${port} on ${host} is in use, maybe by another gateway. Choose another with --port or "gateway.http.port".`,
    EACCES: `Port ${port} needs more rights than this user has. Choose one above 1023 with --port or "gateway.http.port".`,
    EADDRNOTAVAIL: `This machine has no address ${host}. Correct --host or "gateway.http.host".`,
    ENOTFOUND: `The host name ${host} is not known. Correct --host or "gateway.http.host".`,
  }
  return new GatewayError(
    'config',
    fixes[error.code ?? ''] ?? `Cannot listen on ${host}:${port} (${error.code ?? error.message}).`,
    { cause: error },
  )
}
