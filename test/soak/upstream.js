// @ts-check
/**
 * The upstream of the soak: a raw server that answers at once, in as many bytes, messages or not at all, as the tool says. A process of its own; it tells its parent where it
 * listens.
 *
 * Endpoints: `/legacy` (2025-11-25, with sessions) and `/modern` (2026-07-28); with `--stdio` the same over stdin and stdout, legacy.
 */
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

const MODERN = '2026-07-28'
const INFO = { name: 'soak', version: '1' }
const CAPABILITIES = { tools: {}, logging: {}, resources: { subscribe: true } }
const FRESH = { ttlMs: 3_600_000, cacheScope: 'public' }
const anything = { type: 'object' }
const TOOLS = ['echo', 'big', 'hang', 'progress', 'log', 'fail'].map(name => ({
  name,
  inputSchema: anything,
}))
const RESOURCES = [{ uri: 'soak:///one', name: 'one' }]
/** Large texts, made once. @type {Map<number, string>} */
const large = new Map()

/** @param {number} bytes */
function textOf(bytes) {
  let text = large.get(bytes)
  if (text === undefined) large.set(bytes, (text = 'x'.repeat(bytes)))
  return text
}

/**
 * @param {any} message
 * @param {boolean} modern
 * @param {(text: string) => boolean} say sends before the answer; false when it is not taken any more
 * @param {() => Promise<void>} drained
 * @returns {Promise<string | undefined>} the members beside `jsonrpc` and `id`; `undefined` for no answer
 */
async function answerTo({ method, params }, modern, say, drained) {
  const result = (/** @type {object} */ value) =>
    `"result":${JSON.stringify({ ...(modern && { resultType: 'complete' }), ...value })}`
  switch (method) {
    case 'initialize':
      if (modern) return `"error":{"code":-32022,"message":"old","data":{"supported":["${MODERN}"]}}`
      return result({ protocolVersion: params.protocolVersion, capabilities: CAPABILITIES, serverInfo: INFO })
    case 'server/discover':
      if (!modern) return '"error":{"code":-32601,"message":"Method not found"}'
      return result({ ...FRESH, supportedVersions: [MODERN], capabilities: CAPABILITIES })
    case 'tools/list':
      return result({ ...FRESH, tools: TOOLS })
    case 'resources/list':
      return result({ ...FRESH, resources: RESOURCES })
    case 'resources/read':
      return result({ ...FRESH, contents: [{ uri: params.uri, text: 'one' }] })
    case 'ping':
    case 'logging/setLevel':
    case 'resources/subscribe':
      return result({})
    case 'tools/call':
      break
    default:
      return '"error":{"code":-32601,"message":"Method not found"}'
  }
  const { text = '', bytes = 0, count = 0 } = params.arguments ?? {}
  switch (params.name) {
    case 'big':
      return `"result":{${modern ? '"resultType":"complete",' : ''}"content":[{"type":"text","text":${JSON.stringify(text)}},{"type":"text","text":"${textOf(bytes)}"}]}`
    case 'hang':
      // So that the client knows that the call is here.
      say(
        `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${JSON.stringify(params._meta?.progressToken ?? 0)},"progress":1}}`,
      )
      return undefined
    case 'fail':
      return '"error":{"code":-32603,"message":"as asked"}'
    case 'progress': {
      const token = JSON.stringify(params._meta?.progressToken ?? 0)
      for (let at = 1; at <= count; at++)
        if (
          !say(
            `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":${at},"total":${count},"message":"${textOf(bytes)}"}}`,
          )
        )
          await drained()
      return result({ content: [{ type: 'text', text }] })
    }
    case 'log':
      // After the answer, when no call is in flight: such records concern every session.
      setTimeout(() => {
        for (let at = 0; at < count; at++)
          say(
            `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"${textOf(bytes)}"}}`,
          )
      }, 100)
      return result({ content: [{ type: 'text', text }] })
    default:
      return result({ content: [{ type: 'text', text }] })
  }
}

/** Open GET streams. @type {Set<import('node:http').ServerResponse>} */
const streams = new Set()
let sessions = 0

function serveHttp() {
  const server = createServer((request, response) => {
    const modern = request.url === '/modern'
    response.on('error', () => {})
    if (request.method === 'GET' && !modern) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    if (request.method !== 'POST')
      return void response.writeHead(request.method === 'DELETE' ? 200 : 405).end()
    /** @type {Buffer[]} */
    const chunks = []
    request.on('error', () => {})
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', async () => {
      const message = JSON.parse(Buffer.concat(chunks).toString())
      chunks.length = 0
      if (message.id === undefined || message.method === undefined) return void response.writeHead(202).end()
      const say = (/** @type {string} */ text) => {
        if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' })
        return response.write(`data: ${text}\n\n`)
      }
      const drained = () =>
        new Promise(resolve => {
          if (response.destroyed) return resolve(undefined)
          const go = () => {
            response.off('drain', go)
            response.off('close', go)
            resolve(undefined)
          }
          response.on('drain', go)
          response.on('close', go)
        })
      const body = await answerTo(message, modern, say, /** @type {() => Promise<void>} */ (drained))
      if (body === undefined) return
      const text = `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},${body}}`
      if (response.headersSent) return void response.end(`data: ${text}\n\n`)
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
        ...(message.method === 'initialize' && !modern && { 'mcp-session-id': `s${++sessions}` }),
      })
      response.end(text)
    })
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object')
      process.send?.({ origin: `http://127.0.0.1:${address.port}` })
  })
  process.on('disconnect', () => process.exit())
}

function serveStdio() {
  const say = (/** @type {string} */ text) => process.stdout.write(`${text}\n`)
  const drained = () => new Promise(resolve => process.stdout.once('drain', resolve))
  createInterface({ input: process.stdin })
    .on('line', async line => {
      const message = JSON.parse(line)
      if (message.id === undefined || message.method === undefined) return
      const body = await answerTo(message, false, say, /** @type {() => Promise<void>} */ (drained))
      if (body !== undefined) say(`{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},${body}}`)
    })
    .on('close', () => process.exit())
}

if (process.argv.includes('--stdio')) serveStdio()
else serveHttp()
