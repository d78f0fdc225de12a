import { z } from 'zod'
import { CONCURRENCY } from '../defaults.ts'
import { integer, option, section, text } from './options.ts'
import type { Option } from './options.ts'

/** The part of the format that says how much: rates, places and budgets, wherever they stand. */

const rate = text('Most calls in any such span of time.', {
  pattern: /^[1-9]\d{0,8}\/(s|sec|second|min|minute|h|hour)$/,
  expected: 'expected a rate such as "60/min" or "5/s"',
})

/** One amount in a period, or several. */
const amount = (
  meaning: string,
  unit: string,
  example: string,
): Option<z.ZodUnion<readonly [z.ZodString, z.ZodArray<z.ZodString>]>> => {
  const error = `expected an amount such as "${example}", or a list of them`
  const one = z.string({ error }).regex(new RegExp(`^${unit}/(min|minute|hour|day|month)$`), { error })
  return option(
    'string \\| list of strings',
    meaning,
    z.union([one, z.array(one, { error }).min(1, { error })], { error }),
  )
}

const budget = section('clients.*.budget', {
  calls: amount('Calls that were sent to a server.', '[1-9]\\d{0,11}', '5000/day'),
  compute: amount('Time that servers worked on calls.', '\\d+(\\.\\d+)?(ms|s|m|h|d)', '30m/day'),
  cost: amount('Cost units, see `cost` of servers and tools.', '\\d+(\\.\\d+)?', '1000/month'),
  bytes: amount('Size of results.', '\\d+(\\.\\d+)?([kKmMgG][iI]?)?[bB]', '100MiB/day'),
})

export const quota = {
  rate,
  concurrency: integer('Most calls at once.', CONCURRENCY),
  budget: option('object', 'Amounts that may be used up in a period.', budget),
}
