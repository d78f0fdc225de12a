import { expect, it, onTestFinished } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { compose, type CallHandler } from '../../../src/core/compose.ts'
import { GatewayError, type Delivery } from '../../../src/core/errors.ts'
import type { Exchange, Outcome } from '../../../src/core/exchange.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import { charge } from '../../../src/middleware/charge.ts'
import { dispatch } from '../../../src/middleware/dispatch/dispatch.ts'
import { Quotas } from '../../../src/quota/quotas.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import type { LegacyTasks } from '../../../src/tasks/legacy-tasks.ts'
import { ResourceOwners } from '../../../src/catalog/resource-owners.ts'
import type { Pool } from '../../../src/upstream/pool/pool.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'

const ROUTE = { server: 's', own: 't', exposed: 's__t' }
const CI = clientPrincipal('ci')
const DONE: Outcome = { kind: 'result', text: '{}', value: {}, modern: false }

async function quotasOf(clients: object): Promise<Quotas> {
  const config = await configFrom({ mcpServers: { s: { command: 'x' } }, clients }, { env: {} })
  const store = createMemoryStore()
  const quotas = Quotas.of({ config, store, logger: SILENT })
  if (!quotas) throw new Error('nothing is limited')
  onTestFinished(async () => {
    await quotas.close()
    await store.close()
  })
  return quotas
}

/** Calls with these budgets of a server that answers as `answer` does. */
function charging(quotas: Quotas, answer: () => Promise<Outcome>): CallHandler {
  const replicas = {
    several: false,
    repeats: () => false,
    hasOther: () => false,
    retryBudget: { called: () => undefined },
  }
  const replica = { name: '1', load: { began: () => undefined } }
  const link = { label: 's', replica, peer: { era: 'modern' }, call: answer }
  const lease = { link, release: () => undefined }
  const pool = { server: { name: 's', retries: 0 }, replicas, acquire: () => lease } as unknown as Pool
  const send = dispatch({
    poolOf: () => pool,
    resourceOwners: new ResourceOwners(),
    legacyTasks: { at: () => undefined } as unknown as LegacyTasks,
    called: () => undefined,
    uriMap: () => undefined,
  })
  return compose([charge({ quotas })], send)
}

function leftOf(quotas: Quotas, at = 0): number | undefined {
  const live = quotas.limits(CI)[at]
  return live && 'lease' in live ? live.lease.left : undefined
}

it.each<[Delivery, number]>([
  ['not_sent', 3],
  ['unknown', 2],
  ['answered', 2],
])('charges a call that failed with delivery "%s" so that %i are left of 3', async (delivery, expected) => {
  const quotas = await quotasOf({ ci: { budget: { calls: '3/month' } } })
  const failing = (): Promise<Outcome> =>
    Promise.reject(new GatewayError('upstream_closed', 'no', { delivery }))
  const call = exchangeOf('tools/call', { name: 's__t' }, { principal: CI })
  await expect(charging(quotas, failing)(call, ROUTE)).rejects.toThrow('no')
  expect(leftOf(quotas)).toBe(expected)
})

it('takes from none of several budgets when one refuses', async () => {
  const quotas = await quotasOf({
    ci: { budget: { calls: ['9/month', '9/day'] }, limits: { 's/t': { budget: { cost: '1/month' } } } },
  })
  const run = charging(quotas, async () => DONE)
  const call = (): Exchange => exchangeOf('tools/call', { name: 's__t' }, { principal: CI })
  await run(call(), ROUTE)
  for (let i = 0; i < 20; i++)
    await expect(run(call(), ROUTE)).rejects.toMatchObject({ code: 'quota_exhausted' })
  expect([leftOf(quotas, 0), leftOf(quotas, 1)]).toEqual([8, 8])
})

it('does not count what follows up a call that was counted', async () => {
  const quotas = await quotasOf({ ci: { budget: { calls: '3/month', cost: '3/month' } } })
  const run = charging(quotas, async () => DONE)
  const poll = exchangeOf('tasks/get', { taskId: '1' }, { principal: CI, modern: true })
  await run(poll, { ...ROUTE, own: '1' })
  expect([leftOf(quotas, 0), leftOf(quotas, 1)]).toEqual([3, 3])
})

it('keeps few counters at hand however many identities come', async () => {
  const quotas = await quotasOf({ ci: { budget: { calls: '2/month' } } })
  const run = charging(quotas, async () => DONE)
  const call = async (subject: number): Promise<void> => {
    const principal = { kind: 'user' as const, id: `user:iss ${subject}`, name: 'x', client: 'ci', roles: [] }
    await run(exchangeOf('tools/call', { name: 's__t' }, { principal }), ROUTE)
  }
  for (let subject = 0; subject < 12_000; subject++) await call(subject)
  // The first is no longer at hand, and still counted.
  await call(0)
  await expect(call(0)).rejects.toMatchObject({ code: 'quota_exhausted' })
})
