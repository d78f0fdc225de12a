// @ts-check
/** @import { ScenarioResult } from './suite.js' */
/** @import { Cell, Verdict } from './exceptions.js' */

/** @typedef {{ result: ScenarioResult, verdict: Verdict, reason: string }} Judged */

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
    if (verdict === 'FAIL') lines.push(...result.failures.map(failure => `    ${failure}`))
  }
  return lines.join('\n')
}

/** @param {Cell} cell */
export const cellName = ({ suite, fixture, direct }) =>
  `${suite} against ${direct ? fixture : `the gateway in front of ${fixture}`}`

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
  for (const verdict of /** @type {const} */ (['expected', 'unscored', 'FAIL', 'STALE'])) {
    const number = count(judged, verdict)
    if (number > 0) parts.push(`${number} ${verdict}`)
  }
  return parts.join(', ')
}

/**
 * @param {readonly { cell: Cell, judged: readonly Judged[] }[]} runs
 * @returns {string} Markdown: a table with one line for each run, and below it what is expected to fail, and why
 */
export function matrixTable(runs) {
  const lines = [
    '| suite | server | through | scenarios | checks passed | checks failed | result |',
    '| --- | --- | --- | ---: | ---: | ---: | --- |',
  ]
  const notes = new Set()
  for (const { cell, judged } of runs) {
    const passed = sum(judged, result => result.passed)
    const failed = sum(judged, result => result.failed)
    const expected = count(judged, 'expected') + count(judged, 'unscored')
    const good = expected === 0 ? 'pass' : `pass, ${expected} scenarios excepted`
    const through = cell.direct ? 'nothing' : 'the gateway'
    lines.push(
      `| ${cell.suite} | ${cell.fixture} | ${through} | ${judged.length} | ${passed} | ${failed} | ${isGood(judged) ? good : 'FAIL'} |`,
    )
    for (const { result, verdict, reason } of judged) {
      if (verdict === 'expected' || verdict === 'unscored') notes.add(`- \`${result.scenario}\`: ${reason}`)
    }
  }
  if (notes.size > 0) lines.push('', 'Excepted:', '', ...[...notes].sort())
  return `${lines.join('\n')}\n`
}
