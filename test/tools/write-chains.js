// @ts-check
/**
 * Draws the chains of src/gateway/chains.ts between the markers of the documents that show them. With `--check` it writes nothing and fails when one
 * is out of date. Reads the built program.
 */
import { readFile, writeFile } from 'node:fs/promises'
// @ts-ignore: built by `npm run build`
import { CALL_CHAIN, OPENING_CHAIN, REQUEST_CHAIN } from '../../dist/gateway/chains.js'

/** @typedef {readonly { readonly name: string }[]} Chain */

const BEGIN = '<!-- chains, drawn by npm run docs: begin -->'
const END = '<!-- chains, drawn by npm run docs: end -->'
const MAX_WIDTH = 100

const REQUEST = ['request', [...REQUEST_CHAIN, { name: 'router' }]]
const OPENING = ['opening', [...OPENING_CHAIN, { name: 'opened' }]]
const CALL = ['call', [...CALL_CHAIN, { name: 'dispatch' }]]

/** Document → the chains it shows. */
const PICTURES = {
  'docs/architecture.md': [REQUEST, OPENING, CALL],
  'docs/policy.md': [REQUEST, CALL],
  'docs/cache.md': [CALL],
}

/**
 * One line, and further ones where it would be too long.
 * @param {string} title @param {Chain} chain
 */
function drawn(title, chain) {
  const lines = [` ${title.padEnd(7)} ──▶`]
  for (const [at, { name }] of chain.entries()) {
    const word = at === 0 ? ` ${name}` : ` ▸ ${name}`
    if (`${lines.at(-1)}${word}`.length > MAX_WIDTH) lines.push(`${' '.repeat(12)}${word.slice(1)}`)
    else lines[lines.length - 1] += word
  }
  return lines.join('\n')
}

for (const [name, chains] of Object.entries(PICTURES)) {
  const file = new URL(`../../${name}`, import.meta.url)
  const old = await readFile(file, 'utf8')
  const begin = old.indexOf(BEGIN)
  const end = old.indexOf(END)
  if (begin === -1 || end < begin) throw new Error(`${name} has lost the markers of its chains`)
  const picture = chains.map(([title, chain]) => drawn(title, chain)).join('\n')
  const text = `${old.slice(0, begin + BEGIN.length)}\n\n\`\`\`\n${picture}\n\`\`\`\n\n${old.slice(end)}`
  if (text === old) continue
  if (process.argv.includes('--check')) {
    console.error(`The chains in ${name} are out of date. Run: npm run docs`)
    process.exitCode = 1
  } else {
    await writeFile(file, text)
    console.error(`Wrote ${name}`)
  }
}
