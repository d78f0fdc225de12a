import { group, integer, option, text } from './kinds.ts'
import { section, type Check, type Option } from './option.ts'

/** Options for quotas: rates, concurrency and budgets at every level. `config/resolve/quotas.ts` resolves them. */

/** One amount per period, or several. */
function amount(
  meaning: string,
  unit: string,
  example: string,
): Option<string | readonly string[], unknown, false> {
  const expected = `expected an amount such as "${example}", or a list of them`
  const pattern = new RegExp(`^${unit}/(min|minute|hour|day|month)$`)
  const one: Check<string> = { kind: 'text', expected, pattern }
  const several: Check<readonly string[]> = { kind: 'list', of: one, expected, empty: expected }
  const check: Check<string | readonly string[]> = { kind: 'either', of: [one, several], expected }
  return option('string \\| list of strings', meaning, check, { as: false })
}

const BUDGET = section('clients.*.budget', {
  calls: amount('Calls that were sent to a server.', '[1-9]\\d{0,11}', '5000/day'),
  compute: amount('Time that servers worked on calls.', '\\d+(\\.\\d+)?(ms|s|m|h|d)', '30m/day'),
  cost: amount('Cost units, see `cost` of servers and tools.', '\\d+(\\.\\d+)?', '1000/month'),
  bytes: amount('Size of results.', '\\d+(\\.\\d+)?([kKmMgG][iI]?)?[bB]', '100MiB/day'),
})

export const QUOTA = {
  rate: text('Most calls in any such span of time.', {
    as: false,
    pattern: /^[1-9]\d{0,8}\/(s|sec|second|min|minute|h|hour)$/,
    expected: 'expected a rate such as "60/min" or "5/s"',
  }),
  concurrency: integer('Most calls at once.', { as: false, min: 1, max: 10_000 }),
  budget: group('Amounts that may be used up in a period.', BUDGET, { as: false }),
}

/** The parts of a quota that servers and tools support. */
export const QUOTA_OF_ALL_CLIENTS = {
  rate: { ...QUOTA.rate, meaning: 'Most calls of all clients together in any such span of time.' },
  budget: { ...QUOTA.budget, meaning: 'Amounts that all clients together may use up in a period.' },
}

/** Cost of a call in units. */
export const COST = { min: 0, max: 1_000_000 } as const
