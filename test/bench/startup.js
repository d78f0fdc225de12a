// @ts-check
/**
 * How long a person waits for the gateway: `mcp-manifold --version`, and the first `tools/list` over stdio in front of twenty servers
 * whose tools are remembered from an earlier run. Both beside `node -e 0`, interleaved. See docs/bench.md.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { median, table } from './statistics.js'

const HERE = import.meta.dirname
const BIN = join(HERE, '../../bin/mcp-manifold.cjs')
const SERVERS = 20
const TOOLS_EACH = 3
const SEED_TIMEOUT_MS = 60_000
const STEP_TIMEOUT_MS = 30_000

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    json: { type: 'string' },
    'max-version': { type: 'string' },
    'max-list': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(`Usage: node test/bench/startup.js [options]
  --rounds <n>       measurements of each (15)
  --json <file>      write the figures to a file
  --max-version <r>  fail when --version takes more than r times \`node -e 0\`
  --max-list <r>     fail when the first list takes more than r times \`node -e 0\``)
  process.exit()
}
const rounds = Number(options.rounds)
if (!(rounds >= 1)) throw new Error(`--rounds must be 1 or more, not ${options.rounds}`)

const scratch = mkdtempSync(join(tmpdir(), 'bench-startup-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))
const marks = join(scratch, 'started')
const configFile = join(scratch, 'servers.json')
writeFileSync(
  configFile,
  JSON.stringify({
    mcpServers: Object.fromEntries(
      Array.from({ length: SERVERS }, (_, index) => [
        `s${index}`,
        { command: process.execPath, args: [join(HERE, 'stdio-server.js'), `s${index}`, marks] },
      ]),
    ),
    gateway: { state: `lmdb:${join(scratch, 'state')}`, log: 'warn' },
  }),
)

/** Names of the servers started so far, one entry a start. */
function started() {
  return existsSync(marks) ? readFileSync(marks, 'utf8').trim().split('\n') : []
}

/** Milliseconds from spawn to exit. @param {readonly string[]} args */
async function timeRun(args) {
  const start = performance.now()
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: STEP_TIMEOUT_MS,
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with code ${code}`)
  return performance.now() - start
}

/** A stdio client that says one thing at a time, as real ones do at start. */
class StdioClient {
  #child
  #lines
  #id = 0

  constructor() {
    this.#child = spawn(process.execPath, [BIN, '--config', configFile], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** @param {string} method @param {object} [params] */
  notify(method, params) {
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method, params })}\n`)
  }

  /** @param {string} method @param {object} [params] */
  async request(method, params) {
    const id = ++this.#id
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) throw new Error(`the gateway ended before it answered ${method}`)
      const message = JSON.parse(value)
      if (message.id !== id) continue
      if (message.error) throw new Error(`${method}: ${message.error.message}`)
      return message.result
    }
  }

  /** Says hello and asks for the tools; resolves with their number. */
  async firstList() {
    await this.request('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'bench', version: '1.0.0' },
    })
    this.notify('notifications/initialized')
    return this.countTools()
  }

  /** @returns {Promise<number>} */
  async countTools() {
    return (await this.request('tools/list')).tools.length
  }

  /** Ends the conversation as a client does, and waits until the gateway is gone. */
  async close() {
    const gone = this.#child.exitCode === null ? once(this.#child, 'exit') : undefined
    this.#child.stdin.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await gone
    clearTimeout(timer)
  }
}

/** The first run of the configuration: every server is started once and its tools are remembered. */
async function seed() {
  const client = new StdioClient()
  try {
    const until = performance.now() + SEED_TIMEOUT_MS
    let count = await client.firstList()
    while (count < SERVERS * TOOLS_EACH) {
      if (performance.now() > until)
        throw new Error(`only ${count} of ${SERVERS * TOOLS_EACH} tools after seeding`)
      await new Promise(resolve => setTimeout(resolve, 200))
      count = await client.countTools()
    }
  } finally {
    await client.close()
  }
}

/** Milliseconds from spawn until the first list is read and complete. */
async function timeFirstList() {
  const start = performance.now()
  const client = new StdioClient()
  try {
    const count = await client.firstList()
    const took = performance.now() - start
    if (count !== SERVERS * TOOLS_EACH)
      throw new Error(`the first list has ${count} tools, not ${SERVERS * TOOLS_EACH}`)
    return took
  } finally {
    await client.close()
  }
}

const steps = {
  bare: () => timeRun(['-e', '0']),
  version: () => timeRun([BIN, '--version']),
  list: timeFirstList,
}

async function main() {
  await seed()
  const startedBefore = started().length
  if (startedBefore < SERVERS) throw new Error(`seeding started ${startedBefore} servers, not ${SERVERS}`)

  // Once unmeasured, so that no target pays for a cold file cache.
  for (const step of Object.values(steps)) await step()
  /** @type {Record<keyof steps, number[]>} */
  const times = { bare: [], version: [], list: [] }
  const order = /** @type {(keyof steps)[]} */ (Object.keys(steps))
  for (let round = 0; round < rounds; round++)
    for (let turn = 0; turn < order.length; turn++) {
      const name = /** @type {keyof steps} */ (order[(turn + round) % order.length])
      times[name].push(await steps[name]())
    }

  const woken = started().slice(startedBefore)
  if (woken.length > 0)
    throw new Error(`servers were started that the list did not need: ${woken.join(', ')}`)

  const rows = order.map(name => ({
    step: {
      bare: 'node -e 0',
      version: 'mcp-manifold --version',
      list: `first tools/list, ${SERVERS} servers`,
    }[name],
    ms: median(times[name]),
    toBare: median(times[name].map((ms, round) => ms / (times.bare[round] ?? Number.NaN))),
    limit: Number(
      { bare: undefined, version: options['max-version'], list: options['max-list'] }[name] ?? Infinity,
    ),
  }))
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}, ${rounds} rounds\n`)
  console.log(
    table(
      ['step', 'ms', '× node -e 0'],
      rows.map(row => [row.step, row.ms.toFixed(0), row.toBare.toFixed(2)]),
    ),
  )
  console.log(`\nNone of the ${SERVERS} servers was started to answer the list.`)
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ node: process.versions.node, rounds, rows }, null, 2)}\n`)
  const missed = rows.filter(row => !(row.toBare <= row.limit))
  for (const row of missed)
    console.error(`${row.step}: ${row.toBare.toFixed(2)} times node -e 0, above ${row.limit}`)
  return missed.length === 0
}

let passed = false
try {
  passed = await main()
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
}
process.exitCode = passed ? 0 : 1
