import type { Principal } from '../../core/principal.ts'
import type { ClientLinks, CountedLink } from './links-per-client.ts'
import { clientOf } from '../replica/isolation.ts'
import type { Slot } from './slot.ts'

export interface CountedSlotsOptions {
  /** Of all pools together. */
  readonly clientLinks: ClientLinks
  readonly remove: (slot: Slot) => void
}

/** For which client each slot of a pool counts, where it counts for one. */
export class CountedSlots {
  readonly #options: CountedSlotsOptions
  readonly #counted = new Map<Slot, { readonly client: string; readonly link: CountedLink }>()

  constructor(options: CountedSlotsOptions) {
    this.#options = options
  }

  /** Whether a client may have one more. Clients that cannot be told apart may. */
  admits(principal: Principal, force: boolean): boolean {
    const client = clientOf(principal)
    return client === '' || this.#options.clientLinks.admit(client, force)
  }

  /** The links of a client over all servers. */
  of(principal: Principal): Iterable<CountedLink> {
    return this.#options.clientLinks.of(clientOf(principal))
  }

  add(slot: Slot, principal: Principal): void {
    const client = clientOf(principal)
    if (client === '') return
    const { clientLinks, remove } = this.#options
    const link: CountedLink = {
      get spare() {
        return slot.spare
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

  delete(slot: Slot): void {
    const counted = this.#counted.get(slot)
    if (counted) this.#options.clientLinks.remove(counted.client, counted.link)
    this.#counted.delete(slot)
  }
}
