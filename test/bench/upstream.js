// @ts-check
/**
 * The upstream of the benchmark: a raw `node:http` server that speaks just enough MCP to be called, so that its own cost is as small
 * as it can be. It parses every body and answers `tools/call` of `echo` with the text it was given.
 *
 * Endpoints: `/mcp` (legacy, no session), `/session` (legacy, assigns `Mcp-Session-Id`), `/modern` (2026-07-28), `/large` (legacy; results also hold as many
 * characters as the first argument says).
 */
import { createServer } from 'node:http'
import { announce, readBody } from './serving.js'

const JSON_TYPE = { 'content-type': 'application/json' }
const SERVER_INFO = { name: 'bench-upstream', version: '1.0.0' }
const MODERN = '2026-07-28'
const FRESH = { ttlMs: 3_600_000, cacheScope: 'public' }
const TOOLS = [
  {
    name: 'echo',
    description: 'Answers with the text it was given.',
    inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  },
]

/** Prepared, so that a large answer costs hardly more than a small one. */
const LARGE = JSON.stringify({ type: 'text', text: 'x'.repeat(Number(process.argv[2] ?? 65_536)) })

let sessions = 0

const server = createServer((request, response) => {
  if (request.method === 'DELETE') {
    response.writeHead(200).end()
    return
  }
  if (request.method !== 'POST') {
    response.writeHead(405, { allow: 'POST' }).end()
    return
  }
  readBody(request, body => answer(request.url ?? '/', JSON.parse(body), response))
})

/**
 * @param {string} url
 * @param {{ id?: string | number, method?: string, params?: any }} message
 * @param {import('node:http').ServerResponse} response
 */
function answer(url, message, response) {
  if (message.id === undefined || message.method === undefined) {
    response.writeHead(202).end()
    return
  }
  const modern = url === '/modern'
  const complete = modern
    ? { resultType: 'complete', _meta: { 'io.modelcontextprotocol/serverInfo': SERVER_INFO } }
    : {}
  switch (message.method) {
    case 'tools/call': {
      if (message.params?.name !== 'echo') return fail(200, -32602, `Unknown tool: ${message.params?.name}`)
      const first = { type: 'text', text: message.params.arguments.text }
      if (url === '/large') return send(`{"content":[${JSON.stringify(first)},${LARGE}]}`)
      return reply({ ...complete, content: [first] })
    }
    case 'tools/list':
      return reply({ ...complete, ...(modern ? FRESH : {}), tools: TOOLS })
    case 'initialize': {
      if (modern) return fail(400, -32022, 'Unsupported protocol version', { supported: [MODERN] })
      const protocolVersion = message.params.protocolVersion
      return reply(
        { protocolVersion, capabilities: { tools: {} }, serverInfo: SERVER_INFO },
        url === '/session' ? { 'mcp-session-id': `s${++sessions}` } : {},
      )
    }
    case 'server/discover':
      if (!modern) return fail(400, -32000, 'Bad Request: Server not initialized')
      return reply({ ...complete, ...FRESH, supportedVersions: [MODERN], capabilities: { tools: {} } })
    case 'ping':
      return reply({})
    default:
      return fail(modern ? 404 : 200, -32601, 'Method not found')
  }

  /** @param {object} result @param {Record<string, string>} [headers] */
  function reply(result, headers) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, result })
    response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(body), ...headers })
    response.end(body)
  }

  /** @param {string} result raw JSON */
  function send(result) {
    const body = `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":${result}}`
    response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(body) })
    response.end(body)
  }

  /** @param {number} status @param {number} code @param {string} text @param {object} [data] */
  function fail(status, code, text, data) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, error: { code, message: text, data } })
    response.writeHead(status, { ...JSON_TYPE, 'content-length': Buffer.byteLength(body) })
    response.end(body)
  }
}

announce(server)
