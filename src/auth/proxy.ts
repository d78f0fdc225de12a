import type { IncomingMessage } from 'node:http'
import { BlockList, isIPv6 } from 'node:net'
import type { ClientConfig, ProxyAuthConfig } from '../config/types.ts'
import type { Principal } from '../core/principal.ts'
import { forbidden, malformed } from './challenge.ts'
import type { Credential, Evidence } from '../front/authenticator.ts'
import type { Principals } from './principals.ts'

const MAX_USER_CHARS = 256

type UserEvidence = Extract<Evidence, { by: 'user' }>

/**
 * Users identified by a proxy in front of the gateway. Any sender can set a header, so it is accepted only from the
 * proxy's own address.
 */
export class TrustedProxy {
  /** In lower case. */
  readonly header: string
  readonly #from = new BlockList()
  readonly #users = new Map<string, string>()
  readonly #client: string | undefined
  readonly #principals: Principals

  constructor(config: ProxyAuthConfig, clients: readonly ClientConfig[], principals: Principals) {
    this.header = config.header
    this.#client = config.client
    this.#principals = principals
    for (const network of config.from) {
      const [address = '', prefix] = network.split('/')
      const family = isIPv6(address) ? 'ipv6' : 'ipv4'
      if (prefix === undefined) this.#from.addAddress(address, family)
      else this.#from.addSubnet(address, Number(prefix), family)
    }
    for (const { name, users } of clients) for (const user of users) this.#users.set(user, name)
  }

  /**
   * The user named by the proxy; `undefined` without the header.
   * @throws HttpError 400 for several values, 403 for other senders and unknown users
   */
  credential(request: IncomingMessage): Credential | undefined {
    const user = request.headers[this.header]
    if (user === undefined) return undefined
    // Refused rather than ignored: it is an attack, or the proxy's address is missing in the configuration.
    const address = request.socket.remoteAddress
    if (address === undefined || !this.#trusts(address))
      throw forbidden(`The header ${this.header} is not accepted from this address.`)
    if (typeof user !== 'string' || (user.includes(',') && isRepeated(request, this.header)))
      throw malformed(`The header ${this.header} is there more than once.`)
    if (user === '' || user.length > MAX_USER_CHARS)
      throw malformed(`The header ${this.header} must hold a name of 1 to ${MAX_USER_CHARS} characters.`)
    const principal = this.#principalOf(user)
    if (!principal) throw forbidden('This user is not known here.')
    const evidence: UserEvidence = { by: 'user', name: user, header: this.header, address }
    return { principal, expiresAt: Infinity, renewable: false, evidence }
  }

  /** The principal, in this configuration, of a user that a proxy named under another one. */
  principal({ name, header, address }: UserEvidence): Principal | undefined {
    return header === this.header && this.#trusts(address) ? this.#principalOf(name) : undefined
  }

  #principalOf(user: string): Principal | undefined {
    const client = this.#users.get(user)
    if (client !== undefined) return this.#principals.client(client)
    return this.#client === undefined ? undefined : this.#principals.user('proxy', user, this.#client)
  }

  #trusts(address: string): boolean {
    return this.#from.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}

/** Node joins repeated headers with commas, which a name may contain as well. */
function isRepeated(request: IncomingMessage, header: string): boolean {
  let times = 0
  for (let at = 0; at < request.rawHeaders.length; at += 2)
    if (request.rawHeaders[at]?.toLowerCase() === header) times++
  return times > 1
}
