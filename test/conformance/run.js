// @ts-check
/**
 * Runs the official conformance suites against the gateway in front of a fixture server.
 *
 *   --fixture   legacy-http (default), legacy-stdio, legacy-sse, modern-http, modern-stdio or `every`;
 *               several with commas
 *   --version   of the runner: 0.1.16 (default) or 0.2.0-alpha.12
 *   --suite     a suite of that version, several with commas, or <version>/<suite>; default: the version's first
 *   --scenario  one scenario instead of a suite
 *   --direct    against the fixture itself: shows whether a failure is the fixture's
 *   --table     a file that a Markdown table of all runs is written to
 *   --verbose   shows the progress of the runner
 *
 * Fails on a failure that exceptions.json does not explain, and on an exception that passes.
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { judge, readExceptions } from './exceptions.js'
import { runSuite, SUITES } from './suite.js'
import { cellName, isGood, matrixTable, scenarioTable, summary } from './table.js'
import { FIXTURES, startTarget } from './target.js'

/** @import { Fixture } from './target.js' */
/** @import { Judged } from './table.js' */
/** @import { Cell } from './exceptions.js' */

const { values } = parseArgs({
  options: {
    fixture: { type: 'string', default: 'legacy-http' },
    version: { type: 'string', default: '0.1.16' },
    suite: { type: 'string' },
    scenario: { type: 'string' },
    direct: { type: 'boolean', default: false },
    table: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})

/** @param {unknown} error */
const messageOf = error => (error instanceof Error ? error.message : String(error))

/** @returns {Fixture[]} */
function chosenFixtures() {
  if (values.fixture === 'every') {
    return FIXTURES.filter(fixture => !values.direct || fixture.endsWith('-http'))
  }
  return values.fixture.split(',').map(name => {
    const fixture = FIXTURES.find(known => known === name)
    if (!fixture) throw new Error(`No fixture ${name}. There are: ${FIXTURES.join(', ')}`)
    return fixture
  })
}

/** @returns {{ name: string, version: string, args: readonly string[] }[]} */
function chosenSuites() {
  const { version, scenario } = values
  const names = values.suite?.split(',') ?? [Object.keys(SUITES[version] ?? {})[0] ?? 'active']
  return names.map(name => {
    const [of, suite] = name.includes('/') ? name.split('/') : [version, name]
    const args = SUITES[String(of)]?.[String(suite)]
    if (!args) {
      const known = Object.entries(SUITES).flatMap(([of, suites]) =>
        Object.keys(suites).map(suite => `${of}/${suite}`),
      )
      throw new Error(`No suite ${of}/${suite}. There are: ${known.join(', ')}`)
    }
    if (scenario === undefined) return { name: `${of}/${suite}`, version: String(of), args }
    const wire = /** @type {Record<string, string>} */ ({ '2026-07-28': '2026-07-28', modern: '2026-07-28' })[
      String(suite)
    ]
    const only = ['--scenario', scenario, ...(wire ? ['--spec-version', wire] : [])]
    return { name: `${of}/${suite}`, version: String(of), args: only }
  })
}

/**
 * Runs one suite against one target and prints what came of it.
 *
 * @param {Cell} cell
 * @param {Fixture} fixture
 * @param {string} version
 * @param {readonly string[]} args
 * @returns {Promise<Judged[]>}
 */
async function runCell(cell, fixture, version, args) {
  const target = await startTarget(fixture, cell.direct)
  try {
    const results = await runSuite(version, args, target.url, values.verbose ? console.log : undefined)
    const judged = results.map(result => ({ result, ...judge(result, cell, exceptions) }))
    console.log(`\n${cellName(cell)}\n\n${scenarioTable(judged)}\n\n${summary(judged)}`)
    if (!isGood(judged)) console.log(`\nWhat it logged last:\n${target.logs().slice(-4000)}`)
    return judged
  } finally {
    await target.close()
  }
}

const exceptions = await readExceptions()
/** @type {{ cell: Cell, judged: Judged[] }[]} */
const runs = []
let good = true
try {
  const suites = chosenSuites()
  for (const fixture of chosenFixtures()) {
    for (const { name, version, args } of suites) {
      const cell = { suite: name, fixture, direct: values.direct }
      try {
        const judged = await runCell(cell, fixture, version, args)
        runs.push({ cell, judged })
        good &&= isGood(judged)
      } catch (error) {
        // The others may still have something to tell.
        good = false
        console.error(`\n${cellName(cell)} could not be run. ${messageOf(error)}`)
      }
    }
  }
} catch (error) {
  console.error(messageOf(error))
  process.exit(2)
}
if (values.table) await writeFile(values.table, matrixTable(runs))
if (!good) console.error('\nNot conformant: see FAIL, STALE or what could not be run above.')
process.exit(good ? 0 : 1)
