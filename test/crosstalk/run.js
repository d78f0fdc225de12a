// @ts-check
/**
 * Cross-talk: many clients of both eras share one server through one gateway, with equal ids and equal progress tokens, and each checks that everything
 * it receives is its own.
 *
 *   npm run crosstalk -- [--clients 50] [--seconds 60] [--seed <number>] [--only legacy-stdio,modern-http,…] [--restarts]
 *
 * Prints a table for each kind of server and ends with 1 if anything was misdelivered, lost or doubled, or if a stream ended that its
 * client had not left.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runCell } from './run-cell.js'

const BIN = fileURLToPath(new URL('../../bin/mcp-manifold.cjs', import.meta.url))
const CELLS = /** @type {const} */ (['legacy-stdio', 'legacy-http', 'modern-http', 'modern-stdio'])

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    only: { type: 'string', default: CELLS.join(',') },
    restarts: { type: 'boolean', default: false },
    // What the gateway logs is printed from this level on. Warnings are always kept for the report.
    log: { type: 'string', default: 'error' },
  },
})

const LEVEL = values.log === 'error' ? 'warn' : values.log

/** @param {{ readonly gateway?: Readonly<Record<string, unknown>>, readonly [key: string]: unknown }} config */
async function openGateway(config) {
  const directory = await mkdtemp(join(tmpdir(), 'crosstalk-gateway-'))
  const file = join(directory, 'servers.json')
  await writeFile(
    file,
    JSON.stringify({
      ...config,
      gateway: { http: { port: 0 }, state: 'memory', log: LEVEL, ...config.gateway },
    }),
  )
  const child = spawn(process.execPath, [BIN, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  /** @type {{ at: number, text: string }[]} */
  const log = []
  createInterface({ input: child.stderr }).on('line', text => {
    const isRecord = /^\{.*"level":"(warn|error)"/.test(text)
    if (isRecord) log.push({ at: performance.now(), text })
    if (values.log !== 'error' || !text.includes('"level":"warn"')) console.error(text)
  })
  const ended = once(child, 'close')
  const origin = await new Promise((resolve, reject) => {
    let said = ''
    child.stdout.on('data', chunk => {
      said += chunk
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
      if (found !== undefined) resolve(found)
    })
    void ended.then(() => reject(new Error(`the gateway ended: ${said}`)))
  })
  return {
    origin,
    log,
    async close() {
      child.kill('SIGTERM')
      await ended
      await rm(directory, { recursive: true, force: true })
    },
  }
}

const seed = Number(values.seed)
let clean = true
for (const cell of values.only.split(',')) {
  const [era, transport] = /** @type {['legacy' | 'modern', 'stdio' | 'http']} */ (cell.split('-'))
  console.log(
    `${cell}: ${values.clients} clients, ${values.seconds} s, seed ${seed}${values.restarts ? ', with restarts' : ''}`,
  )
  const outcome = await runCell({
    era,
    transport,
    clients: Number(values.clients),
    seconds: Number(values.seconds),
    seed,
    restarts: values.restarts,
    openGateway,
  })
  console.log(outcome.report)
  clean &&= outcome.clean
}
console.log(clean ? 'Nothing was misdelivered, lost or doubled.' : 'NOT CLEAN')
process.exitCode = clean ? 0 : 1
