// @ts-check
import { table } from '../bench/statistics.js'
import { openClient } from './client.js'
import { gatewayConfig } from './config.js'
import { Ledger } from './ledger.js'
import { load, p99 } from './load.js'
import { discard, ReplicaProcess, scratch, startGateway } from './processes.js'

/** Three replicas, one of which is a hundred times slower, beside the same without that one. */

const CLIENTS = 16
const FAST_MS = 10
const SLOW_MS = 1000
const THINK_MS = 20
/** The two are measured in turn, so that a machine that is busy in between slows down both. */
const SLOT_S = 2
const MAX_SLOWER = 2
const MAX_EXTRA = 0.06
const SERVER = 'h'

/** @typedef {{ seconds: number, seed: number, log: string }} Options */

/** @param {Options & { eras: readonly import('./replica.js').Era[] }} options */
export async function runHedge({ eras, ...options }) {
  /** @type {string[][]} */
  const rows = []
  /** @type {string[]} */
  const wrong = []
  for (const era of eras) {
    const { without, beside } = await runBoth(era, options)
    const times = beside.p99 / without.p99
    for (const [what, one] of /** @type {const} */ ([
      ['two', without],
      ['two, and a slow one', beside],
    ])) {
      const { calls, extra, slow, failed } = one
      const slower = one === beside ? times.toFixed(2) : ''
      const share = `${(100 * extra).toFixed(1)} %`
      rows.push([
        `${what}, ${era}`,
        String(calls),
        one.p50.toFixed(1),
        one.p99.toFixed(1),
        slower,
        String(slow),
        share,
      ])
      if (failed.length > 0)
        wrong.push(`${era}: ${failed.length} calls failed: ${failed.slice(0, 3).join('; ').slice(0, 400)}`)
    }
    if (!(times <= MAX_SLOWER))
      wrong.push(`${era}: p99 is ${times.toFixed(2)} times that without the slow one, above ${MAX_SLOWER}`)
    if (!(beside.extra <= MAX_EXTRA))
      wrong.push(
        `${era}: ${(100 * beside.extra).toFixed(1)} % more runs than calls, above ${100 * MAX_EXTRA} %`,
      )
  }
  const head = ['replicas', 'calls', 'p50 ms', 'p99 ms', 'times', 'runs at the slow one', 'extra runs']
  const lines = [table(head, rows)]
  lines.push(...(wrong.length > 0 ? ['', ...wrong.map(text => `- **✗** ${text}`)] : []))
  console.log(lines.join('\n'))
  return { lines, passed: wrong.length === 0 }
}

/** @param {import('./replica.js').Era} era @param {Options} options */
async function runBoth(era, { seconds, seed, log }) {
  const worlds = [await open(era, [FAST_MS, FAST_MS], log), await open(era, [FAST_MS, FAST_MS, SLOW_MS], log)]
  try {
    for (let slot = 0; slot * SLOT_S < seconds; slot++)
      for (const world of worlds) await world.act(slot, seed)
    const [without, beside] = worlds.map(world => world.result())
    if (!without || !beside) throw new Error('two were opened')
    return { without, beside }
  } finally {
    await Promise.all(worlds.map(world => world.close()))
  }
}

/** @param {import('./replica.js').Era} era @param {readonly number[]} latencies @param {string} log */
async function open(era, latencies, log) {
  const directory = scratch()
  const ledger = new Ledger(directory)
  const processes = latencies.map(
    (latencyMs, index) => new ReplicaProcess({ era, name: `h${index + 1}`, ledger, latencyMs }),
  )
  await Promise.all(processes.map(each => each.start()))
  const replicas = processes.map(({ url }, index) => ({ name: `h${index + 1}`, url }))
  const config = gatewayConfig([{ id: SERVER, replicas, hedge: true, deadlineMs: 10_000 }])
  const gateway = await startGateway(config, { front: 'http', log })
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, (_, index) => openClient(index % 2 === 0 ? 'legacy' : 'modern', gateway)),
  )
  for (const client of clients) await client.tools()
  /** @type {import('./load.js').Call[]} */
  const calls = []
  return {
    /** @param {number} slot @param {number} seed */
    async act(slot, seed) {
      const common = { clients, server: SERVER, kinds: /** @type {const} */ (['read', 'marked']) }
      const prefix = `c${slot}`
      calls.push(
        ...(await load({ ...common, prefix, seconds: SLOT_S, seed: seed + slot, thinkMs: THINK_MS })),
      )
    },
    result() {
      const runs = [...ledger.runs().values()]
      const sorted = calls.map(({ ms }) => ms).sort((a, b) => a - b)
      const failed = calls.filter(({ outcome }) => outcome !== 'result')
      return {
        calls: calls.length,
        extra: runs.reduce((sum, { length }) => sum + length, 0) / calls.length - 1,
        slow: runs.flat().filter(name => name === 'h3').length,
        p50: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
        p99: p99(calls),
        failed: failed.map(({ outcome, text }) => `${outcome} ${text}`),
      }
    },
    async close() {
      await Promise.all(clients.map(client => client.close()))
      await gateway.close()
      await Promise.all(processes.map(each => each.close()))
      discard(directory)
    },
  }
}
