// @ts-check
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { isClientSuite } from './matrix.js'
import { markdown, matrix, notes } from './table.js'
import { wrap } from '../tools/wrap.js'

/** @import { Outcome } from './table.js' */

const FILE = new URL('../../docs/conformance.md', import.meta.url)
const BEGIN = '<!-- results -->'
const END = '<!-- /results -->'

/**
 * Writes what came of the whole matrix into the documentation.
 *
 * @param {readonly Outcome[]} outcomes
 */
export async function writeDocument(outcomes) {
  const text = await readFile(FILE, 'utf8')
  const [before, rest] = text.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined)
    throw new Error(`docs/conformance.md lacks ${BEGIN} or ${END}`)
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  const servers = outcomes.filter(({ cell }) => !isClientSuite(cell.suite))
  const clients = outcomes.filter(({ cell }) => isClientSuite(cell.suite))
  const versions = [...new Set(outcomes.map(({ cell }) => cell.suite.split('/')[0]))].join(' and ')
  const remarks = notes(outcomes)
  const lines = [
    `mcp-manifold ${version} on Node ${process.versions.node}, runner ${versions}. Cells: checks passed / failed.`,
    '',
    '### Server suites, by the server behind the gateway',
    '',
    markdown(matrix(servers)),
    '',
    '### Client suites, by the client in front of the gateway',
    '',
    markdown(matrix(clients)),
    ...(remarks.length > 0
      ? ['', '\\* Besides:', '', ...remarks.map(remark => wrap(`- ${remark}`, '  '))]
      : []),
  ]
  const filepath = fileURLToPath(FILE)
  const whole = `${before}${BEGIN}\n\n${lines.join('\n')}\n\n${END}${after}`
  await writeFile(FILE, await format(whole, { ...(await resolveConfig(filepath)), filepath }))
}
