import { afterAll, describe, expect, test } from 'vitest'
import { startRawServer } from '../../fixtures/servers/raw.js'
import { askAdmin, folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { hasRedis, startRedis } from '../../helpers/redis-server.ts'

describe.skipIf(!hasRedis())('the admin API while Redis does not answer', async () => {
  const redis = hasRedis() ? await startRedis() : undefined
  afterAll(() => redis?.stop())

  test('refuses a drain with 503 and names the store, and drains once it answers again', async () => {
    const folder = folderForTest()
    const server = await startRawServer({ era: 'modern' })
    const file = folder.write('servers.json', {
      mcpServers: { up: { url: server.url } },
      gateway: { http: { port: 0 }, state: redis?.url, watch: false },
    })
    const { socket } = await servingWithSocket(folder, file)
    const drain = () => askAdmin(socket, { method: 'POST', path: '/admin/drain', body: { server: 'up' } })
    redis?.freeze()
    try {
      const { status, body } = await drain()
      expect([status, (body as { detail: string }).detail]).toEqual([
        503,
        expect.stringMatching(/^The state store redis:127\.0\.0\.1:\d+ failed: /),
      ])
    } finally {
      redis?.thaw()
    }
    await expect.poll(async () => (await drain()).status, { timeout: 20_000 }).toBe(200)
    await server.close()
  })
})
