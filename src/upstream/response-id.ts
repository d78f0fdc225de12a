/** Where the id is looked for at either end. */
const END_CHARS = 512

/** `{"jsonrpc":"2.0","id":7,"result":…`: members that may come before the answer itself, in any order. */
const RESPONSE_HEAD =
  /^\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,|\s*"id"\s*:\s*\d{1,15}\s*,)*\s*"(?:result|error)"\s*:/
const HEAD_ID = /"id"\s*:\s*(\d+)/
/** `…,"jsonrpc":"2.0","id":7}`: a single closing brace makes it a member of the message itself, not of something inside. */
const RESPONSE_TAIL = /,\s*"id"\s*:\s*(\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/

/**
 * Finds the id of a JSON-RPC response of which only the two ends are known. Serializers write the id before or after the answer, hence at
 * one of the ends. `undefined` for anything that is not surely a response with a number for an id.
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

/** The id that the beginning or the end of a garbled message still shows. */
export function probableId(text: string): number | undefined {
  const match =
    /^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d+)/.exec(text) ??
    /"id"\s*:\s*(\d+)\s*\}\s*$/.exec(text)
  return match ? Number(match[1]) : undefined
}

/** Whether `body` is a JSON-RPC error for request `id`. */
export function carriesAnswer(body: string, id: number): boolean {
  try {
    const value: unknown = JSON.parse(body)
    return (
      typeof value === 'object' && value !== null && 'error' in value && (value as { id?: unknown }).id === id
    )
  } catch {
    return false
  }
}
