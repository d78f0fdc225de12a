// @ts-check
/**
 * Draws docs/overview.svg: applications on the left, from the table of applications; what the gateway does in the middle; transports on the right. With
 * `--check` it writes nothing and fails when the picture is out of date. Reads the built program.
 */
import { readFile, writeFile } from 'node:fs/promises'
// @ts-ignore: built by `npm run build`
import { APPLICATIONS } from '../../dist/client-files/applications/applications.js'

const PICTURE = new URL('../../docs/overview.svg', import.meta.url)
const SHOWN = ['claude-desktop', 'claude-code', 'vscode', 'cursor', 'codex']

/** @typedef {{ readonly id: string, readonly title: string }} Application */

/** @param {string} id @returns {string} */
function titleOf(id) {
  const found = APPLICATIONS.find((/** @type {Application} */ one) => one.id === id)
  if (!found) throw new Error(`There is no application "${id}"`)
  return found.title
}

const applications = [...SHOWN.map(titleOf), `and ${APPLICATIONS.length - SHOWN.length} more`]
const inside = [
  'lists merged, names made unique',
  'rights, rates, budgets by client',
  'cache, equal calls shared',
  'fair queue, failover, supervision',
  'logins, secrets, vault',
  'both eras of the protocol',
]
const servers = [
  ['files', 'stdio'],
  ['search', 'HTTP, 2026-07-28'],
  ['tickets', 'HTTP, 2025-11-25'],
  ['mail', 'HTTP with a login'],
  ['reports', 'three replicas'],
  ['archive', 'HTTP+SSE'],
]

const ROW = 36
const TOP = 56
const y = (/** @type {number} */ at) => TOP + at * ROW
const HEIGHT = TOP + 6 * ROW + 20

/** @param {number} x @param {number} at @param {number} width @param {string} text @param {string} [small] */
function box(x, at, width, text, small = '') {
  const mark = small === '' ? '' : `<tspan class="small" dx="8">${small}</tspan>`
  return [
    `<rect x="${x}" y="${y(at)}" width="${width}" height="28" rx="6"/>`,
    `<text x="${x + 12}" y="${y(at) + 19}">${text}${mark}</text>`,
  ].join('')
}

/** @param {number} from @param {number} to @param {number} at */
const line = (from, to, at) => `<path d="M${from} ${y(at) + 14}H${to}"/>`

const MIDDLE = 250
const WIDTH = 270
const drawn = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 ${HEIGHT}" role="img" aria-labelledby="title">
<title id="title">Applications reach all servers through one entry, the gateway</title>
<style>
text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 12px; fill: #59636e }
.head { font-size: 13px; fill: #59636e }
.name { font-weight: 600 }
rect { fill: #f6f8fa; stroke: #d1d9e0 }
.gateway { fill: #ddf4ff; stroke: #54aeff }
path { stroke: #818b98; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small, .head { fill: #9198a1 }
  rect { fill: #151b23; stroke: #3d444d } .gateway { fill: #0c2d6b; stroke: #388bfd }
}
</style>
<text class="head" x="20" y="36">applications, agents, jobs</text>
<text class="head" x="${MIDDLE + WIDTH + 70}" y="36">servers</text>
${applications.map((title, at) => box(20, at, 160, title) + line(180, MIDDLE, at)).join('\n')}
<rect class="gateway" x="${MIDDLE}" y="20" width="${WIDTH}" height="${HEIGHT - 40}" rx="10"/>
<text class="name" x="${MIDDLE + 16}" y="44">one entry: stdio or one URL</text>
${inside.map((text, at) => `<text x="${MIDDLE + 16}" y="${y(at) + 19}">${text}</text>`).join('\n')}
${servers
  .map(
    ([name = '', how], at) =>
      line(MIDDLE + WIDTH, MIDDLE + WIDTH + 70, at) + box(MIDDLE + WIDTH + 70, at, 230, name, how),
  )
  .join('\n')}
</svg>
`

const old = await readFile(PICTURE, 'utf8').catch(() => '')
if (old !== drawn) {
  if (process.argv.includes('--check')) {
    console.error('docs/overview.svg is out of date. Run: npm run docs')
    process.exitCode = 1
  } else {
    await writeFile(PICTURE, drawn)
    console.error('Wrote docs/overview.svg')
  }
}
