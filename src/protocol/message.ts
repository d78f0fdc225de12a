import { GatewayError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/exchange.ts'
import { find, members, onOneLine, type JsonMember } from './json-text.ts'
import { refuseVariants } from './member-names.ts'

/** JSON-RPC 2.0 messages as text. Ids are kept as raw text, so that they are returned exactly as received. */

/** A received message: its text and its parsed value. */
export interface Message {
  readonly text: string
  readonly value: JsonObject
}

export type MessageKind = 'request' | 'notification' | 'response'

/** A parsed request or notification. */
export interface Incoming {
  /** Raw text of the id; `undefined` for a notification. */
  readonly id: string | undefined
  readonly method: string
  readonly params: Json<JsonObject> | undefined
}

/** @throws GatewayError `parse_error` when the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new GatewayError('parse_error', 'The message is not valid JSON.', { cause: error })
  }
}

/**
 * The kind of a parsed message.
 * @throws GatewayError `invalid_request` when it is not a message
 */
export function messageKindOf(value: unknown): MessageKind {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new GatewayError('invalid_request', 'A JSON-RPC message must be a JSON object.')
  const message = value as JsonObject
  if (message.jsonrpc !== '2.0')
    throw new GatewayError('invalid_request', 'A JSON-RPC message needs "jsonrpc": "2.0".')
  if (message.method !== undefined) {
    if (typeof message.method !== 'string')
      throw new GatewayError('invalid_request', '"method" must be a string.')
    if (!('id' in message)) return 'notification'
    if (!isId(message.id)) throw new GatewayError('invalid_request', '"id" must be a string or an integer.')
    return 'request'
  }
  if ('result' in message || 'error' in message) return 'response'
  throw new GatewayError('invalid_request', 'The message has neither a method nor a result nor an error.')
}

export function isId(value: unknown): value is string | number {
  return typeof value === 'string' || (typeof value === 'number' && Number.isInteger(value))
}

/**
 * Parses a request or notification. A member that occurs twice, or in two spellings that differ only in case, is
 * refused: different parsers could use different ones, so that a policy would decide on one while the server acts on
 * the other.
 * @throws GatewayError `invalid_request`, `invalid_params`
 */
export function takeApart(message: Message): Incoming {
  const list = members(message.text)
  refuseDuplicates(list, message.value)
  refuseVariants(message.value)
  const id = find(list, 'id')
  const params = find(list, 'params')
  const value = message.value.params
  if (params && (typeof value !== 'object' || value === null || Array.isArray(value)))
    throw new GatewayError('invalid_params', '"params" must be an object.')
  return {
    id: id && message.text.slice(id.start, id.end),
    method: message.value.method as string,
    params: params && { text: message.text.slice(params.start, params.end), value: value as JsonObject },
  }
}

/** @throws GatewayError `invalid_request` when the text has more members than its parsed value */
export function refuseDuplicates(list: readonly JsonMember[], value: JsonObject): void {
  if (list.length === Object.keys(value).length) return
  const seen = new Set<string>()
  for (const { key } of list) {
    // `__proto__` is an own member after `JSON.parse`, so the counts differ only by duplicates.
    if (seen.has(key))
      throw new GatewayError('invalid_request', `Member ${JSON.stringify(key)} stands twice in one object.`)
    seen.add(key)
  }
}

export function requestText(id: number, method: string, params: string | undefined): string {
  const head = `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)}`
  return params === undefined ? `${head}}` : `${head},"params":${params}}`
}

export function notificationText(method: string, params: string | undefined): string {
  const head = `{"jsonrpc":"2.0","method":${JSON.stringify(method)}`
  return params === undefined ? `${head}}` : `${head},"params":${params}}`
}

/**
 * A notification for several clients: on one line, as event streams require, so that all of them can share the text.
 */
export function sharedNotification(method: string, params: string | undefined): string {
  return onOneLine(notificationText(method, params))
}

/** `id` is raw text. */
export function resultText(id: string, result: string): string {
  return `{"jsonrpc":"2.0","id":${id},"result":${result}}`
}

/** `id` and `error` are raw text. */
export function errorText(id: string, error: string): string {
  return `{"jsonrpc":"2.0","id":${id},"error":${error}}`
}
