// @ts-check
import { readFile } from 'node:fs/promises'

/** @import { Cell, Exception, Verdict } from './exceptions.js' */
/** @import { ScenarioResult } from './suite.js' */

/** @returns {Promise<Exception[]>} the content of `exceptions.json`, checked for what every entry must have */
export async function readExceptions() {
  const list = JSON.parse(await readFile(new URL('exceptions.json', import.meta.url), 'utf8'))
  for (const entry of list) {
    if (typeof entry.scenario !== 'string' || typeof entry.reason !== 'string') {
      throw new Error(`exceptions.json: an entry lacks scenario or reason: ${JSON.stringify(entry)}`)
    }
  }
  return list
}

/**
 * @param {ScenarioResult} result
 * @param {Cell} cell
 * @param {readonly Exception[]} exceptions
 * @returns {{ verdict: Verdict, reason: string }}
 */
export function judge(result, cell, exceptions) {
  if (result.notRun !== undefined) return { verdict: 'not run', reason: result.notRun }
  const exception = exceptions.find(entry => entry.scenario === result.scenario && applies(entry, cell))
  if (result.failed > 0) {
    if (exception) return { verdict: 'expected', reason: exception.reason }
    if (result.unscored) return { verdict: 'unscored', reason: result.unscored }
    return { verdict: 'FAIL', reason: '' }
  }
  if (exception) return { verdict: 'STALE', reason: `passes, so it is no exception: ${exception.reason}` }
  return { verdict: 'pass', reason: '' }
}

/**
 * @param {readonly Exception[]} exceptions
 * @param {readonly { cell: Cell, judged: readonly { result: ScenarioResult }[] | undefined }[]} outcomes of everything there is to run
 * @returns {Exception[]}
 */
export const unused = (exceptions, outcomes) =>
  exceptions.filter(
    entry =>
      !outcomes.some(
        ({ cell, judged }) =>
          applies(entry, cell) && judged?.some(({ result }) => result.scenario === entry.scenario),
      ),
  )

/** @param {Exception} entry @param {Cell} cell */
function applies({ suite, fixture, direct }, cell) {
  return (
    (suite === undefined || [suite].flat().includes(cell.suite)) &&
    (fixture === undefined || [fixture].flat().includes(cell.fixture)) &&
    (direct === undefined || direct === cell.direct)
  )
}
