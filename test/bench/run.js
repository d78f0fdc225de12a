// @ts-check
/**
 * Throughput of small tool calls over HTTP: the gateway beside a floor, beside an aggregator made of the official SDK, and beside no
 * proxy at all. Everything runs interleaved on one machine; only the ratios mean something elsewhere. See docs/bench.md.
 */
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { policyConfig } from './policy-config.js'
import { PINNING, spawnPinned, startServer, stop } from './processes.js'
import { median, table } from './statistics.js'

/** @typedef {import('./load.js').Job} Job @typedef {import('./load.js').Measured} Measured */

const HERE = import.meta.dirname
const ROOT = join(HERE, '../..')
const TARGET_CORE = 0
const LOAD_CORE = 1

const USAGE = `Usage: npm run bench -- [options]
  --seconds <n>      measured time of one slot (4)
  --warmup <n>       seconds of load before the first round, for every target (10)
  --rounds <n>       rounds; each measures every target once (5)
  --processes <n>    processes of each target, which take turns (1); one may be slower than another of the same program
  --connections <n>  concurrent clients (16)
  --targets <list>   comma-separated, of: direct, floor, floor-modern, sdk, gateway-legacy, gateway-modern, gateway-through, gateway-counted, gateway-uncounted, gateway-policy, gateway-audited, gateway-missing, gateway-missing-stored, gateway-cached, floor-64k, gateway-cached-64k
  --against <dir>    another checkout, built, for the targets gateway-before…
  --min-before <r>   fail when gateway-legacy, -modern or -through is below r times that of the other checkout
  --size <n>         characters of a result of the targets in 64k (65536)
  --short            a quick look: 3 rounds of 1.5 s after 2 s of warm-up
  --json <file>      write the figures to a file
  --min-floor <r>    fail when a gateway row is below r times the floor
  --min-sdk <r>      fail when a gateway row is below r times the SDK aggregator
  --min-policy <r>   fail when gateway-policy is below r times gateway-legacy
  --min-audited <r>  fail when gateway-audited is below r times gateway-legacy
  --min-cached <r>   fail when gateway-cached is below r times the floor
  --min-cached-64k <r>  fail when gateway-cached-64k is below r times floor-64k
  --min-missing <r>  fail when gateway-missing is below r times gateway-legacy
  --min-counted <r>  fail when gateway-counted is below r times gateway-uncounted`

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string' },
    warmup: { type: 'string' },
    rounds: { type: 'string' },
    connections: { type: 'string', default: '16' },
    targets: { type: 'string' },
    short: { type: 'boolean', default: false },
    json: { type: 'string' },
    'min-floor': { type: 'string' },
    'min-sdk': { type: 'string' },
    'min-policy': { type: 'string' },
    'min-audited': { type: 'string' },
    'min-cached': { type: 'string' },
    'min-cached-64k': { type: 'string' },
    'min-missing': { type: 'string' },
    'min-counted': { type: 'string' },
    processes: { type: 'string' },
    size: { type: 'string' },
    against: { type: 'string' },
    'min-before': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(USAGE)
  process.exit()
}

/** @param {string} name @param {string | undefined} text @param {number} fallback */
function positive(name, text, fallback) {
  const value = text === undefined ? fallback : Number(text)
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0, not ${text}`)
  return value
}

const seconds = positive('seconds', options.seconds, options.short ? 1.5 : 4)
const warmup = positive('warmup', options.warmup, options.short ? 2 : 10)
const rounds = positive('rounds', options.rounds, options.short ? 3 : 5)
const processes = positive('processes', options.processes, 1)
const connections = positive('connections', options.connections, 16)
const size = positive('size', options.size, 65_536)

/** @param {'min-floor' | 'min-sdk' | 'min-policy' | 'min-audited' | 'min-cached' | 'min-cached-64k' | 'min-missing' | 'min-counted' | 'min-before'} name */
function least(name) {
  return options[name] === undefined ? undefined : positive(name, options[name], 1)
}
const minFloor = least('min-floor')
const minSdk = least('min-sdk')

/** What single targets are held against besides. @type {Record<string, { base: string, least: number | undefined }>} */
const MINIMA = {
  'gateway-legacy': { base: 'gateway-before', least: least('min-before') },
  'gateway-modern': { base: 'gateway-before-modern', least: least('min-before') },
  'gateway-through': { base: 'gateway-before-through', least: least('min-before') },
  'gateway-policy': { base: 'gateway-legacy', least: least('min-policy') },
  'gateway-audited': { base: 'gateway-legacy', least: least('min-audited') },
  'gateway-missing': { base: 'gateway-legacy', least: least('min-missing') },
  'gateway-counted': { base: 'gateway-uncounted', least: least('min-counted') },
  'gateway-cached': { base: 'floor', least: least('min-cached') },
  'gateway-cached-64k': { base: 'floor-64k', least: least('min-cached-64k') },
}

/**
 * @typedef {object} Target
 * @property {string} what
 * @property {'legacy' | 'modern'} wire
 * @property {string} tool
 * @property {(upstream: string) => readonly string[]} args program and arguments, given the origin of the upstream
 * @property {string} path
 * @property {boolean} [same] each connection makes the same call again and again
 * @property {boolean} [large] of results of the size of `--size`; its floor is `floor-64k`
 */

const scratch = mkdtempSync(join(tmpdir(), 'bench-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

/**
 * @param {string} name @param {string} url @param {object} [server] more of the server's options
 * @param {string} [state] @param {object} [gateway] more of its own options @returns {readonly string[]}
 */
function gatewayArgs(name, url, server = {}, state = 'memory', gateway = {}) {
  const file = join(scratch, `${name}.json`)
  const config = {
    mcpServers: { up: { url, ...server } },
    gateway: { http: { port: 0 }, state, log: 'warn', ...gateway },
  }
  writeFileSync(file, JSON.stringify(config))
  return [join(ROOT, 'bin/mcp-manifold.cjs'), 'serve', '--config', file]
}

/** Keys of the clients of targets that identify callers. @type {Record<string, string[]>} */
const keysOf = {}

/** @param {string} name @param {string} upstream @param {boolean} audited @returns {readonly string[]} */
function policyArgs(name, upstream, audited) {
  const folder = join(scratch, name)
  mkdirSync(folder)
  const made = policyConfig(`${upstream}/mcp`, folder, audited)
  keysOf[name] = made.keys
  const file = join(folder, 'servers.json')
  writeFileSync(file, JSON.stringify(made.config))
  return [join(ROOT, 'bin/mcp-manifold.cjs'), 'serve', '--config', file]
}

/** Shared, so that it does not matter whether callers are told apart. */
const CACHED = { tools: { echo: { cache: { ttl: '1h', scope: 'shared' } } } }

/** The gateway of another checkout. @param {string} name @param {string} url @returns {readonly string[]} */
function beforeArgs(name, url) {
  if (options.against === undefined) throw new Error(`${name}: --against says where it is`)
  // Its program may have the name of an earlier version.
  const names = ['mcp-manifold.cjs', 'mcp-manifold.js'].map(file =>
    join(String(options.against), 'bin', file),
  )
  return [names.find(existsSync) ?? String(names[0]), ...gatewayArgs(name, url).slice(1)]
}

/** @type {Record<string, Target>} */
const TARGETS = {
  direct: {
    what: 'no proxy: the upstream itself',
    wire: 'legacy',
    tool: 'echo',
    args: () => [join(HERE, 'upstream.js')],
    path: '/mcp',
  },
  floor: {
    what: 'node:http + undici, one name rewritten',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => [join(HERE, 'floor.js'), `${upstream}/mcp`],
    path: '/mcp',
  },
  'floor-modern': {
    what: 'the same on the modern wire, its headers passed on',
    wire: 'modern',
    tool: 'up__echo',
    args: upstream => [join(HERE, 'floor.js'), `${upstream}/modern`, 'modern'],
    path: '/mcp',
  },
  sdk: {
    what: "the SDK's Server + Client",
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => [join(HERE, 'sdk.js'), `${upstream}/mcp`],
    path: '/mcp',
  },
  'gateway-legacy': {
    what: 'legacy client, legacy upstream',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => gatewayArgs('legacy', `${upstream}/mcp`),
    path: '/mcp',
  },
  'gateway-before': {
    what: 'as gateway-legacy, the gateway of another checkout',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => beforeArgs('gateway-before', `${upstream}/mcp`),
    path: '/mcp',
  },
  'gateway-before-modern': {
    what: 'as gateway-modern, the gateway of another checkout',
    wire: 'modern',
    tool: 'up__echo',
    args: upstream => beforeArgs('gateway-before-modern', `${upstream}/mcp`),
    path: '/mcp',
  },
  'gateway-before-through': {
    what: 'as gateway-through, the gateway of another checkout',
    wire: 'modern',
    tool: 'up__echo',
    args: upstream => beforeArgs('gateway-before-through', `${upstream}/modern`),
    path: '/mcp',
  },
  'gateway-modern': {
    what: 'modern client, legacy upstream',
    wire: 'modern',
    tool: 'up__echo',
    args: upstream => gatewayArgs('modern', `${upstream}/mcp`),
    path: '/mcp',
  },
  'gateway-through': {
    what: 'modern client, modern upstream',
    wire: 'modern',
    tool: 'up__echo',
    args: upstream => gatewayArgs('through', `${upstream}/modern`),
    path: '/mcp',
  },
  'gateway-counted': {
    what: 'as gateway-legacy, beside gateway-uncounted',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => gatewayArgs('counted', `${upstream}/mcp`),
    path: '/mcp',
  },
  'gateway-uncounted': {
    what: 'as gateway-counted, without metrics',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream =>
      gatewayArgs('uncounted', `${upstream}/mcp`, {}, 'memory', { metrics: { enabled: false } }),
    path: '/mcp',
  },
  'gateway-policy': {
    what: 'as gateway-legacy, with 1000 clients of 100 rules each, every quota, LMDB',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => policyArgs('gateway-policy', upstream, false),
    path: '/mcp',
  },
  'gateway-audited': {
    what: 'as gateway-policy, with the audit log',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => policyArgs('gateway-audited', upstream, true),
    path: '/mcp',
  },
  'gateway-missing': {
    what: 'as gateway-legacy, with a cache in which nothing is ever found',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => gatewayArgs('missing', `${upstream}/mcp`, CACHED),
    path: '/mcp',
  },
  'gateway-missing-stored': {
    what: 'as gateway-missing, and everything is looked for in LMDB as well and written there',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => gatewayArgs('stored', `${upstream}/mcp`, CACHED, `lmdb:${join(scratch, 'stored')}`),
    path: '/mcp',
  },
  'gateway-cached': {
    what: 'as gateway-legacy, with a cache in which everything is found',
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => gatewayArgs('cached', `${upstream}/mcp`, CACHED),
    path: '/mcp',
    same: true,
  },
  'floor-64k': {
    what: `the floor, results of ${size} characters`,
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => [join(HERE, 'floor.js'), `${upstream}/large`],
    path: '/mcp',
    same: true,
    large: true,
  },
  'gateway-cached-64k': {
    what: `as gateway-cached, results of ${size} characters`,
    wire: 'legacy',
    tool: 'up__echo',
    args: upstream => gatewayArgs('cached-64k', `${upstream}/large`, CACHED),
    path: '/mcp',
    same: true,
    large: true,
  },
}

const ONLY_ASKED_FOR = [
  'gateway-before',
  'gateway-before-modern',
  'gateway-before-through',
  'gateway-through',
  'gateway-counted',
  'gateway-uncounted',
  'gateway-policy',
  'gateway-audited',
  'gateway-missing',
  'gateway-missing-stored',
  'gateway-cached',
  'floor-64k',
  'gateway-cached-64k',
]
const names =
  options.targets?.split(',') ?? Object.keys(TARGETS).filter(name => !ONLY_ASKED_FOR.includes(name))
for (const name of names)
  if (!(name in TARGETS))
    throw new Error(`--targets: there is no target ${name}; there are ${Object.keys(TARGETS).join(', ')}`)

/** Rows that say what an option costs or saves, each with the row without it. @type {Record<string, string>} */
const PLAIN = {
  'gateway-policy': 'gateway-legacy',
  'gateway-audited': 'gateway-legacy',
  'gateway-missing': 'gateway-legacy',
  'gateway-missing-stored': 'gateway-legacy',
  'gateway-cached': 'gateway-legacy',
  'gateway-counted': 'gateway-uncounted',
}

/** How much longer than its measured time a job may take: connecting, and a call that never ends. */
const JOB_GRACE_MS = 30_000

/**
 * @param {import('node:child_process').ChildProcess} load
 * @param {string} name of the target, for errors
 * @param {Job} job
 * @returns {Promise<Measured>}
 */
async function measure(load, name, job) {
  load.send(job)
  const signal = AbortSignal.timeout(job.seconds * 1000 + JOB_GRACE_MS)
  const [answer] = await once(load, 'message', { signal }).catch(() => [{ error: 'no answer in time' }])
  if (answer.error !== undefined) throw new Error(`${name}: ${answer.error}`)
  return answer.measured
}

/** @type {import('node:child_process').ChildProcess[]} */
const children = []

async function main() {
  const upstream = await startServer(LOAD_CORE, [join(HERE, 'upstream.js'), String(size)])
  children.push(upstream.child)
  const load = spawnPinned(LOAD_CORE, [join(HERE, 'load.js')], ['ignore', 'inherit', 'inherit', 'ipc'])
  children.push(load)

  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}, ${connections} connections`,
  )
  console.log(
    PINNING
      ? `target on core ${TARGET_CORE}; load generator and upstream on core ${LOAD_CORE}`
      : 'not pinned to cores (no taskset, or one core only): expect noise',
  )
  console.log(`${rounds} rounds of ${seconds} s a target, after ${warmup} s of warm-up each`)
  if (warmup < 10) console.log('short warm-up: the SDK aggregator is not at its full speed yet')

  /** @type {Map<string, { jobs: Job[], slots: Measured[] }>} */
  const runs = new Map()
  for (const name of names) {
    const target = /** @type {Target} */ (TARGETS[name])
    const args = target.args(upstream.origin)
    const jobs = []
    for (let nth = 0; nth < processes; nth++) {
      const { child, pid, origin } = await startServer(TARGET_CORE, args)
      children.push(child)
      const { wire, tool, path, same = false } = target
      const more = { ...(keysOf[name] && { keys: keysOf[name] }), ...(target.large && { size }) }
      const job = { url: origin + path, wire, tool, connections, seconds, pid, same, ...more }
      await measure(load, name, { ...job, seconds: warmup })
      jobs.push(job)
    }
    runs.set(name, { jobs, slots: [] })
  }
  for (let round = 0; round < rounds; round++) {
    // Another order each round, so that no target always follows the same neighbour.
    for (let turn = 0; turn < names.length; turn++) {
      const name = /** @type {string} */ (names[(turn + round) % names.length])
      const run = runs.get(name)
      const job = run?.jobs[round % processes]
      if (run && job) run.slots.push(await measure(load, name, job))
    }
  }
  return report(runs)
}

/**
 * @param {Map<string, { slots: Measured[] }>} runs
 * @returns {boolean} whether the thresholds are met
 */
function report(runs) {
  /** Ratio of two targets: the median of the rounds' own ratios. @param {string} name @param {string} base */
  const ratio = (name, base) => {
    const slots = runs.get(name)?.slots
    const others = runs.get(base)?.slots
    if (!slots || !others) return undefined
    return median(slots.map((slot, round) => slot.perSecond / (others[round]?.perSecond ?? Number.NaN)))
  }
  const rows = [...runs].map(([name, { slots }]) => ({
    target: name,
    what: TARGETS[name]?.what ?? '',
    perSecond: median(slots.map(slot => slot.perSecond)),
    cpuMicros: slots.some(slot => slot.cpuMicros === null)
      ? null
      : median(slots.map(slot => slot.cpuMicros ?? 0)),
    p50: median(slots.map(slot => slot.p50)),
    p99: median(slots.map(slot => slot.p99)),
    toFloor: ratio(name, TARGETS[name]?.large ? 'floor-64k' : 'floor'),
    toFloorModern: ratio(name, 'floor-modern'),
    toSdk: TARGETS[name]?.large ? undefined : ratio(name, 'sdk'),
    toPlain: PLAIN[name] === undefined ? undefined : ratio(name, PLAIN[name]),
    loadMicros: median(slots.map(slot => slot.ownMicros)),
  }))
  console.log(
    `\n${table(
      [
        'target',
        'calls/s',
        '× floor',
        '× floor-modern',
        '× sdk',
        '× plain',
        'CPU µs/call',
        'p50 ms',
        'p99 ms',
        'load µs/call',
      ],
      rows.map(row => [
        row.target,
        show(row.perSecond, 0),
        show(row.toFloor, 2),
        show(row.toFloorModern, 2),
        show(row.toSdk, 1),
        show(row.toPlain, 2),
        show(row.cpuMicros, 0),
        show(row.p50, 2),
        show(row.p99, 2),
        show(row.loadMicros, 0),
      ]),
    )}\n`,
  )
  for (const row of rows) console.log(`${row.target}: ${row.what}`)
  console.log('Every answer was checked: its id, and the value it had to echo.')

  const missed = rows
    .filter(row => row.target.startsWith('gateway-'))
    .flatMap(row => [
      ...miss(row.target, 'the floor', row.toFloor, minFloor),
      ...(TARGETS[row.target]?.large ? [] : miss(row.target, 'the SDK aggregator', row.toSdk, minSdk)),
      ...missOwn(row.target, ratio),
    ])
  for (const line of missed) console.error(line)
  if (options.json !== undefined)
    writeFileSync(
      options.json,
      `${JSON.stringify({ node: process.versions.node, pinned: PINNING, seconds, warmup, rounds, connections, rows, missed }, null, 2)}\n`,
    )
  return missed.length === 0
}

/** @param {string} target @param {(name: string, base: string) => number | undefined} ratio */
function missOwn(target, ratio) {
  const own = MINIMA[target]
  return own ? miss(target, own.base, ratio(target, own.base), own.least) : []
}

/** @param {number | null | undefined} value @param {number} digits */
function show(value, digits) {
  return typeof value === 'number' ? value.toFixed(digits) : '-'
}

/** @param {string} target @param {string} base @param {number | undefined} ratio @param {number | undefined} least */
function miss(target, base, ratio, least) {
  if (least === undefined) return []
  if (ratio === undefined) return [`${target}: no ratio to ${base}, which was not measured`]
  return ratio >= least ? [] : [`${target}: ${ratio.toFixed(2)} times ${base}, below ${least}`]
}

let passed = false
try {
  passed = await main()
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
} finally {
  await Promise.all(children.map(stop))
}
process.exitCode = passed ? 0 : 1
