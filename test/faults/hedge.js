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
const MAX_SLOWER = 2
const MAX_EXTRA = 0.06
const SERVER = 'h'

/** @param {{ eras: readonly import('./replica.js').Era[], seconds: number, seed: number, log: string }} options */
export async function runHedge({ eras, ...options }) {
  /** @type {string[][]} */
  const rows = []
  /** @type {string[]} */
  const wrong = []
  for (const era of eras) {
    const without = await runOne(era, [FAST_MS, FAST_MS], options)
    const beside = await runOne(era, [FAST_MS, FAST_MS, SLOW_MS], options)
    const times = beside.p99 / without.p99
    for (const [what, { calls, extra, slow, ...one }] of /** @type {const} */ ([
      ['two', without],
      ['two, and a slow one', beside],
    ]))
      rows.push([
        `${what}, ${era}`,
        String(calls),
        one.p50.toFixed(1),
        one.p99.toFixed(1),
        String(slow),
        `${(100 * extra).toFixed(1)} %`,
        what === 'two' ? '' : times.toFixed(2),
      ])
    for (const { failed } of [without, beside])
      if (failed.length > 0)
        wrong.push(`${era}: ${failed.length} calls failed: ${failed.slice(0, 3).join('; ').slice(0, 400)}`)
    if (!(times <= MAX_SLOWER))
      wrong.push(`${era}: p99 is ${times.toFixed(2)} times that without the slow one, above ${MAX_SLOWER}`)
    if (!(beside.extra <= MAX_EXTRA))
      wrong.push(`${era}: ${(100 * beside.extra).toFixed(1)} % more calls, above ${100 * MAX_EXTRA} %`)
  }
  const lines = [
    table(
      ['replicas', 'calls', 'p50 ms', 'p99 ms', 'runs at the slow one', 'extra runs', 'p99, times'],
      rows,
    ),
  ]
  lines.push(...(wrong.length > 0 ? ['', ...wrong.map(text => `- **✗** ${text}`)] : []))
  console.log(lines.join('\n'))
  return { lines, passed: wrong.length === 0 }
}

/** @param {import('./replica.js').Era} era @param {readonly number[]} latencies @param {{ seconds: number, seed: number, log: string }} options */
async function runOne(era, latencies, { seconds, seed, log }) {
  const directory = scratch()
  const ledger = new Ledger(directory)
  const processes = latencies.map(
    (latencyMs, index) => new ReplicaProcess({ era, name: `h${index + 1}`, ledger, latencyMs }),
  )
  await Promise.all(processes.map(each => each.start()))
  const replicas = processes.map(({ url }, index) => ({ name: `h${index + 1}`, url }))
  const gateway = await startGateway(
    gatewayConfig([{ id: SERVER, replicas, hedge: true, deadlineMs: 10_000 }]),
    { front: 'http', log },
  )
  try {
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_, index) =>
        openClient(index % 2 === 0 ? 'legacy' : 'modern', gateway),
      ),
    )
    for (const client of clients) await client.tools()
    const calls = await load({
      clients,
      server: SERVER,
      kinds: ['read', 'marked'],
      prefix: 'c',
      seconds,
      seed,
      thinkMs: THINK_MS,
    })
    await Promise.all(clients.map(client => client.close()))
    const runs = [...ledger.runs().values()]
    const all = runs.reduce((sum, { length }) => sum + length, 0)
    const failed = calls
      .filter(({ outcome }) => outcome !== 'result')
      .map(({ outcome, text }) => `${outcome} ${text}`)
    const sorted = calls.map(({ ms }) => ms).sort((a, b) => a - b)
    return {
      calls: calls.length,
      extra: all / calls.length - 1,
      slow: runs.flat().filter(name => name === 'h3').length,
      p50: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
      p99: p99(calls),
      failed,
    }
  } finally {
    await gateway.close()
    await Promise.all(processes.map(each => each.close()))
    discard(directory)
  }
}
