/**
 * A program with an HTTP server of its own, and the gateway in it.
 *
 *   node examples/embed-http/server.js
 *
 * A client connects to http://127.0.0.1:8080/gateway/mcp. The program's own page is at http://127.0.0.1:8080/.
 */
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { createGateway } from 'mcp-manifold'

const port = Number(process.env.PORT ?? 8080)

// The configuration is an object in the form of servers.json. A path of such a file works as well.
const gateway = await createGateway(
  {
    mcpServers: {
      clock: { command: process.execPath, args: [fileURLToPath(new URL('../clock.js', import.meta.url))] },
    },
  },
  // Without a logger, the gateway says nothing.
  { logger: console },
)

const handler = gateway.handler({ prefix: '/gateway' })

const server = createServer((request, response) => {
  // The handler answers what is the gateway's. The rest is for the program.
  handler(request, response, () => {
    if (request.url !== '/') {
      response.writeHead(404).end('Not found\n')
      return
    }
    const { ready, sessions } = gateway.status()
    response.end(`The gateway is ${ready ? 'ready' : 'not ready'}; ${sessions} sessions are open.\n`)
  })
})

server.listen(port, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/gateway/mcp`)
})

// The gateway handles no signals: when to stop is up to the program. The gateway closes first, because clients keep
// streams open.
process.once('SIGTERM', async () => {
  await gateway.close()
  server.close()
})
