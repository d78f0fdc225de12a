// @ts-check
/** Runs the official conformance suites against the gateway. See USAGE below and docs/conformance.md. */
import { parseArgs } from 'node:util'
import { writeDocument } from './document.js'
import { judge, readExceptions, unused } from './exceptions.js'
import { EVERY_FIXTURE, everySuite, runsOf, SHORT, WHOLE } from './matrix.js'
import { aligned, cellName, isGood, matrix, notes, scenarioTable, summary } from './table.js'

/** @import { Choice, Run } from './matrix.js' */
/** @import { Judged, Outcome } from './table.js' */

const USAGE = `Usage: npm run conformance -- [options]

Runs the official conformance suites: those for servers against the gateway in front of fixture servers, and those for clients against
the gateway with a plain client in front of it. Fails on a failure that exceptions.json does not explain, and on an exception that
passes. Without options everything is run, and the table in docs/conformance.md is written.

  --short            two fixtures for servers, one client: what CI runs
  --fixture <list>   only these: ${EVERY_FIXTURE.join(', ')}
  --suite <list>     only these: <version>/<suite>, or <suite> of --version
  --version <name>   of the runner, for suites without one (0.1.16)
  --scenario <name>  one scenario of a suite
  --direct           against the fixture itself, without the gateway: shows whether a failure is the fixture's
  --verbose          shows the progress of the runner
  --help             prints this

Suites: ${everySuite().join(', ')}`

/** @param {string} message @returns {never} */
function refuse(message) {
  console.error(message)
  process.exit(2)
}

/** @param {unknown} error */
const messageOf = error => (error instanceof Error ? error.message : String(error))

function readOptions() {
  try {
    return parseArgs({
      options: {
        short: { type: 'boolean', default: false },
        fixture: { type: 'string' },
        suite: { type: 'string' },
        version: { type: 'string' },
        scenario: { type: 'string' },
        direct: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return refuse(`${messageOf(error)}\n\n${USAGE}`)
  }
}

const options = readOptions()
if (options.help) {
  console.log(USAGE)
  process.exit()
}

/** @returns {Choice} */
function choice() {
  const { short, fixture, suite, version, scenario, direct } = options
  const base = short ? SHORT : WHOLE
  const suites = suite?.split(',').map(name => (name.includes('/') ? name : `${version ?? '0.1.16'}/${name}`))
  for (const name of suites ?? []) {
    if (!everySuite().includes(name))
      refuse(`There is no suite ${name}. There are: ${everySuite().join(', ')}`)
  }
  const fixtures = fixture?.split(',') ?? base.fixtures ?? EVERY_FIXTURE
  for (const name of fixtures) {
    if (!EVERY_FIXTURE.includes(name))
      refuse(`There is no fixture ${name}. There are: ${EVERY_FIXTURE.join(', ')}`)
  }
  return {
    suites: suites ?? base.suites.filter(name => version === undefined || name.startsWith(`${version}/`)),
    // Only what has a URL can be reached without the gateway.
    fixtures: direct ? fixtures.filter(name => name.endsWith('-http')) : fixtures,
    scenario,
    direct,
  }
}

/** @param {Run} run @returns {Promise<readonly Judged[] | undefined>} `undefined` when it could not be run */
async function judgeRun({ cell, start }) {
  try {
    const { results, logs } = await start(options.verbose ? console.log : undefined)
    const judged = results.map(result => ({ result, ...judge(result, cell, exceptions) }))
    console.log(`${cellName(cell)}: ${summary(judged)}`)
    const shown =
      runs.length > 1 ? judged.filter(({ verdict }) => verdict === 'FAIL' || verdict === 'STALE') : judged
    if (shown.length > 0) console.log(`\n${scenarioTable(shown)}\n`)
    if (!isGood(judged) && logs) console.log(`What the gateway logged last:\n${logs.slice(-4000)}\n`)
    return judged
  } catch (error) {
    // The others may still have something to tell.
    console.error(`${cellName(cell)} could not be run. ${messageOf(error)}`)
    return undefined
  }
}

const exceptions = await readExceptions()
const runs = runsOf(choice())
if (runs.length === 0) refuse('Nothing to run: no fixture fits a suite.')
/** @type {Outcome[]} */
const outcomes = []
for (const run of runs) outcomes.push({ cell: run.cell, judged: await judgeRun(run) })

if (runs.length > 1) {
  console.log(`\n${aligned(matrix(outcomes))}\n`)
  for (const note of notes(outcomes)) console.log(`* ${note}`)
}
const narrowed = Object.entries(options).some(([name, value]) => name !== 'verbose' && value !== false)
const complete = outcomes.every(({ judged }) => judged)
if (!narrowed && complete) await writeDocument(outcomes)
const idle = narrowed || !complete ? [] : unused(exceptions, outcomes)
for (const { scenario } of idle)
  console.error(`STALE: the exception for ${scenario} concerns nothing that was run.`)
if (idle.length > 0 || !outcomes.every(({ judged }) => judged && isGood(judged))) {
  console.error('\nNot conformant: see FAIL, STALE or what could not be run above.')
  process.exit(1)
}
process.exit()
