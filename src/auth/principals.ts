import { clientPrincipal, principalOf, type Principal } from '../core/principal.ts'
import { growingLru } from '../core/growing-lru.ts'

/** Bounds the cache. An evicted subject only gets a new object. */
const MAX_REMEMBERED = 10_000

/**
 * The identities of callers. Equal identities with equal rights are the same object, so that changes are detected by
 * comparing references.
 */
export class Principals {
  readonly #clients: ReadonlyMap<string, Principal>
  readonly #others = growingLru<string, Principal>(MAX_REMEMBERED)

  constructor(clients: readonly { readonly name: string }[]) {
    this.#clients = new Map(clients.map(({ name }) => [name, clientPrincipal(name)]))
  }

  /** A configured client; `undefined` when there is none of this name. `roles`: roles from the credentials. */
  client(name: string, roles: readonly string[] = []): Principal | undefined {
    const plain = this.#clients.get(name)
    return plain === undefined || roles.length === 0 ? plain : this.#same({ ...plain, roles })
  }

  /** A subject without a configured client. `client`: the client whose rules and limits apply. */
  user(
    issuer: string,
    subject: string,
    client: string | undefined,
    roles: readonly string[] = [],
  ): Principal {
    return this.#same({ kind: 'user', id: `user:${issuer} ${subject}`, name: subject, client, roles })
  }

  #same(principal: Principal): Principal {
    const key = JSON.stringify([principal.id, principal.client, principal.roles])
    const known = this.#others.get(key)
    if (known) return known
    const own = principalOf(principal)
    this.#others.set(key, own)
    return own
  }
}
