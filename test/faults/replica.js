// @ts-check

/**
 * What every replica offers, in either era: a resource to read, and the tools `marked` and `unmarked`. Each call bears a key, by which its runs are
 * counted, and gives that key back.
 */

const MODERN = '2026-07-28'
const FRESH = { ttlMs: 0, cacheScope: 'private' }
const CAPABILITIES = { tools: {}, resources: {} }
const serverInfo = { name: 'faults', version: '1' }
const inputSchema = { type: 'object', properties: { key: { type: 'string' } }, required: ['key'] }
const TOOLS = ['marked', 'unmarked'].map(name => ({ name, inputSchema }))

/** @typedef {'legacy' | 'modern'} Era */
/** @typedef {{ id?: string | number, method?: string, params?: any }} Message */

/**
 * The key of a call, `undefined` for any other message.
 *
 * @param {Message} message
 * @returns {string | undefined}
 */
export function keyOf({ method, params }) {
  if (method === 'tools/call') return params.arguments.key
  if (method === 'resources/read') return String(params.uri).split('/').at(-1)
  return undefined
}

/**
 * The text of the answer to a request, and whether it says that the server knows no such thing.
 *
 * @param {Era} era
 * @param {Message} message
 * @returns {{ text: string, refused: boolean }}
 */
export function answerTo(era, message) {
  const { id } = message
  const result = resultOf(era, message)
  if (result === undefined) {
    const error = { code: -32601, message: `no method ${message.method}` }
    return { text: JSON.stringify({ jsonrpc: '2.0', id, error }), refused: true }
  }
  const complete = era === 'modern' ? { resultType: 'complete', ...result } : result
  return { text: JSON.stringify({ jsonrpc: '2.0', id, result: complete }), refused: false }
}

/** @param {Era} era @param {Message} message @returns {object | undefined} */
function resultOf(era, message) {
  const fresh = era === 'modern' ? FRESH : {}
  const { method, params } = message
  switch (method) {
    case 'initialize':
      return era === 'modern'
        ? undefined
        : { protocolVersion: params.protocolVersion, capabilities: CAPABILITIES, serverInfo }
    case 'server/discover':
      return era === 'legacy'
        ? undefined
        : { supportedVersions: [MODERN], capabilities: CAPABILITIES, serverInfo, ...FRESH }
    case 'ping':
      return {}
    case 'tools/list':
      return { tools: TOOLS, ...fresh }
    case 'resources/list':
      return { resources: [], ...fresh }
    case 'resources/templates/list':
      return { resourceTemplates: [], ...fresh }
    case 'tools/call':
      return { content: [{ type: 'text', text: keyOf(message) }] }
    case 'resources/read':
      return { contents: [{ uri: params.uri, text: keyOf(message) }], ...fresh }
    default:
      return undefined
  }
}
