import { toGiveUp, type Giving } from './no-room.ts'

/** A link that counts for a client. */
export interface CountedLink extends Giving {
  /** Closes it. It is then removed from the count. */
  close(): void
}

/**
 * Counts the links, which on stdio are processes, that each client holds over all servers. Clients are distinguished by
 * the id of their principal. Without credentials they cannot be distinguished and are not counted here: the limit of
 * each server applies to them.
 */
export class LinksPerClient {
  max: number
  readonly #links = new Map<string, Set<CountedLink>>()

  constructor(max: number) {
    this.max = max
  }

  /** Makes room for one more link, if necessary by closing one (`toGiveUp`). `false`: all are in use. */
  admit(client: string, force = false): boolean {
    const links = this.#links.get(client)
    if (!links || links.size < this.max) return true
    const link = toGiveUp(links, force)
    link?.close()
    return link !== undefined
  }

  /** The links of a client. */
  of(client: string): Iterable<CountedLink> {
    return this.#links.get(client) ?? []
  }

  add(client: string, link: CountedLink): void {
    const links = this.#links.get(client)
    if (links) links.add(link)
    else this.#links.set(client, new Set([link]))
  }

  remove(client: string, link: CountedLink): void {
    const links = this.#links.get(client)
    if (links?.delete(link) && links.size === 0) this.#links.delete(client)
  }

  /** Number of links of a client. */
  count(client: string): number {
    return this.#links.get(client)?.size ?? 0
  }
}
