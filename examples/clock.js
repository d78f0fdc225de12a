/** A small MCP server for the examples: it tells the time. It needs no library. */
import { createInterface } from 'node:readline'

const answers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'clock', version: '1' },
  }),
  ping: () => ({}),
  'tools/list': () => ({
    tools: [
      { name: 'time', description: 'The time now.', inputSchema: { type: 'object' } },
      { name: 'zone', description: 'The time zone.', inputSchema: { type: 'object' } },
    ],
  }),
  'tools/call': ({ name }) => ({
    content: [
      {
        type: 'text',
        text: name === 'time' ? new Date().toISOString() : Intl.DateTimeFormat().resolvedOptions().timeZone,
      },
    ],
  }),
}

createInterface({ input: process.stdin }).on('line', line => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  const answer = answers[method]
  const outcome = answer
    ? { result: answer(params) }
    : { error: { code: -32601, message: 'Method not found' } }
  console.log(JSON.stringify({ jsonrpc: '2.0', id, ...outcome }))
})
