import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ClientConfig } from '../config/types.ts'
import type { Credential } from '../front/authenticator.ts'
import { forbidden } from './challenge.ts'
import type { Principal } from '../core/principal.ts'
import type { Principals } from './principals.ts'

/** Clients that show a TLS certificate. The authority is `gateway.http.tls.ca`; the common name says which client it is. */
export class Certificates {
  readonly #clients = new Map<string, string>()
  readonly #principals: Principals

  constructor(clients: readonly ClientConfig[], principals: Principals) {
    this.#principals = principals
    for (const { name, certificates } of clients)
      for (const commonName of certificates) this.#clients.set(commonName, name)
  }

  /**
   * What the other end of a connection has shown; `undefined` when that is nothing.
   * @throws HttpRefusal 403 for a certificate that the authority has not signed, that has expired, or whose name no client has
   */
  credential(socket: Socket): Credential | undefined {
    if (!('getPeerCertificate' in socket)) return undefined
    const connection = socket as TLSSocket
    const certificate = connection.getPeerCertificate()
    // What Node gives when there is none.
    if (Object.keys(certificate ?? {}).length === 0) return undefined
    if (!connection.authorized)
      throw forbidden(
        'The client certificate is not valid, or not signed by an authority that is trusted here.',
      )
    // Several common names come as a list, whatever the type says.
    const name: unknown = certificate.subject?.CN
    const principal = typeof name === 'string' ? this.principalOf(name) : undefined
    if (!principal)
      throw forbidden('The client certificate is valid, but no client here has its common name.')
    const expiresAt = Date.parse(certificate.valid_to)
    // A connection may outlive the certificate that it was opened with.
    if (expiresAt <= Date.now()) throw forbidden('The client certificate has expired.')
    return { principal, expiresAt, renewable: true, evidence: { by: 'certificate', name: name as string } }
  }

  /** The client of a common name. */
  principalOf(name: string): Principal | undefined {
    const client = this.#clients.get(name)
    return client === undefined ? undefined : this.#principals.client(client)
  }
}
