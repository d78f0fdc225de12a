import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * A balancer as simple as one can be: requests go to the nodes in turn, over connections that are kept. A node that refuses a connection or answers 503
 * is left alone for a second, and the request goes to the next one. Any other failure is the client's to see.
 */
export async function startBalancer(nodes: readonly string[]): Promise<AsyncDisposable & { origin: string }> {
  const agent = new Agent({ keepAlive: true })
  const aloneUntil = new Map<string, number>()
  let turn = 0

  const attempt = (node: string, { method, headers }: IncomingMessage, path: string, body: Buffer) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      request(`${node}${path}`, { method, headers, agent }, resolve).on('error', reject).end(body)
    })

  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    turn++
    for (let tried = 0; tried < nodes.length * 10; tried++) {
      const node = nodes[(turn + tried) % nodes.length] as string
      if ((aloneUntil.get(node) ?? 0) > performance.now() && tried < nodes.length) continue
      try {
        const answer = await attempt(node, incoming, incoming.url ?? '/', Buffer.concat(chunks))
        if (answer.statusCode !== 503) {
          outgoing.writeHead(answer.statusCode ?? 502, { 'content-type': answer.headers['content-type'] })
          answer.pipe(outgoing)
          return
        }
        answer.resume()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') break
      }
      aloneUntil.set(node, performance.now() + 1000)
    }
    outgoing.writeHead(502).end('no node has answered')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      agent.destroy()
      server.closeAllConnections()
      server.close()
    },
  }
}
