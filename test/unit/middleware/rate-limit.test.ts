import { expect, it } from 'vitest'
import { compose } from '../../../src/core/compose.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import type { Outcome } from '../../../src/core/exchange.ts'
import { Unfinished } from '../../../src/core/unfinished.ts'
import { rateLimit } from '../../../src/middleware/rate-limit.ts'
import type { Quotas } from '../../../src/quota/quotas.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'

const OK: Outcome = { kind: 'own', text: '{}' }
const ROUTE = { server: 's', own: 't', exposed: 's__t' }

/** Limits of which one is a number of places, and how many of these are taken. */
function limited(): { quotas: Quotas; readonly taken: number } {
  let taken = 0
  const gate = {
    hasLeases: true,
    enter: () => void taken++,
    leave: () => void taken--,
  }
  const quotas = { route: () => ({ gate, left: undefined }), clock: { steady: () => 0 } }
  return {
    quotas: quotas as unknown as Quotas,
    get taken() {
      return taken
    },
  }
}

it('gives the leases of limits back with the answer, and with a failure', async () => {
  const limits = limited()
  await compose([rateLimit(limits)], async () => OK)(exchangeOf('tools/call'), ROUTE)
  const error = new GatewayError('upstream_closed', 'Gone.')
  const call = compose([rateLimit(limits)], () => Promise.reject(error))(exchangeOf('tools/call'), ROUTE)
  expect(limits.taken).toBe(1)
  await expect(call).rejects.toBe(error)
  expect(limits.taken).toBe(0)
})

it('holds the leases of limits for a call that was given up until its server is done with it', async () => {
  const limits = limited()
  const error = new GatewayError('cancelled', 'The request was cancelled.')
  const unfinished = (error.unfinished = new Unfinished())
  const call = compose([rateLimit(limits)], () => Promise.reject(error))(exchangeOf('tools/call'), ROUTE)
  await expect(call).rejects.toBe(error)
  expect(limits.taken).toBe(1)
  unfinished.end()
  unfinished.end()
  expect(limits.taken).toBe(0)
})
