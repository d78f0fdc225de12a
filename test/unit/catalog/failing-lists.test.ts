import { expect, it, onTestFinished, vi } from 'vitest'
import type { Catalog } from '../../../src/catalog/catalog.ts'
import { catalogOf } from '../../helpers/catalog.ts'
import type { ListableLink } from '../../../src/catalog/list-server.ts'
import { WHOLE } from '../../../src/catalog/view-names.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import * as clock from '../../../src/core/clock.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { compilePolicies } from '../../../src/policy/policies.ts'

/** A running server that fails each list until it is told not to. */
async function failing(): Promise<{
  catalog: Catalog
  name: string
  heal: () => void
  requests: () => number
}> {
  const config = await configFrom(
    { mcpServers: { a: { command: 'a' } }, gateway: { state: 'memory' } },
    { env: {} },
  )
  const policies = await compilePolicies(config, SILENT)
  let requests = 0
  let fails = true
  const link: ListableLink = {
    peer: {
      era: 'legacy',
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      instructions: undefined,
    },
    transport: { kind: 'stdio' },
    usable: true,
    request: () => {
      requests++
      if (fails) return Promise.reject(new Error('the database is away'))
      const tools = [{ name: 't', inputSchema: { type: 'object' } }]
      return Promise.resolve({ text: JSON.stringify({ tools }), value: { tools } })
    },
  }
  const { catalog, lists, close } = catalogOf(config, policies, () => link)
  onTestFinished(() => close())
  await lists.load()
  return { catalog, name: WHOLE, heal: () => (fails = false), requests: () => requests }
}

it('a server that fails each list is not asked anew by each of a thousand clients, and is shown soon after it is well', async () => {
  const { catalog, name, heal, requests } = await failing()
  let now = 0
  const watch = vi.spyOn(clock, 'monotonicNow').mockImplementation(() => now)
  onTestFinished(() => watch.mockRestore())
  for (let count = 0; count < 1000; count++) {
    now += 10
    await catalog.complete(name)
    await new Promise(resolve => setImmediate(resolve))
  }
  // Ten seconds: three at once, and then after 0.25, 0.5, 1, 2, 4 and 5 seconds.
  expect(requests()).toBeGreaterThan(3)
  expect(requests()).toBeLessThanOrEqual(9)
  heal()
  now += 5000
  await catalog.complete(name)
  await new Promise(resolve => setImmediate(resolve))
  expect((await catalog.complete(name))?.toolOf('a', 't')).toBeDefined()
})
