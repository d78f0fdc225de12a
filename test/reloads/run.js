// @ts-check
/**
 * Reloads of the configuration under load.
 *
 *   npm run reloads -- [--reloads 500] [--seconds 200] [--calls-per-second 40] [--short]
 *   npm run reloads -- --large [--short]
 *
 * A gateway that serves HTTP and two on stdio read one file, which is written anew at a fixed rate. Clients of both eras
 * call servers that stay the same and one that changes each time. A session waits for the answer to an elicitation, and
 * streams stand open from the first reload to the last. Ends with 1 if a call failed, a stream of an unchanged server
 * was closed, an unchanged server was started or greeted again, the reloads took longer, a generation was left over, or
 * the heap grew. `--short` allows for a loaded machine: 25 reloads, a bound of its own for the heap, and none for time.
 *
 * `--large` measures reloads of many servers, tools and clients (`large.js`).
 */
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    reloads: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '200' },
    'calls-per-second': { type: 'string', default: '40' },
    large: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
  },
})
/** @type {string[]} */
let wrong
if (values.large) {
  const { measureLarge } = await import('./large.js')
  wrong = await measureLarge(values.short)
} else {
  const { storm } = await import('./storm.js')
  const [reloads, seconds] = values.short ? [25, 12] : [Number(values.reloads), Number(values.seconds)]
  wrong = await storm({
    reloads,
    seconds,
    callsPerSecond: Number(values['calls-per-second']),
    isShort: values.short,
  })
}
for (const line of wrong.slice(0, 20)) console.log(`  WRONG: ${line}`)
console.log(wrong.length === 0 ? 'Every reload passed unnoticed.' : 'NOT AS IT MUST BE')
process.exit(wrong.length === 0 ? 0 : 1)
