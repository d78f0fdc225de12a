import { expect, onTestFinished, test } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { UNHEARD } from '../../../src/core/event-bus.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { ServerLogins } from '../../../src/gateway/server-logins.ts'
import { login } from '../../../src/middleware/login.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'

test('a call to a server that a reload has just removed fails with what its way says, and not before it', async () => {
  const removed = new GatewayError(
    'upstream_unreachable',
    'Server "gone" was removed from the configuration.',
  )
  const store = createMemoryStore()
  const logins = new ServerLogins({
    config: await configFrom({ mcpServers: {}, gateway: { state: 'memory' } }, { env: {} }),
    store,
    logger: SILENT,
    events: UNHEARD,
    pagesAt: () => undefined,
    serverOf: () => {
      throw removed
    },
    isServer: () => false,
    lists: () => ({ refresh: () => Promise.resolve(), failure: () => undefined }),
  })
  onTestFinished(async () => {
    await logins.close()
    await store.close()
  })
  const further: string[] = []
  const call = login({ logins, serverInfo: '{}' })((_, { server }) => {
    further.push(server)
    return Promise.reject(removed)
  })
  const route = { server: 'gone', own: 't', exposed: 'gone__t' }
  await expect(call(exchangeOf('tools/call', { name: 'gone__t' }), route)).rejects.toBe(removed)
  expect(further).toEqual(['gone'])
})
