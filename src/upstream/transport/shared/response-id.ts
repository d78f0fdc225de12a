import { hasTooManyValues } from './too-many-values.ts'

/** Characters at either end that are searched for the id. */
const END_CHARS = 512

/** `{"jsonrpc":"2.0","id":7,"result":…`: members that may come before the answer itself, in any order. */
const RESPONSE_HEAD =
  /^\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,|\s*"id"\s*:\s*\d{1,15}\s*,)*\s*"(?:result|error)"\s*:/
const HEAD_ID = /"id"\s*:\s*(\d+)/
/**
 * `…,"jsonrpc":"2.0","id":7}`: with a single closing brace it is a member of the message itself, not of a nested
 * object.
 */
const RESPONSE_TAIL = /,\s*"id"\s*:\s*(\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/

/**
 * Finds the id of a JSON-RPC response of which only the two ends are available. Serialisers write the id before or
 * after the answer, hence at one of the ends. `undefined` unless the message is certainly a response with a numeric id.
 */
export function responseId(head: string, tail: string): number | undefined {
  const start = RESPONSE_HEAD.exec(head)?.[0]
  if (start === undefined) return undefined
  const id = HEAD_ID.exec(start) ?? RESPONSE_TAIL.exec(tail)
  return id ? Number(id[1]) : undefined
}

/** The id of a response, from the two ends of its text. */
export function endsId(text: string): number | undefined {
  return responseId(text.slice(0, END_CHARS), text.slice(-END_CHARS))
}

/** The id of the request that an unread message answers, as far as its beginning or end shows. */
export function unreadAnswer(
  text: string,
  waiting: { readonly size: number; has(id: number): boolean; values(): Iterable<{ readonly id: number }> },
): number | undefined {
  const certain = endsId(text)
  // It may belong to an abandoned request, and then no other request fails for it.
  if (certain !== undefined) return certain
  const id = probableId(text)
  if (id !== undefined && waiting.has(id)) return id
  // Without this member it is a log line that happens to begin like a message, and no call fails for it.
  if (waiting.size !== 1 || !text.includes('"jsonrpc"')) return undefined
  const [only] = waiting.values()
  return only?.id
}

/** The id that the beginning or the end of a garbled message still shows. */
function probableId(text: string): number | undefined {
  const match =
    /^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d+)/.exec(text) ??
    /"id"\s*:\s*(\d+)\s*\}\s*$/.exec(text)
  return match ? Number(match[1]) : undefined
}

/** Whether `body` is a JSON-RPC error for request `id`. */
export function carriesAnswer(body: string, id: number): boolean {
  if (hasTooManyValues(body)) return endsId(body) === id
  try {
    const value: unknown = JSON.parse(body)
    return (
      typeof value === 'object' && value !== null && 'error' in value && (value as { id?: unknown }).id === id
    )
  } catch {
    return false
  }
}
