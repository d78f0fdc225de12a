// @ts-check
import { Rig, wait } from './rig.js'

/** @typedef {{ name: string, peakMb: number, leftMb?: number, run: (rig: Rig) => Promise<void>, clients?: number, config?: object }} Bound */

const MB = 1024 * 1024
/** @param {number} length @returns {number[]} */
const range = length => Array.from({ length }, (_, at) => at)

/**
 * What clients and servers can make the gateway hold, and how much that may be above what it held before. `leftMb` bounds what is still held a second after the clients have left.
 *
 * @type {readonly Bound[]}
 */
export const BOUNDS = [
  {
    name: '60 clients do not read a result of 10 MiB',
    peakMb: 256,
    clients: 60,
    run: async rig => {
      const clients = await Promise.all(range(60).map(at => rig.client(at)))
      for (const [at, client] of clients.entries()) {
        client.stopReading()
        client.send({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: { name: at % 2 === 0 ? 'legacy__big' : 'pipe__big', arguments: { bytes: 10 * MB } },
        })
        await wait(30)
      }
      await wait(5000)
      for (const client of clients) client.close()
    },
  },
  {
    name: '1,000 calls with 4 MB of arguments are cancelled, and the server goes on',
    peakMb: 100,
    leftMb: 100,
    config: { gateway: { http: { port: 0, maxBody: '8MiB' }, state: 'memory', log: 'error' } },
    run: async rig => {
      const filler = 'x'.repeat(4 * 1000 * 1000)
      const client = await rig.client(0)
      const lines = await rig.client(0)
      lines.session = client.session
      for (let id = 1; id <= 1000; id++) {
        const name = id % 2 === 0 ? 'legacy__hang' : 'pipe__hang'
        const caller = await rig.client(0)
        caller.session = client.session
        const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":{"text":"${filler}"},"_meta":{"progressToken":${id}}}}`
        const heard = caller.heard()
        caller.send(body)
        // The server has it.
        await heard
        await lines.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } })
        caller.close()
      }
      await wait(1000)
    },
  },
  {
    name: '300,000 progress notifications to a client that does not read',
    peakMb: 100,
    run: async rig => {
      const client = await rig.client(0)
      client.stopReading()
      client.send({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name: 'legacy__progress',
          arguments: { count: 300_000, bytes: 1000 },
          _meta: { progressToken: 1 },
        },
      })
      await wait(8000)
      client.close()
    },
  },
  {
    name: '30 idle sessions get 200 log messages of 1 MB each',
    peakMb: 150,
    run: async rig => {
      const idle = await Promise.all(range(30).map(() => rig.client(0)))
      const client = await rig.client(0)
      for (let left = 20; left > 0; left--) {
        await client.call('pipe__log', { text: 'done', count: 10, bytes: 1000 * 1000 })
        await wait(400)
      }
      for (const each of [...idle, client]) each.close()
    },
  },
  {
    name: '40 sessions keep the event of a 20 MB answer',
    peakMb: 250,
    leftMb: 150,
    config: { gateway: { http: { port: 0 }, state: 'memory', log: 'error' } },
    run: async rig => {
      for (const at of range(40)) {
        const client = await rig.client(at)
        await client.post({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: {
            name: 'legacy__progress',
            arguments: { count: 1, text: 'x'.repeat(100) },
            _meta: { progressToken: 1 },
          },
        })
        await client.post({
          jsonrpc: '2.0',
          id: 2,
          method: 'tools/call',
          params: { name: 'legacy__big', arguments: { bytes: 20 * MB }, _meta: { progressToken: 2 } },
        })
        client.close()
      }
    },
  },
  {
    name: '300 bodies of 4 MB of one client are not finished',
    peakMb: 200,
    run: async rig => {
      const clients = await Promise.all(range(300).map(() => rig.client(0)))
      const part = 'x'.repeat(3_900_000)
      for (const client of clients) {
        client.write(
          `${client.head('POST', 4_000_000)}{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"a":"${part}`,
        )
        await wait(10)
      }
      await wait(1000)
      for (const client of clients) client.close()
    },
  },
]

/** @param {Bound} bound @param {(line: string) => void} say @returns {Promise<string[]>} what is not as it must be */
export async function holds(bound, say) {
  const rig = await Rig.open(bound.config, bound.clients ?? 0)
  /** @type {string[]} */
  const wrong = []
  let failed
  try {
    await bound.run(rig)
  } catch (error) {
    failed = error
  }
  await wait(1000)
  const left = rig.sample() - (rig.base ?? 0)
  const { peak } = rig
  if (rig.ended) wrong.push(rig.ended)
  else if (failed !== undefined) wrong.push(String(failed))
  // It still answers.
  else
    await rig.client(0).then(async client => {
      await client.call('legacy__echo', { text: 'after' })
      client.close()
    })
  say(
    `  base ${rig.base?.toFixed(0)} MB; peak +${peak.toFixed(0)} (bound ${bound.peakMb}); a second later +${left.toFixed(0)}${bound.leftMb === undefined ? '' : ` (bound ${bound.leftMb})`}`,
  )
  say(`  ${curveOf(rig)}`)
  if (peak > bound.peakMb) wrong.push(`+${peak.toFixed(0)} MB (at most ${bound.peakMb})`)
  if (bound.leftMb !== undefined && left > bound.leftMb)
    wrong.push(`+${left.toFixed(0)} MB a second later (at most ${bound.leftMb})`)
  await rig.close()
  return wrong
}

const BARS = '▁▂▃▄▅▆▇█'

/** The memory over time, as one line. @param {Rig} rig */
function curveOf(rig) {
  const steps = Math.min(60, rig.curve.length)
  const values = range(steps).map(step => rig.curve[Math.floor((step * rig.curve.length) / steps)]?.mb ?? 0)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const bars = values.map(value => BARS[Math.round(((value - low) / Math.max(1, high - low)) * 7)])
  return `${low.toFixed(0)} ${bars.join('')} ${high.toFixed(0)} MB over ${((rig.curve.at(-1)?.atMs ?? 0) / 1000).toFixed(0)} s`
}
