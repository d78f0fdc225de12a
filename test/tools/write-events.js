// @ts-check
/**
 * Writes the table of docs/events.md from the union in src/core/events.ts. With `--check` it writes nothing and fails when the table is out of date.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const SOURCE = fileURLToPath(new URL('../../src/core/events.ts', import.meta.url))
const PAGE = new URL('../../docs/events.md', import.meta.url)
const BEGIN = '<!-- events, written by npm run docs: begin -->'
const END = '<!-- events, written by npm run docs: end -->'
/** What every event has. */
const COMMON = new Set(['type', 'time'])
const REQUEST = 'RequestFacts'

const program = ts.createProgram([SOURCE], {
  strict: true,
  noEmit: true,
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.NodeNext,
  allowImportingTsExtensions: true,
})
const checker = program.getTypeChecker()
const file = program.getSourceFile(SOURCE)
if (!file) throw new Error(`${SOURCE} cannot be read`)

/** @param {string} name */
function interfaceOf(name) {
  const found = file?.statements.find(node => ts.isInterfaceDeclaration(node) && node.name.text === name)
  if (!found || !ts.isInterfaceDeclaration(found)) throw new Error(`There is no interface ${name}`)
  return found
}

/** @param {ts.Node} node */
const fieldsOf = node =>
  checker
    .getTypeAtLocation(node)
    .getProperties()
    .map(({ name }) => name)

const union = file.statements.find(
  node => ts.isTypeAliasDeclaration(node) && node.name.text === 'GatewayEvent',
)
if (!union || !ts.isTypeAliasDeclaration(union) || !ts.isUnionTypeNode(union.type))
  throw new Error('GatewayEvent is no union')
const ofRequests = new Set(fieldsOf(interfaceOf(REQUEST)))

const rows = union.type.types.map(member => {
  const declaration = interfaceOf(member.getText())
  const type = checker.getTypeAtLocation(declaration)
  const literal = type.getProperty('type')
  if (!literal) throw new Error(`${member.getText()} has no type`)
  const name = checker.typeToString(checker.getTypeOfSymbolAtLocation(literal, declaration)).slice(1, -1)
  const symbol = checker.getSymbolAtLocation(declaration.name)
  const text = ts.displayPartsToString(symbol?.getDocumentationComment(checker)).replace(/\s+/g, ' ')
  if (text === '') throw new Error(`${member.getText()} does not say when it happens`)
  const fields = fieldsOf(declaration)
  const isOfRequest = [...ofRequests].every(field => fields.includes(field))
  const own = fields
    .filter(field => !COMMON.has(field) && !(isOfRequest && ofRequests.has(field)))
    .map(field => `\`${field}\``)
  return [`\`${name}\``, text, [...(isOfRequest ? ['those of a request'] : []), ...own].join(', ')]
})

const cells = [['event', 'when', 'fields'], ...rows]
const widths = [0, 1, 2].map(at => Math.max(...cells.map(row => row[at]?.length ?? 0)))
const line = (/** @type {string[]} */ row) =>
  `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
const rule = `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`
const [head = [], ...body] = cells
const facts = [...ofRequests].map(field => `\`${field}\``)
const half = Math.floor(facts.length / 2) - 1
const table = `Each has \`type\` and \`time\`. Those of a request have ${facts.slice(0, half).join(', ')},\n${facts.slice(half).join(', ')}.\n\n${[line(head), rule, ...body.map(line)].join('\n')}`

const old = await readFile(PAGE, 'utf8')
const begin = old.indexOf(BEGIN)
const end = old.indexOf(END)
if (begin === -1 || end < begin) throw new Error('docs/events.md has lost the markers of its table')
const text = `${old.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${old.slice(end)}`
if (text !== old) {
  if (process.argv.includes('--check')) {
    console.error('The table in docs/events.md is out of date. Run: npm run docs')
    process.exitCode = 1
  } else {
    await writeFile(PAGE, text)
    console.error('Wrote docs/events.md')
  }
}
