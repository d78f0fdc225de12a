// @ts-check
import { MODERN, Rig } from './rig.js'

/** Sessions that call at the same time. */
const CLIENTS = 32
/** How many calls a session makes before another takes its place. */
const CALLS_A_SESSION = 2000

/**
 * Calls of both eras to servers of both eras and on stdio, results up to 64 KiB, failures, lists, reads and new sessions. What the gateway holds after all of them is held against what
 * it held after a tenth.
 *
 * @param {number} calls @param {(line: string) => void} say
 * @returns {Promise<string[]>} what is not as it must be
 */
export async function mixed(calls, say) {
  const rig = await Rig.open({}, 8)
  /** @type {string[]} */
  const wrong = []
  let made = 0
  /** Megabytes by tenths. @type {number[]} */
  const tenths = []
  const begun = performance.now()
  /** @param {number} lane */
  const run = async lane => {
    let client = await rig.client(lane)
    let left = CALLS_A_SESSION + lane * 50
    while (made < calls && wrong.length === 0) {
      const at = ++made
      if (at % Math.ceil(calls / 10) === 0) {
        tenths.push(lowest(rig))
        say(
          `  ${at} calls, ${((performance.now() - begun) / 1000).toFixed(0)} s: ${tenths.at(-1)?.toFixed(0)} MB`,
        )
      }
      try {
        await one(client, at)
      } catch (error) {
        wrong.push(String(error))
      }
      if (--left > 0) continue
      left = CALLS_A_SESSION
      client.write(client.head('DELETE', 0))
      client.close()
      client = await rig.client(lane)
    }
    client.close()
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, lane) => run(lane)))
  if (rig.ended) wrong.push(rig.ended)
  const [first = 0] = tenths
  const last = tenths.at(-1) ?? 0
  const perSecond = made / ((performance.now() - begun) / 1000)
  say(
    `  ${made} calls, ${perSecond.toFixed(0)} a second; ${first.toFixed(0)} MB after a tenth, ${last.toFixed(0)} MB after all: ${(last / first).toFixed(2)}×`,
  )
  // A tenth of a short run is not warm yet.
  const most = calls >= 1_000_000 ? 1.1 : 1.6
  if (last > first * most) wrong.push(`memory grew to ${(last / first).toFixed(2)}× (at most ${most}×)`)
  await rig.close()
  return wrong
}

/** The least of the last samples: what is held, without what the next collection frees. @param {Rig} rig */
function lowest(rig) {
  const now = rig.sample()
  return Math.min(now, ...rig.curve.slice(-40).map(({ mb }) => mb))
}

/** @param {import('./rig.js').WireClient} client @param {number} at */
async function one(client, at) {
  const text = `t${at}`
  const server = ['legacy', 'modern', 'pipe'][at % 3] ?? ''
  switch (at % 20) {
    case 0:
      return await client.post({ jsonrpc: '2.0', id: at, method: 'tools/list', params: {} })
    case 1:
      return await client.call(`${server}__big`, { text, bytes: 65_536 })
    case 2:
      return await client.call(`${server}__fail`, {})
    case 3:
      return await client.call(`${server}__progress`, { text, count: 3 })
    case 4:
      return await client.post({
        jsonrpc: '2.0',
        id: at,
        method: 'resources/read',
        params: { uri: 'soak:///one' },
      })
    case 5:
      return await client.call(`${server}__big`, { text, bytes: 4096 })
    default:
      return at % 2 === 0
        ? await client.call(`${server}__echo`, { text })
        : await modernCall(client, `${server}__echo`, text, at)
  }
}

/** @param {import('./rig.js').WireClient} client @param {string} name @param {string} text @param {number} id */
async function modernCall(client, name, text, id) {
  const params = {
    name,
    arguments: { text },
    _meta: {
      'io.modelcontextprotocol/protocolVersion': MODERN,
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'soak', version: '1' },
    },
  }
  const answer = await client.modern(
    { jsonrpc: '2.0', id, method: 'tools/call', params },
    { 'mcp-method': 'tools/call', 'mcp-name': name },
  )
  if (!answer.includes(`"id":${id}`) || !answer.includes(`"text":"${text}"`))
    throw new Error(`wrong answer to ${name}: ${answer.slice(0, 400)}`)
}
