import type { Json, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { find, members, splice, withMembers, type Edit } from './json-text.ts'
import { refuseDuplicates } from './message.ts'
import { META } from './revisions.ts'

/** Changes to the parameters of a request on its way from a client to an upstream. */
export interface ParamsChange {
  /** Member that names the target, with the upstream's own value. */
  readonly target?: { readonly key: 'name' | 'uri' | 'taskId'; readonly value: string } | undefined
  /** Reference of a completion, with the upstream's own value. */
  readonly ref?: { readonly key: 'name' | 'uri'; readonly value: string } | undefined
  /** Progress token of the gateway. The client's own token is never sent upstream. */
  readonly progressToken?: number | undefined
  /** Raw JSON of the envelope members required by a modern upstream; `undefined` for a legacy one. */
  readonly envelope?: Readonly<Record<string, string>> | undefined
}

/** Members of `_meta` that are only for the gateway. */
const REMOVED_KEYS = [
  'progressToken',
  META.protocolVersion,
  META.clientInfo,
  META.clientCapabilities,
  META.logLevel,
] as const

/**
 * Raw text of the parameters to send, `undefined` when there are none. Everything not named in `change` keeps its
 * bytes, except white space inside `_meta`.
 * @throws GatewayError `invalid_request` for duplicate members
 */
export function outgoingParams(
  params: Json<JsonObject> | undefined,
  change: ParamsChange,
): string | undefined {
  if (!params) {
    const meta = metaMembers(undefined, change)
    return meta === undefined ? undefined : `{"_meta":${meta}}`
  }
  const { text, value } = params
  const list = members(text)
  refuseDuplicates(list, value)
  const edits: Edit[] = []
  if (change.target) {
    const member = find(list, change.target.key)
    if (member && value[change.target.key] !== change.target.value)
      edits.push({ start: member.start, end: member.end, text: JSON.stringify(change.target.value) })
  }
  if (change.ref) {
    const ref = find(list, 'ref')
    const inner = ref && isJsonObject(value.ref) ? members(text, ref.start) : undefined
    if (inner) refuseDuplicates(inner, value.ref as JsonObject)
    const member = inner && find(inner, change.ref.key)
    if (member) edits.push({ start: member.start, end: member.end, text: JSON.stringify(change.ref.value) })
  }
  const meta = find(list, '_meta')
  if (meta) {
    const old = text.slice(meta.start, meta.end)
    const replaced = metaMembers({ text: old, value: value._meta }, change)
    if (replaced !== old) edits.push({ start: meta.start, end: meta.end, text: replaced ?? '{}' })
  } else {
    const added = metaMembers(undefined, change)
    if (added !== undefined) {
      const at = text.indexOf('{') + 1
      edits.push({ start: at, end: at, text: `"_meta":${added}${list.length > 0 ? ',' : ''}` })
    }
  }
  return splice(text, edits)
}

function metaMembers(meta: Json | undefined, change: ParamsChange): string | undefined {
  const isObject =
    meta !== undefined && typeof meta.value === 'object' && meta.value !== null && !Array.isArray(meta.value)
  const old = isObject ? (meta as Json<JsonObject>) : undefined
  const removed = old ? REMOVED_KEYS.filter(key => key in old.value) : []
  if (change.progressToken === undefined && !change.envelope) {
    if (removed.length === 0) return meta?.text
    // Most clients send only the envelope there, all of which is removed.
    if (old && removed.length === Object.keys(old.value).length) return '{}'
  }
  const changes: Record<string, string | undefined> = {}
  for (const key of removed) changes[key] = undefined
  if (change.progressToken !== undefined) changes.progressToken = String(change.progressToken)
  if (change.envelope) Object.assign(changes, change.envelope)
  return withMembers(old ? old.text : '{}', changes)
}
