import { expect, test } from 'vitest'
import { createGateway } from '../../../src/embedding/create-gateway.ts'
import type { ConfigSource } from '../../../src/embedding/load-config.ts'
import { withKeys } from '../../helpers/callers.ts'
import { host } from '../../helpers/host.ts'
import { post } from '../../helpers/http-client.ts'

/** Handlers in another program while the gateway is reloaded. */

// First, because it takes time only once to load what answers HTTP.
test('a handler that is made while a reload removes the clients serves callers on this machine only', async () => {
  for (const order of ['first', 'last']) {
    const gateway = await createGateway({ mcpServers: {}, clients: withKeys({ ci: {} }) })
    const early = order === 'first' ? gateway.handler() : undefined
    const reloaded = gateway.reload({ mcpServers: {} })
    const handler = early ?? gateway.handler()
    expect(await reloaded).toMatchObject({ applied: true })
    await using server = await host((request, response) => {
      Object.defineProperty(request.socket, 'remoteAddress', { value: '192.0.2.1' })
      handler(request, response)
    })
    expect((await post(`${server.origin}/mcp`, '{}')).status).toBe(403)
    await gateway.close({ timeoutMs: 0 })
  }
})

test('a gateway with handlers only is reloaded whatever `gateway.http.tls` names', async () => {
  const tls = { cert: '/absent/cert.pem', key: '/absent/key.pem' }
  const file = (log: 'info' | 'debug'): ConfigSource => ({ mcpServers: {}, gateway: { log, http: { tls } } })
  const gateway = await createGateway(file('info'))
  gateway.handler()
  // The front of the handler is loaded in the background.
  await new Promise(resolve => setTimeout(resolve, 500))
  expect(await gateway.reload(file('debug'))).toMatchObject({ applied: true })
  await gateway.close({ timeoutMs: 0 })
})
