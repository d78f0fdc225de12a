import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import { ModernHttp, withEnvelope } from '../helpers/wire-clients.ts'

/** Longer than the new stream takes to be acknowledged, and shorter than a replaced one is read. */
const DELAY_MS = 150

/**
 * A network in front of a server: once `isSlow` says so, what comes on the first stream that names `uri` arrives late. Other connections are
 * not delayed.
 */
async function slowNetwork(target: string, uri: string, isSlow: () => boolean) {
  let isFirst = true
  let streams = 0
  const proxy = createServer((req, res) => {
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of req) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks)
      const isStream = body.includes('"subscriptions/listen"') && body.includes(uri)
      const isDelayed = isStream && isFirst
      if (isStream) [isFirst, streams] = [false, streams + 1]
      const sent = request(target, { method: req.method, headers: req.headers, agent: false }, answer => {
        res.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.on('data', (chunk: Buffer) => {
          if (isDelayed && isSlow()) setTimeout(() => res.write(chunk), DELAY_MS)
          else res.write(chunk)
        })
        answer.on('end', () => res.end())
      })
      sent.on('error', () => res.destroy())
      res.on('close', () => {
        if (isStream) streams--
        sent.destroy()
      })
      sent.end(body)
    })()
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/mcp`,
    get streams() {
      return streams
    },
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections()
      proxy.close()
      await once(proxy, 'close')
    },
  }
}

test('an update that is under way when the listen stream of its server is replaced is delivered', async () => {
  const server = await startRawServer({ era: 'modern' })
  let isSlow = false
  await using network = await slowNetwork(server.url, 'raw://item/1', () => isSlow)
  try {
    await using gateway = await startGateway({ mcpServers: { a: { url: network.url } } })
    await gateway.gateway.warmUp()
    await using client = new ModernHttp(gateway.origin)
    const listen = async (id: string, uri: string) => {
      const params = { notifications: { resourceSubscriptions: [uri] } }
      const stream = await client.post(id, 'subscriptions/listen', withEnvelope(JSON.stringify(params)))
      expect((await stream.events.take()).data).toContain('acknowledged')
      return stream
    }
    const stream = await listen('1', 'raw://item/1')
    isSlow = true
    server.updated('raw://item/1')
    // Another wish replaces the stream of the server.
    await listen('2', 'raw://item/2')
    expect((await stream.events.take()).data).toContain('"uri":"raw://item/1"')
    // The stream that was replaced is closed.
    await expect.poll(() => network.streams).toBe(1)
    // What both streams carried is no loss; from now on each update comes once.
    await pause(DELAY_MS)
    const before = stream.events.all.length
    server.updated('raw://item/1')
    await expect.poll(() => stream.events.all.length).toBe(before + 1)
  } finally {
    await server.close()
  }
})
