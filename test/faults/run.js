// @ts-check
/**
 * What becomes of calls when servers fail, black box: the built gateway between real clients and replicas that are made to fail.
 *
 *   npm run faults -- [--short] [--only <fault>,…] [--transport http|stdio] [--era legacy|modern] [--log <level>]
 *   npm run faults -- --kill [--seconds 60] [--seed <number>] [--transport …] [--era …]
 *   npm run faults -- --hedge [--seconds 20] [--seed <number>]
 *
 * A whole run writes what it found into docs/faults.md. Ends with 1 if anything is not as docs/resilience.md has it.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { matrixLines, writeSection } from './document.js'
import { FAULTS } from './faults.js'
import { KINDS, runGroup } from './matrix.js'
import { runHedge } from './hedge.js'
import { runKill } from './kill.js'

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    kill: { type: 'boolean', default: false },
    hedge: { type: 'boolean', default: false },
    only: { type: 'string' },
    transport: { type: 'string' },
    era: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    log: { type: 'string', default: 'error' },
  },
})

const only = values.only?.split(',')
for (const name of only ?? [])
  if (!FAULTS.some(fault => fault.name === name))
    throw new Error(`--only: there is no ${name}; there are ${FAULTS.map(fault => fault.name).join(', ')}`)

const TRANSPORTS = /** @type {const} */ (['http', 'stdio'])
const ERAS = /** @type {const} */ (['legacy', 'modern'])
const transports = TRANSPORTS.filter(transport => (values.transport ?? transport) === transport)
const eras = ERAS.filter(era => (values.era ?? era) === era)
const seed = Number(values.seed)
const narrowed = [values.only, values.transport, values.era, values.seconds].some(
  value => value !== undefined,
)
const MACHINE = `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.versions.node}`

async function matrix() {
  const begun = performance.now()
  /** @type {import('./matrix.js').CellOutcome[]} */
  const outcomes = []
  for (const transport of transports) {
    for (const era of eras) {
      for (const client of values.short ? [era] : ERAS) {
        const group = { transport, era, client }
        const since = performance.now()
        const of = await runGroup(
          group,
          wanted(eras.indexOf(era) + transports.indexOf(transport)),
          values.log,
        )
        outcomes.push(...of)
        const wrong = of.filter(outcome => outcome.wrong.length > 0)
        const seconds = ((performance.now() - since) / 1000).toFixed(1)
        console.log(
          `${transport}, ${era} servers, ${client} client: ${of.length} cells, ${wrong.length} wrong, ${seconds} s`,
        )
        for (const { cell, wrong: what } of wrong)
          console.log(
            `  ${cell.fault}, ${cell.kind}, ${cell.replicas === 2 ? '2 replicas' : 'alone'}: ${what.join('; ').slice(0, 400)}`,
          )
      }
    }
  }
  console.log(`${outcomes.length} cells in ${((performance.now() - begun) / 1000).toFixed(0)} s`)
  if (!narrowed && !values.short) await writeSection('matrix', matrixLines(outcomes))
  return outcomes.length > 0 && outcomes.every(({ wrong }) => wrong.length === 0)
}

/** Which cells a run has; a short one has each fault once for each kind of server. @param {number} turn */
function wanted(turn) {
  return (/** @type {import('./matrix.js').Cell} */ { fault, kind, replicas }) => {
    if (only && !only.includes(fault)) return false
    if (!values.short) return true
    const at = FAULTS.findIndex(({ name }) => name === fault) + turn
    return kind === KINDS[at % KINDS.length] && replicas === (at % 4 === 3 ? 1 : 2)
  }
}

async function kill() {
  const seconds = Number(values.seconds ?? 60)
  const { lines, passed } = await runKill({ transports, eras, seconds, seed, log: values.log })
  if (!narrowed) await writeSection('kill', [`${MACHINE}; seed ${seed}.`, '', ...lines])
  return passed
}

async function hedge() {
  const { lines, passed } = await runHedge({
    eras,
    seconds: Number(values.seconds ?? 20),
    seed,
    log: values.log,
  })
  if (!narrowed) await writeSection('hedge', [`${MACHINE}; seed ${seed}.`, '', ...lines])
  return passed
}

const passed = values.kill ? await kill() : values.hedge ? await hedge() : await matrix()
console.log(passed ? 'Everything was as it must be.' : 'NOT AS IT MUST BE')
process.exitCode = passed ? 0 : 1
