import { expect, test } from 'vitest'
import { createGateway } from '../../../src/embedding/create-gateway.ts'
import type { ConfigSource } from '../../../src/embedding/load-config.ts'

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
