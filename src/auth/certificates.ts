import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ClientConfig } from '../config/types.ts'
import type { Credential } from '../front/authenticator.ts'
import { forbidden } from './challenge.ts'
import type { Principal } from '../core/principal.ts'
import type { Principals } from './principals.ts'

/**
 * Clients that authenticate with a TLS certificate. The authority is `gateway.http.tls.ca`; the common name identifies
 * the client.
 */
export class ClientCertificates {
  readonly #clients = new Map<string, string>()
  readonly #principals: Principals

  constructor(clients: readonly ClientConfig[], principals: Principals) {
    this.#principals = principals
    for (const { name, certificates } of clients)
      for (const commonName of certificates) this.#clients.set(commonName, name)
  }

  /**
   * The credential of the peer of a connection; `undefined` without a certificate.
   * @throws HttpError 403 for a certificate that was not signed by the authority, has expired, or whose name belongs to
   * no client
   */
  credential(socket: Socket): Credential | undefined {
    if (!('getPeerCertificate' in socket)) return undefined
    const connection = socket as TLSSocket
    const certificate = connection.getPeerCertificate()
    // Node returns an empty object when there is no certificate.
    if (Object.keys(certificate ?? {}).length === 0) return undefined
    if (!connection.authorized)
      throw forbidden(
        'The client certificate is not valid, or not signed by an authority that is trusted here.',
      )
    // Several common names are returned as an array, contrary to the type.
    const name: unknown = certificate.subject?.CN
    const principal = typeof name === 'string' ? this.principalOf(name) : undefined
    if (!principal)
      throw forbidden('The client certificate is valid, but no client here has its common name.')
    const expiresAt = Date.parse(certificate.valid_to)
    // A connection may outlive its certificate.
    if (expiresAt <= Date.now()) throw forbidden('The client certificate has expired.')
    return { principal, expiresAt, renewable: true, evidence: { by: 'certificate', name: name as string } }
  }

  /** The client with a common name. */
  principalOf(name: string): Principal | undefined {
    const client = this.#clients.get(name)
    return client === undefined ? undefined : this.#principals.client(client)
  }
}
