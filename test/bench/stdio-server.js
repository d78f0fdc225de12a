// @ts-check
/**
 * A stdio MCP server with three tools that leaves a mark each time it is started: it appends its name to the file given.
 * Usage: `node stdio-server.js <name> <file>`.
 */
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [name = '', marks = ''] = process.argv.slice(2)
appendFileSync(marks, `${name}\n`)

const TOOLS = ['read', 'write', 'search'].map(tool => ({
  name: tool,
  description: `The ${tool} tool of ${name}.`,
  inputSchema: { type: 'object', properties: { path: { type: 'string' } } },
}))

createInterface({ input: process.stdin }).on('line', line => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined || method === undefined) return
  /** @type {Record<string, object>} */
  const results = {
    initialize: {
      protocolVersion: params?.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name, version: '1.0.0' },
    },
    'tools/list': { tools: TOOLS },
    ping: {},
  }
  const result = results[method]
  const answer = result ? { result } : { error: { code: -32601, message: 'Method not found' } }
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...answer })}\n`)
})
