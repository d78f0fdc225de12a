import { expect, it, onTestFinished, vi } from 'vitest'
import { catalogOf } from '../../helpers/catalog.ts'
import type { ListableLink } from '../../../src/catalog/list-server.ts'
import { WHOLE } from '../../../src/catalog/view-names.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import { compilePolicies } from '../../../src/policy/policies.ts'

const MANY = 10_000

it('a list that is asked for while 10,000 tools are replaced is decided about in parts', async () => {
  const config = await configFrom(
    {
      mcpServers: { a: { command: 'a' } },
      clients: { c: { deny: ['a/t1*'] } },
      gateway: { state: 'memory' },
    },
    { env: {} },
  )
  const policies = await compilePolicies(config, SILENT)
  let from = 0
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
      const tools = Array.from({ length: MANY }, (_, at) => ({
        name: `t${from + at}`,
        inputSchema: { type: 'object' },
      }))
      return Promise.resolve({ text: JSON.stringify({ tools }), value: { tools } })
    },
  }
  const { catalog, lists, close } = catalogOf(config, policies, () => link)
  onTestFinished(() => close())
  const policy = policies.of(clientPrincipal('c'))
  await lists.refresh('a')
  const name = catalog.views.of(WHOLE, policy) as string
  await catalog.complete(name)

  from = 20_000
  // Looking at the clock takes a millisecond.
  let now = performance.now()
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => ++now)
  onTestFinished(() => clock.mockRestore())
  let inTurn = 0
  let most = 0
  const decideMany = policy.decideMany.bind(policy)
  vi.spyOn(policy, 'decideMany').mockImplementation(() => {
    const decide = decideMany()
    return entry => {
      most = Math.max(most, ++inTurn)
      return decide(entry)
    }
  })
  let turn = setImmediate(function next() {
    inTurn = 0
    turn = setImmediate(next)
  })
  onTestFinished(() => clearImmediate(turn))
  const refreshed = lists.refresh('a')
  while (!catalog.views.upToDate) await new Promise(resolve => setImmediate(resolve))
  const view = await catalog.complete(name)
  expect(view?.toolOf('a', 't20000')).toBeDefined()
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThan(500)
  await refreshed
})
