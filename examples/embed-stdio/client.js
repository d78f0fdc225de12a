/**
 * A program that uses the gateway itself: the official client talks to it over a pair of streams, without a network and
 * without another process in between. Two servers appear as one, and rules say what the client may use.
 *
 *   node examples/embed-stdio/client.js
 */
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { createGateway } from 'mcp-manifold'

const clock = { command: process.execPath, args: [fileURLToPath(new URL('../clock.js', import.meta.url))] }

const gateway = await createGateway({
  mcpServers: { home: clock, office: clock },
  // A client of this name may use everything but one tool. What it may not use does not exist for it.
  clients: { assistant: { deny: ['office/time'] } },
})

const input = new PassThrough()
const output = new PassThrough()
const served = gateway.connectStdio(input, output, { client: 'assistant' })

// One message is one line of JSON. A program would use an MCP client here; this is what such a client does.
const answers = output[Symbol.asyncIterator]()
let lastId = 0
async function request(method, params) {
  const id = ++lastId
  input.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
  for (;;) {
    const { value } = await answers.next()
    for (const line of String(value).split('\n')) {
      const answer = line === '' ? undefined : JSON.parse(line)
      if (answer?.id === id) return answer.result
    }
  }
}

await request('initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'example', version: '1' },
})
input.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

const { tools } = await request('tools/list', {})
console.log(tools.map(({ name }) => name).join(', '))

const { content } = await request('tools/call', { name: 'home__time', arguments: {} })
console.log(content[0].text)

// The client leaves, and the gateway ends the servers that it has started.
input.end()
await served
await gateway.close()
