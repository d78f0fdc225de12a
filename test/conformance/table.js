// @ts-check
/** @import { ScenarioResult } from './suite.js' */
/** @import { Cell, Verdict } from './exceptions.js' */

/** @typedef {{ result: ScenarioResult, verdict: Verdict, reason: string }} Judged */

/** What came of a run; `judged` is `undefined` when it could not be run. @typedef {{ cell: Cell, judged: readonly Judged[] | undefined }} Outcome */

/** @param {readonly Judged[]} judged */
export const isGood = judged => judged.every(({ verdict }) => verdict !== 'FAIL' && verdict !== 'STALE')

/** @param {readonly Judged[]} judged @param {(result: ScenarioResult) => number} field */
const sum = (judged, field) => judged.reduce((total, { result }) => total + field(result), 0)

/** @param {readonly Judged[]} judged @param {Verdict} wanted */
const count = (judged, wanted) => judged.filter(({ verdict }) => verdict === wanted).length

/**
 * @param {readonly Judged[]} judged the scenarios of one run
 * @returns {string} a table for the terminal, with a line below a scenario for each check that failed
 */
export function scenarioTable(judged) {
  const width = Math.max(8, ...judged.map(({ result }) => result.scenario.length))
  const lines = [`${'scenario'.padEnd(width)}  passed  failed  warned  verdict`]
  for (const { result, verdict, reason } of judged) {
    const numbers = [result.passed, result.failed, result.warned].map(number => String(number).padStart(6))
    lines.push(
      `${result.scenario.padEnd(width)}  ${numbers.join('  ')}  ${[verdict, reason].join('  ')}`.trimEnd(),
    )
    if (result.failed > 0) lines.push(...result.failures.map(failure => `    ${failure}`))
  }
  return lines.join('\n')
}

/** @param {Cell} cell */
export function cellName({ suite, fixture, direct }) {
  if (direct) return `${suite} against ${fixture}`
  return `${suite} through the gateway, ${fixture}`
}

/**
 * @param {readonly Judged[]} judged
 * @returns {string} one line
 */
export function summary(judged) {
  const parts = [
    `${sum(judged, result => result.passed)} checks passed`,
    `${sum(judged, result => result.failed)} failed`,
    `${judged.length} scenarios`,
  ]
  const warned = sum(judged, result => result.warned)
  if (warned > 0) parts.push(`${warned} warned`)
  for (const verdict of /** @type {const} */ (['expected', 'unscored', 'not run', 'FAIL', 'STALE'])) {
    const number = count(judged, verdict)
    if (number > 0) parts.push(`${number} ${verdict}`)
  }
  return parts.join(', ')
}

/**
 * @param {readonly Outcome[]} outcomes
 * @returns {string[][]} the first row is the heading: suites down, fixtures across; a cell is `passed / failed`
 */
export function matrix(outcomes) {
  const suites = [...new Set(outcomes.map(({ cell }) => cell.suite))]
  const fixtures = [...new Set(outcomes.map(({ cell }) => cell.fixture))]
  return [
    ['suite', ...fixtures],
    ...suites.map(suite => [
      suite,
      ...fixtures.map(fixture => {
        const outcome = outcomes.find(({ cell }) => cell.suite === suite && cell.fixture === fixture)
        return outcome ? numbers(outcome.judged) : ''
      }),
    ]),
  ]
}

/** @param {readonly Judged[] | undefined} judged */
function numbers(judged) {
  if (!judged) return 'could not run'
  const notRun = count(judged, 'not run')
  const all = `${sum(judged, result => result.passed)} / ${sum(judged, result => result.failed)}`
  if (notRun === judged.length) return 'not run'
  const marks = count(judged, 'expected') + count(judged, 'unscored') + notRun > 0 ? ' *' : ''
  return isGood(judged) ? `${all}${marks}` : `${all} FAIL`
}

/** @param {readonly string[][]} rows @returns {string} for the terminal */
export function aligned(rows) {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const lines = rows.map(row =>
    row.map((text, column) =>
      column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
    ),
  )
  return lines.map(line => line.join('  ').trimEnd()).join('\n')
}

/** @param {readonly string[]} row */
const line = row => `| ${row.join(' | ')} |`

/** @param {readonly string[][]} rows @returns {string} */
export function markdown([heading = [], ...rows]) {
  return [
    line(heading),
    line(heading.map((_, column) => (column === 0 ? '---' : '---:'))),
    ...rows.map(line),
  ].join('\n')
}

/**
 * @param {readonly Outcome[]} outcomes
 * @returns {string[]} a line for each reason why scenarios do not count, were not run or warned, with their names
 */
export function notes(outcomes) {
  /** @type {Map<string, Set<string>>} */
  const found = new Map()
  const note = (/** @type {string} */ why, /** @type {string} */ name) =>
    found.set(why, (found.get(why) ?? new Set()).add(name))
  for (const { cell, judged = [] } of outcomes) {
    for (const { result, verdict, reason } of judged) {
      if (verdict === 'expected') note(reason, result.scenario)
      if (verdict === 'not run') note(`not run: ${reason}`, result.scenario)
      if (verdict === 'unscored') note(`failing, but not counted by the runner: ${reason}`, result.scenario)
      if (result.warned > 0) {
        note(`warned, ${cell.fixture}: something recommended is missing`, result.scenario)
      }
    }
  }
  return [...found].map(([why, names]) => `${why} (${[...names].sort().join(', ')})`).sort()
}
