import type { JsonObject } from '../core/exchange.ts'
import type { HeaderParam } from '../core/route.ts'

/** The `Mcp-*` headers of the modern HTTP transport (specification 2026-07-28, basic/transports, "Request headers"). */

/** Methods with an `Mcp-Name` header, and the member of `params` that it repeats. */
export const NAMED_METHODS: Readonly<Record<string, 'name' | 'uri' | 'taskId'>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/result': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
}

const SENTINEL = /^=\?base64\?(.*)\?=$/s
/** Visible ASCII with inner spaces or tabs: the characters that are safe in an HTTP field value. */
const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/

/** A JSON number; `Number` alone would also accept `0x2a` and white space. */
const DECIMAL = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** Encodes a header value: unchanged when safe, else `=?base64?…?=` of its UTF-8 bytes. */
export function encodeHeaderValue(value: string): string {
  if (PLAIN.test(value) && !SENTINEL.test(value)) return value
  return `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`
}

/** Decodes a header value; `undefined` for invalid Base64. */
export function decodeHeaderValue(header: string): string | undefined {
  const match = header.startsWith('=?') ? SENTINEL.exec(header) : null
  if (!match) return header
  const encoded = match[1] as string
  const bytes = Buffer.from(encoded, 'base64')
  // `Buffer` ignores invalid characters, so only an encoding that round-trips is valid.
  if (bytes.toString('base64') !== encoded) return undefined
  return bytes.toString('utf8')
}

/** Header value of an argument; `undefined` for values without a header (absent, `null`, objects). */
export function headerTextOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'number' && Number.isInteger(value)) return String(value)
  return undefined
}

function argumentAt(args: unknown, path: readonly string[]): unknown {
  let at = args
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as JsonObject)[key]
  }
  return at
}

/** `Mcp-Param-*` headers for the arguments of a call, keys in lower case. */
export function paramHeaders(params: readonly HeaderParam[], args: unknown): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const { header, path } of params) {
    const text = headerTextOf(argumentAt(args, path))
    if (text !== undefined) headers[`mcp-param-${header.toLowerCase()}`] = encodeHeaderValue(text)
  }
  return headers
}

/**
 * Describes the first mismatch between the `Mcp-Param-*` headers and the arguments of a call; `undefined` when they
 * match. Integers compare as numbers.
 */
export function paramHeaderMismatch(
  params: readonly HeaderParam[],
  args: unknown,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): string | undefined {
  for (const { header, path } of params) {
    const value = argumentAt(args, path)
    const expected = headerTextOf(value)
    const sent = headers[`mcp-param-${header.toLowerCase()}`]
    if (expected === undefined) {
      if (sent !== undefined)
        return `Mcp-Param-${header} was sent, but the argument "${path.join('.')}" is absent.`
      continue
    }
    if (sent === undefined) return `Mcp-Param-${header} is missing for the argument "${path.join('.')}".`
    const decoded = typeof sent === 'string' ? decodeHeaderValue(sent) : undefined
    const same =
      typeof value === 'number'
        ? decoded !== undefined && DECIMAL.test(decoded) && Number(decoded) === value
        : decoded === expected
    if (!same) return `Mcp-Param-${header} differs from the argument "${path.join('.')}".`
  }
  return undefined
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/**
 * The `x-mcp-header` annotations of a tool's input schema.
 * @returns the parameters, or a sentence that explains why the tool must not be listed
 */
export function headerParamsOf(schema: unknown): readonly HeaderParam[] | string {
  const found: HeaderParam[] = []
  const problem = walk(schema, [], true, found)
  if (problem) return problem
  const seen = new Set<string>()
  for (const { header } of found) {
    const lower = header.toLowerCase()
    if (seen.has(lower)) return `x-mcp-header "${header}" stands twice`
    seen.add(lower)
  }
  return found
}

/**
 * `reachable`: whether the path consists of `properties` only, so that the position of the value in the arguments is
 * known.
 */
function walk(
  schema: unknown,
  path: readonly string[],
  reachable: boolean,
  found: HeaderParam[],
): string | undefined {
  if (Array.isArray(schema)) {
    for (const item of schema) {
      const problem = walk(item, path, false, found)
      if (problem) return problem
    }
    return undefined
  }
  if (typeof schema !== 'object' || schema === null) return undefined
  const node = schema as JsonObject
  if ('x-mcp-header' in node) {
    const header = node['x-mcp-header']
    if (typeof header !== 'string' || !TOKEN.test(header)) return 'x-mcp-header is not an HTTP token'
    if (!reachable || path.length === 0)
      return `x-mcp-header "${header}" is not reachable through "properties" alone`
    if (node.type !== 'string' && node.type !== 'integer' && node.type !== 'boolean')
      return `x-mcp-header "${header}" needs type string, integer or boolean`
    found.push({ header, path })
  }
  for (const key of Object.keys(node)) {
    const child = node[key]
    if (typeof child !== 'object' || child === null) continue
    if (key === 'properties' && !Array.isArray(child)) {
      for (const name of Object.keys(child)) {
        const problem = walk((child as JsonObject)[name], [...path, name], reachable, found)
        if (problem) return problem
      }
    } else if (key !== 'enum' && key !== 'const' && key !== 'default' && key !== 'examples') {
      const problem = walk(child, path, false, found)
      if (problem) return problem
    }
  }
  return undefined
}
