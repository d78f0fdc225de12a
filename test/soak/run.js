// @ts-check
/**
 * What the gateway holds after a million calls, and what clients and servers can make it hold.
 *
 *   npm run soak -- [--calls 1000000] [--short] [--only mixed | --only <part of a bound's name>]
 *
 * Prints the memory over time of each part and ends with 1 if a bound was passed or an answer was wrong.
 */
import { parseArgs } from 'node:util'
import { BOUNDS, holds } from './bounds.js'
import { mixed } from './mixed.js'

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '1000000' },
    short: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
})
const calls = values.short ? 60_000 : Number(values.calls)
const say = (/** @type {string} */ line) => console.log(line)
let clean = true

/** @param {string} name @param {() => Promise<string[]>} part */
async function run(name, part) {
  if (values.only !== undefined && !name.includes(values.only)) return
  say(name)
  const wrong = await part()
  for (const line of wrong) say(`  WRONG: ${line}`)
  clean &&= wrong.length === 0
}

for (const bound of BOUNDS) await run(bound.name, () => holds(bound, say))
await run(`mixed: ${calls} calls`, () => mixed(calls, say))
console.log(clean ? 'Every bound held.' : 'NOT AS IT MUST BE')
process.exitCode = clean ? 0 : 1
