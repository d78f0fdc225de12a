import { expect, test } from 'vitest'
import { runCell } from '../crosstalk/run-cell.js'
import { isReplaced } from '../crosstalk/whole-updates.js'
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

test.each([
  ['a touch that waited then', { uri: 'a', begun: 10, ended: 20 }, true],
  ['a touch whose call still ran when it was heard', { uri: 'a', begun: 10, ended: 40 }, true],
  ['a touch of another resource', { uri: 'b', begun: 10, ended: 20 }, false],
  ['a touch before one that was heard earlier', { uri: 'a', begun: 1, ended: 4 }, false],
  ['a touch that began later', { uri: 'a', begun: 31, ended: 35 }, false],
])('the update of a whole resource and %s', (_, touch, expected) => {
  expect(isReplaced(touch, [{ uri: 'a', at: 30, after: 5 }])).toBe(expected)
})
