import { LRUCache } from 'lru-cache'
import type { JsonObject } from '../core/exchange.ts'
import { MAX_URI_CHARS } from '../core/uri-readings.ts'

const MAX_LEARNED = 10_000
/** Maximum characters of all recorded URIs. */
const MAX_LEARNED_CHARS = 8 * 1024 * 1024

/**
 * Owners of resources that no server lists: the server in whose result the client received the URI. Kept per principal,
 * so that no principal can redirect the reads of another.
 */
export class ResourceOwners {
  readonly #owners = new LRUCache<string, string>({
    max: MAX_LEARNED,
    maxSize: MAX_LEARNED_CHARS,
    sizeCalculation: (server, key) => server.length + key.length,
  })

  owner(principal: string, uri: string): string | undefined {
    return this.#owners.get(`${principal}\n${uri}`)
  }

  /** Records the resources that the content of a result links or embeds. */
  learn(principal: string, server: string, result: unknown): void {
    const content = (result as JsonObject | null)?.content
    if (!Array.isArray(content)) return
    for (const block of content as unknown[]) {
      if (typeof block !== 'object' || block === null) continue
      const { type, uri, resource } = block as {
        type?: unknown
        uri?: unknown
        resource?: { uri?: unknown } | null
      }
      const found = type === 'resource_link' ? uri : type === 'resource' ? resource?.uri : undefined
      if (typeof found === 'string' && found.length <= MAX_URI_CHARS)
        this.#owners.set(`${principal}\n${found}`, server)
    }
  }
}
