// @ts-check
/**
 * A server with many tools, as a process: `node many-tools.js <tools>`. It prints its address, and ends with its IPC
 * channel.
 */
import { createServer } from 'node:http'

const tools = Array.from({ length: Number(process.argv[2]) }, (_, at) => ({
  name: `tool_${at}`,
  description: 'Finds the documents that match all words of a query, the newest first.',
  inputSchema: {
    type: 'object',
    properties: { query: { type: 'string' }, limit: { type: 'integer', minimum: 1, maximum: 100 } },
    required: ['query'],
  },
}))
/** @type {Record<string, object>} */
const RESULTS = {
  initialize: {
    protocolVersion: '2025-11-25',
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: 'many-tools', version: '1' },
  },
  'tools/list': { tools },
  'tools/call': { content: [{ type: 'text', text: 'done' }] },
}
const texts = new Map(Object.entries(RESULTS).map(([method, result]) => [method, JSON.stringify(result)]))
let sessions = 0

const server = createServer((request, response) => {
  if (request.method !== 'POST') return void response.writeHead(405).end()
  let body = ''
  request.setEncoding('utf8').on('data', chunk => (body += chunk))
  request.on('end', () => {
    const { id, method } = JSON.parse(body)
    if (id === undefined) return void response.writeHead(202).end()
    if (method === 'initialize') response.setHeader('mcp-session-id', `session-${++sessions}`)
    const result = texts.get(method)
    const answer = result ? `"result":${result}` : '"error":{"code":-32601,"message":"no such method"}'
    response.setHeader('content-type', 'application/json')
    response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${answer}}`)
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`http://127.0.0.1:${address.port}/mcp`)
})
process.on('disconnect', () => process.exit(0))
