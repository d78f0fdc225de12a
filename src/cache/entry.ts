import type { Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { LinkedNode } from '../core/linked-list.ts'
import { find, members, skipSpace, withMembers } from '../protocol/json-text.ts'
import { resultFor } from '../protocol/results.ts'
import { OWN_META_PREFIX } from '../protocol/revisions.ts'
import type { TierEntry } from './tier.ts'

const MARK = `"${OWN_META_PREFIX}cache":`
/**
 * Longer bodies are stored as bytes, so that they are encoded once. Shorter ones are faster as text, joined with what
 * precedes them.
 */
const MAX_TEXT_BODY = 8 * 1024
/** Memory of an entry besides its text and its key. */
const OVERHEAD_BYTES = 400

/** A result in two parts, between which members of its `_meta` can be inserted. */
interface Halves {
  /** Ends inside `_meta`. */
  readonly open: string
  readonly rest: string
}

/** The form of a result for one kind of client. */
interface Frame {
  /** Ends inside `_meta`, where a member can follow. */
  readonly head: string
  readonly body: string | Buffer
}

/** Source of a hit. */
export type From = 'memory' | 'store'

export interface CacheEntryOptions {
  readonly key: string
  readonly server: string
  /** The client that had it fetched. The bounds apply per owner. */
  readonly owner: string
  readonly entry: TierEntry
  /** The entry's text, parsed. */
  readonly value: JsonObject
  /** Epoch in which its fetch began. */
  readonly epoch: number
  /** Time to live given by the result itself. */
  readonly ttlMs?: number | undefined
}

/**
 * A result in memory, ready to be sent. `_meta` comes first in it, so that the mark of a hit is inserted without a look
 * at the rest. The forms for different clients share one body if they differ only before it.
 */
export class CacheEntry extends LinkedNode {
  readonly key: string
  readonly server: string
  readonly owner: string
  readonly modern: boolean
  readonly storedAt: number
  readonly upstreamMs: number
  readonly tags: readonly string[]
  readonly epoch: number
  readonly ttlMs: number | undefined
  /** Size of the result in bytes. */
  readonly size: number
  /** The content that names resources, as a result with nothing else. `undefined`: it names none. */
  readonly links: JsonObject | undefined
  /** Whether it is being renewed, and when that may be tried again. */
  renewing = false
  renewAt = 0
  /** Used by the memory cache: bytes counted for this entry. */
  counted = 0
  #bytes: number
  /** The result up to its body. */
  readonly #open: string
  readonly #hasMeta: boolean
  readonly #body: string | Buffer
  /** Created on first use, because most entries are never requested. */
  #frames: Map<string, Frame> | undefined

  constructor({ key, server, owner, entry, value, epoch, ttlMs }: CacheEntryOptions) {
    super()
    this.key = key
    this.server = server
    this.owner = owner
    this.modern = entry.modern
    this.storedAt = entry.storedAt
    this.upstreamMs = entry.upstreamMs
    this.tags = entry.tags
    this.epoch = epoch
    this.ttlMs = ttlMs
    this.links = linksOf(value)
    this.#hasMeta = isJsonObject(value._meta)
    // Its time to live changes with every hit.
    const text = ttlMs === undefined ? entry.text : withMembers(entry.text, { ttlMs: undefined })
    const { open, rest } = halved(metaFirst(text, this.#hasMeta), this.#hasMeta)
    this.#body = bodyOf(rest)
    this.size = Buffer.byteLength(open) + sizeOf(this.#body)
    this.#open = open
    this.#bytes = this.size + key.length + OVERHEAD_BYTES
  }

  /** Memory in bytes. Grows when other kinds of client get it. */
  get bytes(): number {
    return this.#bytes
  }

  /** The outcome for a client. `ageMs`: time since it was fetched. */
  outcome(
    client: Pick<Exchange, 'modern' | 'protocolVersion' | 'request'>,
    serverInfo: string,
    ageMs: number,
    from: From,
    stale: boolean,
  ): Outcome {
    const kind = client.modern ? 'modern' : client.protocolVersion
    let frame = this.#frames?.get(kind)
    if (!frame) {
      frame = this.#frame(client, serverInfo)
      ;(this.#frames ??= new Map()).set(kind, frame)
    }
    let { head } = frame
    if (this.ttlMs !== undefined && client.modern)
      head = `{"ttlMs":${Math.max(0, this.ttlMs - ageMs)},${head.slice(1)}`
    return {
      kind: 'cached',
      head: `${head}${MARK}{"hit":true,"ageMs":${ageMs},"tier":"${from}","stale":${stale}}`,
      text: frame.body,
    }
  }

  #frame(client: Pick<Exchange, 'modern' | 'protocolVersion' | 'request'>, serverInfo: string): Frame {
    const open = this.#open
    const rest = this.#body.toString()
    // Without the comma that follows the inserted member.
    const bare = rest.startsWith(',') ? rest.slice(1) : rest
    // The received text, apart from the changes of the constructor.
    const text = this.#hasMeta ? open + bare : `{${rest.slice(rest.startsWith('},') ? 2 : 1)}`
    const value = JSON.parse(text) as JsonObject
    const outcome = { kind: 'result', text, value, modern: this.modern } as const
    const framed = resultFor(client, client.request.method, outcome, serverInfo)
    if (framed === text) return { head: followed(open), body: this.#body }
    for (const end of [rest, bare]) {
      if (!framed.endsWith(end)) continue
      const head = followed(framed.slice(0, framed.length - end.length))
      if (isInsideMeta(head, rest)) return { head, body: this.#body }
    }
    const hasMeta = isJsonObject((JSON.parse(framed) as JsonObject)._meta)
    const own = halved(metaFirst(framed, hasMeta), hasMeta)
    const body = bodyOf(own.rest)
    this.#bytes += own.open.length + sizeOf(body)
    return { head: followed(own.open), body }
  }
}

function linksOf({ content }: JsonObject): JsonObject | undefined {
  if (!Array.isArray(content)) return undefined
  let links: JsonObject[] | undefined
  for (const block of content as unknown[]) {
    if (!isJsonObject(block)) continue
    const { type, uri, resource } = block
    if (type === 'resource_link') (links ??= []).push({ type, uri })
    else if (type === 'resource' && isJsonObject(resource))
      (links ??= []).push({ type, resource: { uri: resource.uri } })
  }
  return links && { content: links }
}

/** The object with its `_meta` before all other members. */
function metaFirst(text: string, hasMeta: boolean): string {
  if (!hasMeta) return text
  const list = members(text)
  const meta = find(list, '_meta')
  if (!meta || list[0] === meta) return text
  const rest = withMembers(text, { _meta: undefined })
  return withMembers(rest, { _meta: text.slice(meta.start, meta.end) })
}

function halved(text: string, hasMeta: boolean): Halves {
  const inside = skipSpace(text, 0) + 1
  if (!hasMeta) {
    const rest = text.slice(inside)
    return { open: '{"_meta":{', rest: isEnd(rest) ? `}${rest}` : `},${rest}` }
  }
  const meta = find(members(text), '_meta')?.start ?? 0
  const at = meta + 1
  const rest = text.slice(at)
  return { open: text.slice(0, at), rest: isEnd(rest) ? rest : `,${rest}` }
}

/** Whether the object has no more members in the rest of the text. */
function isEnd(rest: string): boolean {
  return rest[skipSpace(rest, 0)] === '}'
}

/** Whether a member inserted between the two would be in `_meta`. */
function isInsideMeta(head: string, rest: string): boolean {
  try {
    const { _meta } = JSON.parse(`${head}"":0${rest}`) as JsonObject
    return isJsonObject(_meta) && _meta[''] === 0
  } catch {
    return false
  }
}

/** Prepares the text for one more member. */
function followed(open: string): string {
  return open.endsWith('{') ? open : `${open},`
}

function bodyOf(rest: string): string | Buffer {
  if (rest.length * 3 > MAX_TEXT_BODY) {
    const bytes = Buffer.from(rest)
    // Copied, because the slice would keep the whole text in memory.
    return bytes.length > MAX_TEXT_BODY ? bytes : bytes.toString()
  }
  // Flattens the joined text, which releases the text that its parts were cut from.
  rest.charCodeAt(0)
  return rest
}

function sizeOf(body: string | Buffer): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length
}
