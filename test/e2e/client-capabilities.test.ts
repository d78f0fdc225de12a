import { expect, test } from 'vitest'
import { startGateway } from '../helpers/gateway.ts'
import { http, JSON_HEADERS, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** What a client declares is kept with its session, with links and with lists, so there is an end to it. */

const HUGE = JSON.stringify({ sampling: { x: 'x'.repeat(100_000) } })

test('a session whose client declares too much is refused with the limit, and nothing of it is kept', async () => {
  await using gateway = await startGateway({ mcpServers: {} })
  const params = `{"protocolVersion":"2025-11-25","capabilities":${HUGE},"clientInfo":{"name":"c","version":"1"}}`
  const body = requestText('1', 'initialize', params)
  const response = await http(`${gateway.origin}/mcp`, { headers: JSON_HEADERS, body })
  expect(await response.body).toContain('16384 is the most')
  expect(gateway.gateway.sessions).toBe(0)
})

test('a modern request whose client declares too much is refused with the limit', async () => {
  await using gateway = await startGateway({ mcpServers: {} })
  const client = new ModernHttp(gateway.origin)
  const params = withEnvelope().replace('clientCapabilities":{}', `clientCapabilities":${HUGE}`)
  const response = await client.post('1', 'tools/list', params)
  expect(response.status).toBe(413)
  expect(await response.body).toContain('16384 is the most')
})
