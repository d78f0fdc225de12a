import { isIP } from 'node:net'
import { isLoopback } from '../../core/loopback.ts'
import { addressClass, type AddressClass } from './address-class.ts'
import { FetchError } from './fetch-error.ts'

/** The addresses of a name. Rejects when there are none. */
export type FindAddresses = (host: string) => Promise<readonly string[]>

/** Where a server with an address of a class may lead, besides public addresses. */
const LEADS_TO: Readonly<Record<AddressClass, readonly AddressClass[]>> = {
  public: [],
  private: ['private', 'loopback'],
  // A program on this machine reaches by itself what the gateway reaches.
  loopback: ['loopback', 'private'],
  'link-local': ['link-local'],
  metadata: ['metadata'],
  unusable: [],
}

const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1']

/**
 * Where a server may send the gateway. A server at a public address leads to public addresses by https only. One at a
 * private or loopback address also leads to such addresses, because it is on this side already.
 */
export class Destinations {
  readonly #server: URL
  readonly #find: FindAddresses
  /** A name that was public once stays public, so that no later answer opens the private network. */
  #wasPublic = false

  constructor(serverUrl: string, find: FindAddresses) {
    this.#server = new URL(serverUrl)
    this.#find = find
  }

  /**
   * The checked addresses of a URL: the only ones to connect to.
   * @throws FetchError
   */
  async addressesOf(url: URL): Promise<readonly string[]> {
    const { host, protocol } = url
    const refuse = (failure: 'url' | 'address', cause: string, fix: string): never => {
      throw new FetchError(failure, host, `${host} ${cause}. Fix: ${fix}.`)
    }
    if (url.username !== '' || url.password !== '')
      refuse('url', 'is given with a user or password in the URL', 'write the URL without them')
    if (protocol !== 'https:' && protocol !== 'http:')
      refuse('url', `is given as "${protocol}", which is not fetched`, 'use an https URL')
    const addresses = await this.#resolve(url)
    const classes = [...new Set(addresses.map(addressClass))]
    if (protocol === 'https:' && classes.every(name => name === 'public')) return addresses
    if (protocol === 'http:' && classes.includes('public'))
      refuse('url', 'is given as http, which can be read and changed on the way', 'use an https URL')
    const own = await this.#ownClasses()
    const beyond = classes.find(name => name !== 'public' && !own.includes(name))
    if (beyond !== undefined)
      refuse(
        'address',
        `has ${KINDS[beyond]}, and the server ${this.#server.host}, which leads there, does not`,
        `check what ${this.#server.host} names as its authorization server, and the DNS records of ${host}`,
      )
    if (
      protocol === 'http:' &&
      this.#server.protocol !== 'http:' &&
      classes.some(name => name !== 'loopback')
    )
      refuse('url', 'is given as http, and the server has an https URL', 'use an https URL')
    return addresses
  }

  async #resolve({ hostname, host }: URL): Promise<readonly string[]> {
    const plain = hostname.replace(/^\[|\]$/g, '')
    if (isIP(plain) !== 0) return [plain]
    if (isLoopback(hostname)) return LOOPBACK_ADDRESSES
    try {
      const found = await this.#find(plain)
      if (found.length > 0) return found
    } catch (error) {
      const code = (error as { code?: unknown }).code
      const why = typeof code === 'string' ? ` (${code})` : ''
      const message = `The name ${host} cannot be resolved${why}. Fix: check the name and the name servers.`
      throw new FetchError('unreachable', host, message, error)
    }
    const message = `The name ${host} has no address. Fix: check the name and the name servers.`
    throw new FetchError('unreachable', host, message)
  }

  /** Classes besides `public` that the server may lead to. */
  async #ownClasses(): Promise<readonly AddressClass[]> {
    const { hostname } = this.#server
    const isName = isIP(hostname.replace(/^\[|\]$/g, '')) === 0 && !isLoopback(hostname)
    if (!isName) {
      const [address = ''] = await this.#resolve(this.#server)
      return LEADS_TO[addressClass(address)]
    }
    if (this.#wasPublic) return []
    const addresses = await this.#resolve(this.#server)
    // The owner of a name says what its addresses are. So a name opens less than an address in the configuration.
    if (addresses.every(address => addressClass(address) === 'private')) return ['private']
    this.#wasPublic = true
    return []
  }
}

const KINDS: Readonly<Record<AddressClass, string>> = {
  public: 'a public address',
  private: 'a private address',
  loopback: 'a loopback address',
  'link-local': 'a link-local address',
  metadata: 'an address where a cloud hands out credentials',
  unusable: 'an address that no host can have',
}
