import { LRUCache } from 'lru-cache'
import { clientPrincipal, type Principal } from '../core/principal.ts'

/** Subjects are many; one that has not been seen for long gets a new object, and nothing else happens. */
const MAX_REMEMBERED = 10_000

/**
 * The identities of callers. The same identity with the same rights is the same object, so that a comparison of
 * references tells whether anything has changed.
 */
export class Principals {
  readonly #clients: ReadonlyMap<string, Principal>
  readonly #others = new LRUCache<string, Principal>({ max: MAX_REMEMBERED })

  constructor(clients: readonly { readonly name: string }[]) {
    this.#clients = new Map(clients.map(({ name }) => [name, clientPrincipal(name)]))
  }

  /** A configured client; `undefined` when there is none of this name. `roles`: those that the credentials brought. */
  client(name: string, roles: readonly string[] = []): Principal | undefined {
    const plain = this.#clients.get(name)
    return plain === undefined || roles.length === 0 ? plain : this.#same({ ...plain, roles })
  }

  /** A subject that is no configured client. `client`: whose rules and limits apply. */
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
    this.#others.set(key, principal)
    return principal
  }
}
