import { expect, test } from 'vitest'
import type { GatewayError } from '../../../src/core/errors.ts'
import { forwardableCapabilities } from '../../../src/protocol/capabilities.ts'

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'nothing was thrown'
  } catch (error) {
    return (error as GatewayError).code
  }
}

const nested = (depth: number): object =>
  JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`) as object

test.each(['2025-11-25', '2026-07-28'])(
  'capabilities of a client of %s are bounded in characters',
  revision => {
    const sampling = (length: number): object => ({ sampling: { x: 'x'.repeat(length) } })
    expect(forwardableCapabilities({ ...sampling(15_000) }, revision)).toHaveLength(
      15_000 + '{"sampling":{"x":""}}'.length,
    )
    expect(codeOf(() => forwardableCapabilities({ ...sampling(17_000) }, revision))).toBe('too_large')
  },
)

test.each(['2025-11-25', '2026-07-28'])('capabilities of a client of %s are bounded in depth', revision => {
  expect(forwardableCapabilities({ elicitation: nested(32) }, revision)).toContain('"elicitation"')
  expect(codeOf(() => forwardableCapabilities({ elicitation: nested(33) }, revision))).toBe('too_large')
  expect(codeOf(() => forwardableCapabilities({ elicitation: nested(900) }, revision))).toBe('too_large')
})
