import { INVALID_PARAMS, LEGACY_RESOURCE_NOT_FOUND } from '../core/rpc-codes.ts'
import type { Exchange, Json, JsonObject, ServerResult, CachedResult } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { elements, find, members, skipSpace, splice, withMembers } from './json-text.ts'
import { revisionProfile, resultAt } from './revision-profile.ts'
import { LATEST_LEGACY, META, OWN_META_PREFIX } from './revisions.ts'

/**
 * Framing of results for the era and the revision of the client. Source: specification 2026-07-28, changelog; both
 * directions of a dual-era gateway.
 */

/** Raw JSON of the gateway's own `serverInfo`, for `_meta` of modern results. */
export type ServerInfoText = string

/** `_meta` key of the remaining quotas of a client. */
const QUOTA = `${OWN_META_PREFIX}quota`
const CLOSE_BRACE = 125

/** Methods other than lists whose complete results must carry `ttlMs` and `cacheScope` in the modern era. */
const CACHEABLE: ReadonlySet<string> = new Set(['resources/read'])

/**
 * The result text for a client, from the result of an upstream. `left`, raw JSON of the client's remaining quotas, is
 * added to `_meta`. A result that is not an object stays unchanged.
 */
export function resultFor(
  { modern, protocolVersion }: Pick<Exchange, 'modern' | 'protocolVersion'>,
  method: string,
  outcome: ServerResult,
  serverInfo: ServerInfoText,
  left?: string,
): string {
  if (!isJsonObject(outcome.value)) return outcome.text
  if (modern && !outcome.modern) return toModern(method, outcome, serverInfo, left)
  const text = modern ? outcome.text : legacyText(protocolVersion, method, outcome)
  return left === undefined ? text : withLeft(text, outcome.value, left)
}

/** The text before a cached result, `left` included. */
export function headFor({ head }: CachedResult, left: string | undefined): string {
  return left === undefined ? head : `${head},"${QUOTA}":${left}`
}

/**
 * `value` is the parsed text, or the parsed text from which `text` was made: without `_meta` in the one there is none
 * in the other.
 */
function withLeft(text: string, value: JsonObject, left: string): string {
  const member = value._meta === undefined ? undefined : find(members(text), '_meta')
  if (!member) {
    const open = skipSpace(text, 0) + 1
    const comma = text.charCodeAt(skipSpace(text, open)) === CLOSE_BRACE ? '' : ','
    return `${text.slice(0, open)}"_meta":{"${QUOTA}":${left}}${comma}${text.slice(open)}`
  }
  if (!isJsonObject(value._meta)) return text
  const meta = withMembers(text.slice(member.start, member.end), { [QUOTA]: left })
  return text.slice(0, member.start) + meta + text.slice(member.end)
}

function legacyText(protocolVersion: string, method: string, outcome: ServerResult): string {
  const text = outcome.modern ? toLegacy(outcome) : outcome.text
  if (protocolVersion === LATEST_LEGACY) return text
  const level = revisionProfile(protocolVersion)
  return level ? resultAt(level, method, { text, value: outcome.value }) : text
}

function toModern(
  method: string,
  result: Json,
  serverInfo: ServerInfoText,
  left: string | undefined,
): string {
  const value = result.value as JsonObject
  const added: Record<string, string> = {}
  if (value.resultType === undefined) added.resultType = '"complete"'
  if (CACHEABLE.has(method)) {
    if (value.ttlMs === undefined) added.ttlMs = '0'
    if (value.cacheScope === undefined) added.cacheScope = '"private"'
  }
  const meta = value._meta
  if (meta === undefined) {
    const quota = left === undefined ? '' : `,"${QUOTA}":${left}`
    added._meta = `{"${META.serverInfo}":${serverInfo}${quota}}`
  } else if (isJsonObject(meta)) {
    const own: Record<string, string> = {}
    if (!(META.serverInfo in meta)) own[META.serverInfo] = serverInfo
    if (left !== undefined) own[QUOTA] = left
    const member = find(members(result.text), '_meta')
    if (member) added._meta = withMembers(result.text.slice(member.start, member.end), own)
  }
  if (meta === undefined) return prepend(result.text, added, value)
  return withMembers(result.text, added)
}

/** Inserts members right after the `{` without scanning the rest. The keys need no escapes. */
function prepend(text: string, added: Readonly<Record<string, string>>, value: JsonObject): string {
  const open = skipSpace(text, 0) + 1
  let inserted = ''
  for (const key in added) inserted += `${inserted === '' ? '' : ','}"${key}":${added[key]}`
  for (const _ in value) return `${text.slice(0, open)}${inserted},${text.slice(open)}`
  return `{${inserted}}`
}

function toLegacy(result: Json): string {
  const value = result.value as JsonObject
  const changes: Record<string, string | undefined> = {}
  for (const key of ['resultType', 'ttlMs', 'cacheScope']) if (key in value) changes[key] = undefined
  if (isJsonObject(value._meta)) {
    const inner: Record<string, undefined> = {}
    for (const key of Object.values(META)) if (key in value._meta) inner[key] = undefined
    if (Object.keys(inner).length > 0) {
      if (Object.keys(inner).length === Object.keys(value._meta).length) changes._meta = undefined
      else {
        const member = find(members(result.text), '_meta')
        if (member) changes._meta = withMembers(result.text.slice(member.start, member.end), inner)
      }
    }
  }
  // Before 2026-07-28, structured content is an object; strict clients reject a result with any other value.
  if ('structuredContent' in value && !isJsonObject(value.structuredContent)) {
    changes.structuredContent = undefined
    if (!Array.isArray(value.content) || value.content.length === 0) {
      const member = find(members(result.text), 'structuredContent')
      const text = member ? result.text.slice(member.start, member.end) : 'null'
      changes.content = `[{"type":"text","text":${JSON.stringify(text)}}]`
    }
  }
  return Object.keys(changes).length === 0 ? result.text : withMembers(result.text, changes)
}

/**
 * Maps the URIs in a result: those of resource links and embedded resources in `content`, of prompt messages, and of
 * `contents`. URIs inside text are never changed. Returns the same text when nothing changes.
 */
export function mapUris(result: Json, map: (uri: string) => string): string {
  if (!isJsonObject(result.value)) return result.text
  const edits: { start: number; end: number; text: string }[] = []
  const text = result.text
  const uriOf = (start: number): void => {
    if (text[skipSpace(text, start)] !== '{') return
    const member = find(members(text, start), 'uri')
    if (!member) return
    const uri: unknown = JSON.parse(text.slice(member.start, member.end))
    if (typeof uri !== 'string') return
    const mapped = map(uri)
    if (mapped !== uri) edits.push({ start: member.start, end: member.end, text: JSON.stringify(mapped) })
  }
  const block = (start: number): void => {
    if (text[skipSpace(text, start)] !== '{') return
    const list = members(text, start)
    const type = find(list, 'type')
    const resource = find(list, 'resource')
    if (type && text.slice(type.start, type.end) === '"resource_link"') uriOf(start)
    else if (resource) uriOf(resource.start)
  }
  for (const member of members(text)) {
    if (text.charCodeAt(member.start) !== 91) continue
    for (const element of elements(text, member.start)) {
      if (member.key === 'contents') uriOf(element.start)
      else if (member.key === 'content') block(element.start)
      else if (member.key === 'messages' && text[skipSpace(text, element.start)] === '{') {
        const content = find(members(text, element.start), 'content')
        if (content) block(content.start)
      }
    }
  }
  return splice(text, edits)
}

/** The JSON-RPC error object for a client of the given era: the code for an unknown resource changed in 2026-07-28. */
export function errorFor(modern: boolean, error: Json): string {
  if (!modern || !isJsonObject(error.value) || error.value.code !== LEGACY_RESOURCE_NOT_FOUND)
    return error.text
  return withMembers(error.text, { code: String(INVALID_PARAMS) })
}
