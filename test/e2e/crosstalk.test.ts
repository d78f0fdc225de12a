import { expect, test } from 'vitest'
import { runCell } from '../crosstalk/run-cell.js'
import { startGateway } from '../helpers/gateway.ts'

/** The short form of `npm run crosstalk`: no client gets what belongs to another one, and nothing is lost. */

const SEED = Number(process.env['CROSSTALK_SEED'] ?? 20260728)

test.each([
  { era: 'legacy', transport: 'stdio' },
  { era: 'legacy', transport: 'http' },
  { era: 'modern', transport: 'http' },
  { era: 'modern', transport: 'stdio' },
] as const)('16 clients of both eras share one $era server over $transport', async ({ era, transport }) => {
  const report = await runCell({
    era,
    transport,
    clients: 16,
    seconds: 1.5,
    seed: SEED,
    openGateway: async file => {
      const served = await startGateway(file)
      return { origin: served.origin, close: async () => await served[Symbol.asyncDispose]() }
    },
  })
  expect(report.clean, `seed ${SEED}\n${report.report}`).toBe(true)
  // How much happens in so short a time is the machine's business; that it happens at all is the test's.
  expect(report.counts['calls: own result']).toBeGreaterThan(10)
  expect(report.counts['questions']).toBeGreaterThan(10)
})
