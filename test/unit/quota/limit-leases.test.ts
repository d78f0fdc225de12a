import { expect, it, onTestFinished } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { CLOCK } from '../../../src/core/clock.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import { LimitLeases } from '../../../src/quota/limit-leases.ts'
import { Quotas } from '../../../src/quota/quotas.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'

function setUp() {
  const store = createMemoryStore()
  const leases = new LimitLeases({ store, logger: SILENT, clock: CLOCK, failureMode: 'open' })
  onTestFinished(() => leases.close())
  const quotasOf = async (quota: object): Promise<Quotas> => {
    const file = { mcpServers: {}, clients: { ci: quota }, gateway: { state: 'memory' } }
    const config = await configFrom(file, { env: {} })
    return Quotas.of({ config, store, logger: SILENT, leases }) as Quotas
  }
  const limitsIn = (quotas: Quotas): number[] =>
    quotas
      .limits(clientPrincipal('ci'))
      .map(live => ('leases' in live ? live.leases.limit : live.lease.limit))
  return { quotasOf, limitsIn }
}

it.each([
  ['a budget', (n: number) => ({ budget: { calls: `${n}/day` } })],
  ['a rate', (n: number) => ({ rate: `${n}/minute` })],
  ['concurrent calls', (n: number) => ({ concurrency: n })],
])('a request of the former configuration sets no limit back: %s', async (_, quota) => {
  const { quotasOf, limitsIn } = setUp()
  const former = await quotasOf(quota(1000))
  const current = await quotasOf(quota(5))
  expect(limitsIn(current)).toEqual([5])
  expect(limitsIn(former)).toEqual([5])
  expect(limitsIn(current)).toEqual([5])
  expect(limitsIn(await quotasOf(quota(7)))).toEqual([7])
})
