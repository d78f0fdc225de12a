import { worthAnotherLink } from '../core/another-link.ts'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import { LIST_KINDS, type ListKind } from '../core/route.ts'
import { headerParamsOf } from '../protocol/headers.ts'
import { cachingOf, tighter, type Caching } from '../protocol/caching.ts'
import { elements, find, members } from '../protocol/json-text.ts'
import type { CachingBy, Entry, ServerSnapshot } from './snapshot.ts'

/** What ingestion needs of a link. */
export interface Lister {
  request(
    method: string,
    params: string | undefined,
    timeoutMs: number,
    capabilities?: string,
  ): Promise<{ text: string; value: JsonObject }>
  readonly peer: { readonly era: 'legacy' | 'modern'; readonly capabilities: JsonObject }
}

interface ListMethod {
  readonly method: string
  /** Capability without which the list is not asked for. */
  readonly capability: string
  /** Member of an entry that names it. */
  readonly key: string
}

export const LIST_METHODS: Readonly<Record<ListKind, ListMethod>> = {
  tools: { method: 'tools/list', capability: 'tools', key: 'name' },
  resources: { method: 'resources/list', capability: 'resources', key: 'uri' },
  resourceTemplates: { method: 'resources/templates/list', capability: 'resources', key: 'uriTemplate' },
  prompts: { method: 'prompts/list', capability: 'prompts', key: 'name' },
}

/** A server that pages for ever, or offers more than this, is cut off with a warning. */
export const MAX_PAGES = 200
export const MAX_ENTRIES = 20_000

/** What is known of a server's lists. */
export type Known = Pick<ServerSnapshot, 'lists' | 'caching'>

interface Fetched {
  readonly entries: readonly Entry[]
  /** Of all pages. */
  readonly caching: Caching | undefined
}

const NONE: Fetched = { entries: [], caching: undefined }

/**
 * Fetches every page of every list a server has. A list that fails keeps what `previous` had, so that one bad list never empties another.
 * Entries that would break strict clients are left out one by one, each with a warning that says why.
 * @throws when every list that the server should have failed, or the link was of no use and another one may be (`worthAnotherLink`)
 */
export async function fetchLists(
  lister: Lister,
  timeoutMs: number,
  previous: Known | undefined,
  logger: Logger,
): Promise<Known> {
  const failures: unknown[] = []
  let asked = 0
  const fetched = await Promise.all(
    LIST_KINDS.map(async (kind): Promise<Fetched> => {
      if (!(LIST_METHODS[kind].capability in lister.peer.capabilities)) return NONE
      asked++
      try {
        return await fetchList(lister, kind, timeoutMs, logger)
      } catch (error) {
        // Templates are optional even where resources are not; many servers answer "method not found".
        if ((error as { rpcCode?: number }).rpcCode === -32601) return NONE
        // Over a new link all of them can be had.
        if (worthAnotherLink(error)) throw error
        failures.push(error)
        logger.warn('A list could not be fetched; what is known of it stays.', {
          list: kind,
          cause: String((error as Error).message),
        })
        return previous ? { entries: previous.lists[kind], caching: previous.caching[kind] } : NONE
      }
    }),
  )
  if (asked > 0 && failures.length === asked) throw failures[0]
  const by = <T>(of: (list: Fetched) => T): [ListKind, T][] =>
    LIST_KINDS.map((kind, at) => [kind, of(fetched[at] ?? NONE)])
  return {
    lists: Object.fromEntries(by(({ entries }) => entries)) as Known['lists'],
    caching: Object.fromEntries(by(({ caching }) => caching).filter(([, caching]) => caching)) as CachingBy,
  }
}

/** The tools that a link offers, whatever is known of its server. */
export async function fetchTools(
  lister: Lister,
  timeoutMs: number,
  logger: Logger,
): Promise<readonly Entry[]> {
  if (!(LIST_METHODS.tools.capability in lister.peer.capabilities)) return []
  return (await fetchList(lister, 'tools', timeoutMs, logger)).entries
}

async function fetchList(
  lister: Lister,
  kind: ListKind,
  timeoutMs: number,
  logger: Logger,
): Promise<Fetched> {
  const { method } = LIST_METHODS[kind]
  const entries: Entry[] = []
  const seen = new Set<string>()
  const cursors = new Set<string>()
  let caching: Caching | undefined
  let cursor: string | undefined
  for (let page = 0; ; page++) {
    const params = cursor === undefined ? undefined : JSON.stringify({ cursor })
    const result = await lister.request(method, params, timeoutMs)
    const list = find(members(result.text), kind)
    const values = result.value[kind]
    if (!list || !Array.isArray(values)) throw new Error(`the answer to ${method} has no array "${kind}"`)
    if (lister.peer.era === 'modern') caching = tighter(caching, cachingOf(result.value))
    elements(result.text, list.start).forEach((span, index) => {
      const text = result.text.slice(span.start, span.end)
      const entry = checked(kind, text, values[index], lister.peer.era)
      if (typeof entry === 'string') {
        logger.warn('A definition is left out because clients would reject the list.', {
          list: kind,
          reason: entry,
          start: text.slice(0, 120),
        })
      } else if (seen.has(entry.key)) {
        logger.warn('A definition stands twice; the first is used.', { list: kind, name: entry.key })
      } else {
        seen.add(entry.key)
        entries.push(entry)
      }
    })
    const next = result.value.nextCursor
    if (typeof next !== 'string') return { entries, caching }
    if (cursors.has(next) || page + 1 >= MAX_PAGES || entries.length >= MAX_ENTRIES) {
      logger.warn('The list does not end; the rest is left out.', {
        list: kind,
        pages: page + 1,
        entries: entries.length,
      })
      return { entries, caching }
    }
    cursors.add(next)
    cursor = next
  }
}

/** The entry, or a sentence that says what is wrong with it. */
function checked(kind: ListKind, text: string, value: unknown, era: 'legacy' | 'modern'): Entry | string {
  if (!isJsonObject(value)) return 'it is not an object'
  const keyName = LIST_METHODS[kind].key
  const key = value[keyName]
  if (typeof key !== 'string' || key === '') return `"${keyName}" is not a non-empty string`
  if (kind === 'resources' || kind === 'resourceTemplates') {
    if (typeof value.name !== 'string') return `${key}: "name" is not a string`
    return { key, text }
  }
  if (kind === 'prompts') {
    if (
      value.arguments !== undefined &&
      !(
        Array.isArray(value.arguments) &&
        value.arguments.every(a => isJsonObject(a) && typeof a.name === 'string')
      )
    )
      return `${key}: "arguments" is not a list of named arguments`
    return { key, text }
  }
  const schema = value.inputSchema
  if (!isJsonObject(schema)) return `${key}: "inputSchema" is not an object`
  if (schema.type !== 'object') return `${key}: "inputSchema" must have "type": "object"`
  if (schema.properties !== undefined && !isJsonObject(schema.properties))
    return `${key}: "inputSchema.properties" is not an object`
  if (
    schema.required !== undefined &&
    !(Array.isArray(schema.required) && schema.required.every(r => typeof r === 'string'))
  )
    return `${key}: "inputSchema.required" is not a list of strings`
  if (value.description !== undefined && typeof value.description !== 'string')
    return `${key}: "description" is not a string`
  if (value.outputSchema !== undefined && !isJsonObject(value.outputSchema))
    return `${key}: "outputSchema" is not an object`
  if (value.annotations !== undefined && !isJsonObject(value.annotations))
    return `${key}: "annotations" is not an object`
  const entry: Entry =
    era === 'legacy' && isJsonObject(value.execution) && value.execution.taskSupport === 'required'
      ? { key, text, needsTask: true }
      : { key, text }
  if (!text.includes('"x-mcp-header"')) return entry
  const params = headerParamsOf(schema)
  // Only since 2026-07-28 does the annotation mean something to a server, and is a wrong one a reason to leave the tool out.
  if (typeof params === 'string') return era === 'modern' ? `${key}: ${params}` : entry
  return params.length > 0 ? { ...entry, headerParams: params } : entry
}
