import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HttpFrontConfig, TlsConfig } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'

/** The listening socket: plain or with TLS, and what can be wrong with its address. */

const OPTIONS: ServerOptions = {
  keepAliveTimeout: 65_000,
  requestTimeout: 60_000,
  // Of two Authorization headers, Node would drop one in silence.
  joinDuplicateHeaders: true,
}

export interface Listening {
  readonly server: Server
  /** `http://127.0.0.1:3333` */
  readonly origin: string
  readonly port: number
}

/** Listens on the configured address. @throws GatewayError `config` when that is not possible */
export async function openServer(config: HttpFrontConfig, listener: RequestListener): Promise<Listening> {
  const { host, port, tls } = config
  const server: Server = tls ? await createTlsServer(tls, listener) : createServer(OPTIONS, listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)))
    server.listen(port, host, resolve)
  })
  server.removeAllListeners('error')
  const address = server.address() as AddressInfo
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return { server, origin: `${tls ? 'https' : 'http'}://${shown}:${address.port}`, port: address.port }
}

async function createTlsServer(tls: TlsConfig, listener: RequestListener): Promise<Server> {
  const { createServer: createHttpsServer } = await import('node:https')
  const [cert, key, ca] = await Promise.all([
    readPem('cert', tls.cert),
    readPem('key', tls.key),
    tls.ca === undefined ? undefined : readPem('ca', tls.ca),
  ])
  try {
    return createHttpsServer(
      {
        ...OPTIONS,
        cert,
        key,
        ...(ca === undefined ? {} : { ca }),
        minVersion: 'TLSv1.2',
        requestCert: tls.clientCertificates !== 'none',
        // Without this, a certificate that is not valid is refused by a sentence instead of a broken connection.
        rejectUnauthorized: tls.clientCertificates === 'require',
      },
      listener,
    )
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
    return await readFile(file)
  } catch (cause) {
    throw new GatewayError(
      'config',
      `The file ${file} cannot be read (${String((cause as { code?: unknown }).code)}). Correct "gateway.http.tls.${option}".`,
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
