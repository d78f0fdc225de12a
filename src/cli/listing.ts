import { isJsonObject } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { LocalClient } from './local-client.ts'

const MAX_PAGES = 1000

/** Everything that a list of the gateway has, in its order. */
export async function listAll(
  client: LocalClient,
  kind: 'tools' | 'prompts',
  cancelled: AbortSignal,
): Promise<readonly JsonObject[]> {
  const items: JsonObject[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { value } = await client.request(`${kind}/list`, cursor === undefined ? {} : { cursor }, cancelled)
    const { [kind]: listed, nextCursor } = value
    if (Array.isArray(listed)) items.push(...listed.filter(isJsonObject))
    if (typeof nextCursor !== 'string') break
    cursor = nextCursor
  }
  return items
}
