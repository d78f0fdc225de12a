import { mayRetryOnNewLink } from '../core/retry-on-new-link.ts'
import { monotonicNow } from '../core/clock.ts'
import { detached } from '../core/detached.ts'
import { METHOD_NOT_FOUND } from '../core/rpc-codes.ts'
import { describeError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import { LIST_KINDS, type ListKind } from '../core/route.ts'
import { Slices } from '../core/slices.ts'
import { MAX_URI_CHARS } from '../core/uri-readings.ts'
import { headerParamsOf } from '../protocol/headers.ts'
import { cachingOf, tighter, type Caching } from '../protocol/caching.ts'
import { elements, find, isDeeperThan, members } from '../protocol/json-text.ts'
import { UriTemplate } from '../protocol/uri-template.ts'
import { ListDigest } from './digest.ts'
import { ReadingBudget } from './reading-budget.ts'
import type { CachingBy, Entry, ServerSnapshot } from './snapshot.ts'

/** The part of a link that ingestion needs. */
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
  /** Capability that the server must have for the list to be requested. */
  readonly capability: string
  /** Member that identifies an entry. */
  readonly key: string
}

export const LIST_METHODS: Readonly<Record<ListKind, ListMethod>> = {
  tools: { method: 'tools/list', capability: 'tools', key: 'name' },
  resources: { method: 'resources/list', capability: 'resources', key: 'uri' },
  resourceTemplates: { method: 'resources/templates/list', capability: 'resources', key: 'uriTemplate' },
  prompts: { method: 'prompts/list', capability: 'prompts', key: 'name' },
}

/** Bounds of one list of a server. The rest is left out, with a warning that names the bound. */
export const MAX_PAGES = 200
export const MAX_ENTRIES = 20_000
const MAX_LIST_CHARS = 8 * 1024 * 1024
/** Bound of the time for a whole list, as a multiple of the time for a page. */
const MAX_LIST_TIMES = 10

/** Bounds of one definition. A definition beyond them is left out. */
export const MAX_DEFINITION_CHARS = 1024 * 1024
const MAX_DEFINITION_DEPTH = 128

const CURSOR_AGAIN = 'a cursor comes again'
const FIX = 'have the server list less, or faster where a time is exceeded; or divide it into several servers'

/** Maximum number of left-out definitions of one list that the log names. */
const MAX_NAMED = 10

/** The lists of a server that are already available. */
export type Known = Pick<ServerSnapshot, 'lists' | 'caching' | 'incomplete'>

interface Fetched {
  readonly entries: readonly Entry[]
  /** Caching merged over all pages. */
  readonly caching: Caching | undefined
  /** Whether something was left out. */
  readonly isCut: boolean
}

const NONE: Fetched = { entries: [], caching: undefined, isCut: false }
const UNKNOWN: Fetched = { ...NONE, isCut: true }

/**
 * Fetches every page of every list of a server. A list that fails keeps its content from `previous`, so that it never
 * empties another list. Entries that would break strict clients are left out one by one, with a warning that gives the
 * reason.
 * @throws when every list that the server should have failed, or the link failed in a way that a new link may mend
 * (`worthAnotherLink`)
 */
export async function fetchLists(
  lister: Lister,
  timeoutMs: number,
  previous: Known | undefined,
  logger: Logger,
): Promise<Known> {
  const failures: { readonly kind: ListKind; readonly error: unknown }[] = []
  let asked = 0
  const fetched = await Promise.all(
    LIST_KINDS.map(async (kind): Promise<Fetched> => {
      if (!Object.hasOwn(lister.peer.capabilities, LIST_METHODS[kind].capability)) return NONE
      asked++
      try {
        return await fetchList(lister, kind, timeoutMs, logger)
      } catch (error) {
        // Templates are optional even where resources are not; many servers answer "method not found".
        if ((error as { rpcCode?: number }).rpcCode === METHOD_NOT_FOUND) return NONE
        // A new link may deliver all lists.
        if (mayRetryOnNewLink(error)) throw error
        failures.push({ kind, error })
        return keptOf(kind, previous)
      }
    }),
  )
  if (failures[0] && failures.length === asked) throw failures[0].error
  for (const { kind, error } of failures)
    logger.warn('A list could not be fetched; what is known of it stays.', {
      list: kind,
      cause: describeError(error),
    })
  const by = <T>(of: (list: Fetched) => T): [ListKind, T][] =>
    LIST_KINDS.map((kind, at) => [kind, of(fetched[at] ?? NONE)])
  const incomplete = LIST_KINDS.filter((_, at) => fetched[at]?.isCut)
  return {
    ...(incomplete.length === 0 ? {} : { incomplete }),
    lists: Object.fromEntries(by(({ entries }) => entries)) as Known['lists'],
    caching: Object.fromEntries(by(({ caching }) => caching).filter(([, caching]) => caching)) as CachingBy,
  }
}

/** The previous content of a list that could not be fetched. */
function keptOf(kind: ListKind, previous: Known | undefined): Fetched {
  if (!previous) return UNKNOWN
  const { lists, caching, incomplete = [] } = previous
  return { entries: lists[kind], caching: caching[kind], isCut: incomplete.includes(kind) }
}

/** Fetches the tools that a link offers, independently of the stored lists of its server. */
export async function fetchTools(
  lister: Lister,
  timeoutMs: number,
  logger: Logger,
): Promise<readonly Entry[]> {
  if (!Object.hasOwn(lister.peer.capabilities, LIST_METHODS.tools.capability)) return []
  return (await fetchList(lister, 'tools', timeoutMs, logger)).entries
}

async function fetchList(
  lister: Lister,
  kind: ListKind,
  timeoutMs: number,
  logger: Logger,
): Promise<Fetched> {
  const { method } = LIST_METHODS[kind]
  const collected = new Collected(kind, lister.peer.era, logger)
  const cursors = new Set<string>()
  const until = monotonicNow() + MAX_LIST_TIMES * timeoutMs
  let caching: Caching | undefined
  let cursor: string | undefined
  for (let page = 1; ; page++) {
    const params = cursor === undefined ? undefined : JSON.stringify({ cursor })
    const result = await lister.request(method, params, timeoutMs)
    const list = find(members(result.text), kind)
    const values = result.value[kind]
    if (!list || !Array.isArray(values)) throw new Error(`the answer to ${method} has no array "${kind}"`)
    if (lister.peer.era === 'modern') caching = tighter(caching, cachingOf(result.value))
    let exceeded = await collected.take(result.text, list.start, values as readonly unknown[])
    const next = result.value.nextCursor
    if (exceeded === undefined && typeof next === 'string') {
      if (cursors.has(next)) exceeded = CURSOR_AGAIN
      else if (page >= MAX_PAGES) exceeded = `more than ${MAX_PAGES} pages`
      else if (monotonicNow() > until) exceeded = `more than ${MAX_LIST_TIMES} times "listTimeout"`
    }
    if (exceeded !== undefined)
      logger.warn('The list is longer than what is taken of one; the rest is left out.', {
        list: kind,
        exceeded,
        fix: exceeded === CURSOR_AGAIN ? 'mend the paging of the server' : FIX,
        pages: page,
        entries: collected.entries.length,
      })
    if (exceeded !== undefined || typeof next !== 'string') {
      collected.end()
      const isCut = exceeded !== undefined || collected.leavesOut
      return { entries: collected.entries, caching, isCut }
    }
    cursors.add(next)
    cursor = next
  }
}

/** Collects the entries of one list, page by page. */
class Collected {
  readonly entries: Entry[] = []
  readonly #kind: ListKind
  readonly #era: 'legacy' | 'modern'
  readonly #logger: Logger
  readonly #seen = new Set<string>()
  readonly #digest = new ListDigest()
  readonly #readings = new ReadingBudget()
  #chars = 0
  #leftOut = 0

  constructor(kind: ListKind, era: 'legacy' | 'modern', logger: Logger) {
    this.#kind = kind
    this.#era = era
    this.#logger = logger
  }

  /** Takes the array whose `[` is at offset `start` of a page. @returns the bound that is exceeded, if any */
  async take(page: string, start: number, values: readonly unknown[]): Promise<string | undefined> {
    const left = MAX_ENTRIES - this.entries.length
    const slices = new Slices()
    for (const [index, span] of elements(page, start, left).entries()) {
      if (slices.over) await slices.next()
      this.#chars += span.end - span.start
      if (this.#chars > MAX_LIST_CHARS) return `more than ${MAX_LIST_CHARS} characters`
      if (this.#readings.exceeded !== undefined) return this.#readings.exceeded
      this.#add(page.slice(span.start, span.end), values[index])
    }
    return values.length > left ? `more than ${MAX_ENTRIES} entries` : undefined
  }

  /** Whether a definition was left out. */
  get leavesOut(): boolean {
    return this.#leftOut > 0
  }

  /** Completes the list. */
  end(): void {
    this.#digest.end(this.entries)
    if (this.#leftOut > MAX_NAMED)
      this.#logger.warn('Further definitions are left out without a log record of their own.', {
        list: this.#kind,
        leftOut: this.#leftOut,
      })
  }

  #add(text: string, value: unknown): void {
    const entry = outOfBounds(text) ?? checked(this.#kind, detached(text), value, this.#era, this.#readings)
    if (typeof entry === 'string')
      this.#leaveOut('A definition is left out: clients would reject it, or it exceeds a bound.', {
        reason: entry.slice(0, 200),
        start: text.slice(0, 120),
      })
    else if (this.#seen.has(entry.key))
      this.#leaveOut('A definition stands twice; the first is used.', { name: entry.key })
    else {
      this.#seen.add(entry.key)
      this.#digest.add(entry)
      this.entries.push(entry)
    }
  }

  #leaveOut(message: string, details: Readonly<Record<string, string>>): void {
    if (++this.#leftOut <= MAX_NAMED) this.#logger.warn(message, { list: this.#kind, ...details })
  }
}

/** Describes in a sentence why the size of a definition is out of bounds. `undefined`: it is within them. */
function outOfBounds(text: string): string | undefined {
  if (text.length > MAX_DEFINITION_CHARS)
    return `it has ${text.length} characters; at most ${MAX_DEFINITION_CHARS} are taken`
  if (isDeeperThan(text, MAX_DEFINITION_DEPTH))
    return `it is nested more than ${MAX_DEFINITION_DEPTH} levels deep`
  return undefined
}

/** Returns the entry, or a sentence that describes what is wrong with it. */
function checked(
  kind: ListKind,
  text: string,
  value: unknown,
  era: 'legacy' | 'modern',
  readings: ReadingBudget,
): Entry | string {
  if (!isJsonObject(value)) return 'it is not an object'
  const keyName = LIST_METHODS[kind].key
  const key = value[keyName]
  if (typeof key !== 'string' || key === '') return `"${keyName}" is not a non-empty string`
  if (kind === 'resources' || kind === 'resourceTemplates') {
    if (key.length > MAX_URI_CHARS)
      return `"${keyName}" has ${key.length} characters; at most ${MAX_URI_CHARS} are taken`
    if (typeof value.name !== 'string') return `${key}: "name" is not a string`
    const excess = (kind === 'resourceTemplates' ? UriTemplate.excess(key) : undefined) ?? readings.take(key)
    return excess === undefined ? { key, text } : `"${keyName}": ${excess}`
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
  // Servers use the annotation only since 2026-07-28. Only there is a wrong annotation a reason to leave the tool out.
  if (typeof params === 'string') return era === 'modern' ? `${key}: ${params}` : entry
  return params.length > 0 ? { ...entry, headerParams: params } : entry
}
