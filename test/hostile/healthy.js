// @ts-check
/**
 * A well-behaved client beside the attack, in a process of its own: legacy and modern calls, and lists, one after the other. Each answer must be right. It tells its parent
 * how long the slowest took, and which it was.
 */
import { Agent, request } from 'node:http'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { origin: { type: 'string' }, key: { type: 'string' } } })
const agent = new Agent({ keepAlive: true })
const PAUSE_MS = 40
const seen = { calls: 0, slowestMs: 0, slowest: 'none', /** @type {string[]} */ wrong: [] }

/** @param {object} body @param {Record<string, string>} headers @returns {Promise<{ status: number, session: string | undefined, message: any }>} */
function post(body, headers) {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${values.origin}/mcp`,
      {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${values.key}`,
          ...headers,
        },
      },
      response => {
        let text = ''
        response.setEncoding('utf8').on('data', chunk => (text += chunk))
        response.on('end', () => {
          // The answer is the last event of a stream.
          const data = [...text.matchAll(/^data: (.+)$/gm)].at(-1)?.[1] ?? text
          const session = response.headers['mcp-session-id']
          resolve({
            status: response.statusCode ?? 0,
            session: typeof session === 'string' ? session : undefined,
            message: data === '' ? undefined : JSON.parse(data),
          })
        })
        response.on('error', reject)
      },
    )
    sent.on('error', reject)
    sent.end(JSON.stringify(body))
  })
}

const INFO = { name: 'healthy', version: '1' }
/** @type {string | undefined} */
let session

async function open() {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: INFO }
  const answer = await post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, {})
  session = answer.session
  await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, { 'mcp-session-id': session ?? '' })
}

let id = 1
/** @param {boolean} modern */
async function call(modern) {
  const text = `t${++id}`
  const name = modern ? 'dm__read' : 'dl__read'
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': INFO,
  }
  const params = { name, arguments: { text }, ...(modern && { _meta }) }
  /** @type {Record<string, string>} */
  const headers = modern
    ? { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name }
    : { 'mcp-session-id': session ?? '' }
  const { status, message } = await post({ jsonrpc: '2.0', id, method: 'tools/call', params }, headers)
  if (status !== 200 || message.id !== id || message.result?.content?.[0]?.text !== text)
    throw new Error(`${name}: HTTP ${status} ${JSON.stringify(message).slice(0, 300)}`)
}

async function list() {
  const body = { jsonrpc: '2.0', id: ++id, method: 'tools/list', params: {} }
  const { status, message } = await post(body, { 'mcp-session-id': session ?? '' })
  if (status !== 200 || !message.result.tools.some((/** @type {any} */ tool) => tool.name === 'dl__read'))
    throw new Error(`tools/list: HTTP ${status} ${JSON.stringify(message).slice(0, 300)}`)
}

process.on('message', () => process.send?.({ report: seen }))
process.on('disconnect', () => process.exit())
await open()
// Servers are listed before anything is measured.
await list()
process.send?.({ ready: true })
for (let turn = 0; ; turn++) {
  const begun = performance.now()
  const what = turn % 10 === 9 ? 'tools/list' : turn % 2 === 1 ? 'a modern call' : 'a legacy call'
  try {
    await (turn % 10 === 9 ? list() : call(turn % 2 === 1))
    seen.calls++
  } catch (error) {
    if (seen.wrong.length < 20) seen.wrong.push(String(error))
  }
  const tookMs = performance.now() - begun
  if (tookMs > seen.slowestMs) {
    seen.slowestMs = tookMs
    seen.slowest = what
  }
  await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
}
