import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../src/core/deadlines.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { LEASE_WAIT_MS, MAX_EXCLUSIVE_LINKS, Pool } from '../../../src/upstream/pool.ts'
import { deferred } from '../../helpers/deferred.ts'
import { exchangeOf, FakeTransport, serverConfig } from '../../helpers/fake-transport.ts'

vi.mock('../../../src/upstream/stdio.ts', () => ({ createStdioTransport: () => new FakeTransport() }))

let deadlines: Deadlines
let pool: Pool

beforeEach(() => {
  vi.useFakeTimers()
  deadlines = new Deadlines()
  pool = new Pool({
    server: serverConfig(),
    deadlines,
    logger: SILENT,
    clientInfo: '{"name":"gateway","version":"1"}',
    listener: {
      onNotification: () => {},
      onRequest: () => Promise.reject(new GatewayError('unknown_method', 'no')),
      onLost: (link, error) => pool.lost(link, error),
      onGap: () => {},
      onOpen: (slot, link, era) => pool.opened(slot, link, era),
    },
  })
})
afterEach(async () => {
  await pool.close()
  deadlines.close()
  vi.useRealTimers()
})

/** A call of a client without a session that can be asked. */
const asking = () => exchangeOf('tools/call', {}, { modern: true, features: '{"elicitation":{}}' })

it('gives calls that may be asked about a link each, lets others wait, and not for ever', async () => {
  const held = deferred<void>()
  const links = new Set<unknown>()
  const running = Array.from({ length: MAX_EXCLUSIVE_LINKS }, () =>
    pool.run(asking(), async link => {
      links.add(link)
      await held.promise
    }),
  )
  await vi.advanceTimersByTimeAsync(100)
  expect(links.size).toBe(MAX_EXCLUSIVE_LINKS)

  const late = pool.run(asking(), () => Promise.resolve('too late')).catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync(LEASE_WAIT_MS + 1000)
  expect(await late).toMatchObject({ code: 'overloaded', server: 'fake', delivery: 'not_sent' })

  const patient = pool.run(asking(), () => Promise.resolve('its turn'))
  await vi.advanceTimersByTimeAsync(100)
  held.resolve()
  await Promise.all(running)
  expect(await patient).toBe('its turn')
})

it('shares one link among calls that nobody can be asked about', async () => {
  const links = new Set<unknown>()
  const note = (link: unknown): Promise<void> => {
    links.add(link)
    return Promise.resolve()
  }
  await Promise.all([
    pool.run(exchangeOf('tools/call'), note),
    pool.run(exchangeOf('tools/call', {}, { modern: true }), note),
  ])
  expect(links.size).toBe(1)
})
