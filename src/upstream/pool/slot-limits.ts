import type { Principal } from '../../core/principal.ts'
import type { LinksPerClient, CountedLink } from './links-per-client.ts'
import { clientOf } from '../replica/isolation.ts'
import type { LinkSlot } from './link-slot.ts'

export interface SlotLimitsOptions {
  /** Shared by all pools. */
  readonly clientLinks: LinksPerClient
  readonly remove: (slot: LinkSlot) => void
}

/** The client that each slot of a pool counts for, if any. */
export class SlotLimits {
  readonly #options: SlotLimitsOptions
  readonly #counted = new Map<LinkSlot, { readonly client: string; readonly link: CountedLink }>()

  constructor(options: SlotLimitsOptions) {
    this.#options = options
  }

  /** Whether a client may have one more link. Clients that cannot be distinguished always may. */
  admits(principal: Principal, force: boolean): boolean {
    const client = clientOf(principal)
    return client === '' || this.#options.clientLinks.admit(client, force)
  }

  /** The links of a client over all servers. */
  of(principal: Principal): Iterable<CountedLink> {
    return this.#options.clientLinks.of(clientOf(principal))
  }

  add(slot: LinkSlot, principal: Principal): void {
    const client = clientOf(principal)
    if (client === '') return
    const { clientLinks, remove } = this.#options
    const link: CountedLink = {
      get evictable() {
        return slot.evictable
      },
      get yields() {
        return slot.yields
      },
      get lastUsed() {
        return slot.lastUsed
      },
      close: () => remove(slot),
    }
    this.#counted.set(slot, { client, link })
    clientLinks.add(client, link)
  }

  delete(slot: LinkSlot): void {
    const counted = this.#counted.get(slot)
    if (counted) this.#options.clientLinks.remove(counted.client, counted.link)
    this.#counted.delete(slot)
  }
}
