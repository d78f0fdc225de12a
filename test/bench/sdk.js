// @ts-check
/**
 * An aggregator as one writes it with the official SDK: its `Server` in front, one a session, its `Client` behind, names prefixed.
 * Plain `node:http` and an already parsed body, so that no web framework is counted. Usage: `node sdk.js <upstream url>`.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import {
  CallToolRequestSchema,
  ErrorCode,
  isInitializeRequest,
  ListToolsRequestSchema,
  McpError,
} from '@modelcontextprotocol/sdk/types.js'
import { announce, readBody } from './serving.js'

const PREFIX = 'up__'
const upstream = new Client({ name: 'bench-aggregator', version: '1.0.0' })
/** @typedef {import('@modelcontextprotocol/sdk/shared/transport.js').Transport} Transport */
await upstream.connect(
  /** @type {Transport} */ (new StreamableHTTPClientTransport(new URL(process.argv[2] ?? ''))),
)

/** @type {Map<string, StreamableHTTPServerTransport>} */
const sessions = new Map()

/** @returns {Promise<StreamableHTTPServerTransport>} */
async function openSession() {
  const server = new Server({ name: 'bench-aggregator', version: '1.0.0' }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, async () => {
    const { tools } = await upstream.listTools()
    return { tools: tools.map(tool => ({ ...tool, name: PREFIX + tool.name })) }
  })
  server.setRequestHandler(CallToolRequestSchema, async request => {
    const { name, arguments: args } = request.params
    if (!name.startsWith(PREFIX)) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${name}`)
    return upstream.callTool({ name: name.slice(PREFIX.length), arguments: args })
  })
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: id => void sessions.set(id, transport),
    onsessionclosed: id => void sessions.delete(id),
  })
  await server.connect(/** @type {Transport} */ (transport))
  return transport
}

/**
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 * @param {unknown} body
 */
async function serve(request, response, body) {
  const id = request.headers['mcp-session-id']
  const known = typeof id === 'string' ? sessions.get(id) : undefined
  if (!known && !isInitializeRequest(body)) {
    response.writeHead(404).end()
    return
  }
  await (known ?? (await openSession())).handleRequest(request, response, body)
}

const server = createServer((request, response) => {
  readBody(request, body => {
    serve(request, response, body === '' ? undefined : JSON.parse(body)).catch(error =>
      response.destroy(error),
    )
  })
})

announce(server)
