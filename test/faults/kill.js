// @ts-check
import { table } from '../bench/statistics.js'
import { createRandom } from '../crosstalk/random.js'
import { openClient } from './client.js'
import { gatewayConfig } from './config.js'
import { Ledger } from './ledger.js'
import { load, p99 } from './load.js'
import { discard, isRunning, replicaArgs, ReplicaProcess, scratch, startGateway, wait } from './processes.js'

/** Three replicas under load, one of which is killed every two seconds. */

const CLIENTS = 16
const REPLICAS = 3
const KILL_EVERY_MS = 2000
const LATENCY_MS = 10
const THINK_MS = 30
/** Of the time in which replicas are killed, once before and once after it. */
const QUIET_SHARE = 0.2
/** Before anything counts. */
const WARM_S = 2
const MAX_SLOWER = 3
const SERVER = 'k'

/**
 * @typedef {object} KillOptions
 * @property {readonly ('http' | 'stdio')[]} transports of the replicas
 * @property {readonly import('./replica.js').Era[]} eras of the replicas
 * @property {number} seconds
 * @property {number} seed
 * @property {string} log
 */

/** @param {KillOptions} options */
export async function runKill({ transports, eras, ...options }) {
  /** @type {string[][]} */
  const rows = []
  /** @type {string[]} */
  const wrong = []
  for (const transport of transports) {
    for (const era of eras) {
      const { row, wrong: here } = await runOne(transport, era, options)
      rows.push(row)
      wrong.push(...here.map(text => `${transport}, ${era}: ${text}`))
      console.log(table(HEAD, [row]))
      for (const text of here) console.log(`  ${text}`)
    }
  }
  return {
    lines: [table(HEAD, rows), ...(wrong.length > 0 ? ['', ...wrong.map(text => `- **✗** ${text}`)] : [])],
    passed: wrong.length === 0,
  }
}

const HEAD = [
  'replicas',
  'killed',
  'calls',
  'repeated',
  'read or marked: failed',
  'unmarked: failed',
  'unmarked: run twice',
  'p99 ms, quiet',
  'p99 ms',
  'times',
]

/**
 * @param {'http' | 'stdio'} transport
 * @param {import('./replica.js').Era} era
 * @param {Omit<KillOptions, 'transports' | 'eras'>} options
 */
async function runOne(transport, era, { seconds, seed, log }) {
  const directory = scratch()
  const ledger = new Ledger(directory)
  const names = Array.from({ length: REPLICAS }, (_, index) => `k${index + 1}`)
  const settings = names.map(name => ({ name, era, ledger, latencyMs: LATENCY_MS }))
  const processes = transport === 'http' ? settings.map(each => new ReplicaProcess(each)) : []
  await Promise.all(processes.map(each => each.start()))
  const replicas = settings.map((each, index) =>
    transport === 'http'
      ? { name: each.name, url: processes[index]?.url }
      : { name: each.name, command: process.execPath, args: replicaArgs(each, 'stdio') },
  )
  const config = gatewayConfig([{ id: SERVER, replicas, hedge: true, deadlineMs: 10_000 }])
  const gateway = await startGateway(config, { front: 'http', log })
  try {
    // Clients of both eras.
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_, index) =>
        openClient(index % 2 === 0 ? 'legacy' : 'modern', gateway),
      ),
    )
    for (const client of clients.slice(0, 2)) await client.tools()
    const common = { clients, server: SERVER, thinkMs: THINK_MS }
    await load({ ...common, prefix: 'w', seconds: WARM_S, seed })
    // Half of it before and half of it after, since a machine is not equally busy all the time.
    const quiet = await load({ ...common, prefix: 'q', seconds: seconds * QUIET_SHARE, seed })
    const state = { over: false, killed: 0 }
    const killing = killOften(state, names, processes, ledger, seed)
    const calls = await load({ ...common, prefix: 'c', seconds, seed: seed + 1 })
    state.over = true
    await killing
    await load({ ...common, prefix: 'r', seconds: WARM_S, seed })
    quiet.push(...(await load({ ...common, prefix: 's', seconds: seconds * QUIET_SHARE, seed })))
    await Promise.all(clients.map(client => client.close()))
    return judge(transport, era, quiet, calls, state.killed, ledger, seconds)
  } finally {
    await gateway.close()
    await Promise.all(processes.map(each => each.close()))
    discard(directory)
  }
}

/**
 * @param {{ over: boolean, killed: number }} state
 * @param {readonly string[]} names
 * @param {readonly ReplicaProcess[]} processes
 * @param {Ledger} ledger
 * @param {number} seed
 */
async function killOften(state, names, processes, ledger, seed) {
  const random = createRandom(seed)
  for (let next = performance.now() + KILL_EVERY_MS / 2; ; next += KILL_EVERY_MS) {
    while (!state.over && performance.now() < next) await wait(20)
    if (state.over) return
    if (processes.length > 0) {
      const process = random.pick(processes)
      await process.signal('SIGKILL')
      state.killed++
      await process.restart()
      continue
    }
    // Those that were not needed since they were killed are still away.
    const pids = names
      .map(name => ledger.starts(name).at(-1))
      .filter(pid => pid !== undefined && isRunning(pid))
    const pid = pids.length > 0 ? random.pick(pids) : undefined
    if (pid === undefined) continue
    process.kill(pid, 'SIGKILL')
    state.killed++
  }
}

/**
 * @param {string} transport
 * @param {string} era
 * @param {readonly import('./load.js').Call[]} quiet
 * @param {readonly import('./load.js').Call[]} calls
 * @param {number} killed
 * @param {Ledger} ledger
 * @param {number} seconds
 */
function judge(transport, era, quiet, calls, killed, ledger, seconds) {
  const runs = ledger.runs()
  const times = (/** @type {{ key: string }} */ { key }) => runs.get(key)?.length ?? 0
  const lost = calls.filter(({ outcome }) => outcome !== 'result')
  const failed = lost.filter(({ kind }) => kind !== 'unmarked')
  const unmarked = lost.filter(({ kind }) => kind === 'unmarked')
  const twice = calls.filter(call => call.kind === 'unmarked' && times(call) > 1)
  const repeated = calls.filter(call => call.kind !== 'unmarked' && times(call) > 1)
  const quietFailed = quiet.filter(({ outcome }) => outcome !== 'result')
  const [before, after] = [p99(quiet), p99(calls)]
  /** @type {string[]} */
  const wrong = []
  const say = (
    /** @type {number} */ count,
    /** @type {string} */ what,
    /** @type {readonly import('./load.js').Call[]} */ which,
  ) =>
    count > 0 &&
    wrong.push(
      `${count} ${what}, such as ${which
        .slice(0, 3)
        .map(each => `${each.kind} ${each.key}: ${each.outcome} ${each.text}`)
        .join('; ')
        .slice(0, 500)}`,
    )
  say(quietFailed.length, 'failed calls before anything was killed', quietFailed)
  say(failed.length, 'failed calls that may run twice', failed)
  say(twice.length, 'unmarked calls were run twice', twice)
  const unclear = unmarked.filter(
    ({ outcome }) => !['upstream_unreachable', 'upstream_closed'].includes(outcome),
  )
  say(unclear.length, 'unmarked calls failed without a clear cause', unclear)
  if (!(after <= MAX_SLOWER * before))
    wrong.push(`p99 is ${after.toFixed(0)} ms, above ${MAX_SLOWER} times ${before.toFixed(0)} ms`)
  const least = Math.floor((seconds * 1000) / KILL_EVERY_MS) * 0.8
  if (killed < least) wrong.push(`only ${killed} processes were killed`)
  const row = [
    `${transport === 'http' ? 'HTTP' : 'stdio'}, ${era}`,
    ...[killed, calls.length, repeated.length, failed.length, unmarked.length, twice.length].map(String),
    before.toFixed(1),
    after.toFixed(1),
    (after / before).toFixed(2),
  ]
  return { row, wrong }
}
