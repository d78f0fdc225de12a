// @ts-check
/**
 * An honest server that holds each request against the rules of the run, as servers in Node, Python and Go would read it. A process of its own; it tells its parent
 * where it listens and, when asked with `report`, what it saw.
 *
 * Endpoints: `/deny/legacy`, `/deny/modern` (rules that deny), `/allow/legacy` (rules that allow one folder).
 */
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { appendFileSync } from 'node:fs'
import { forbiddenIn } from './readers.js'

const { values } = parseArgs({ options: { record: { type: 'string' } } })

const MODERN = '2026-07-28'
const INFO = { name: 'checking-server', version: '1' }
const CAPABILITIES = {
  tools: { listChanged: true },
  resources: { subscribe: true },
  prompts: {},
  completions: {},
  logging: {},
}
const anything = { type: 'object' }
const LISTS = {
  tools: ['read', 'list_files', 'delete_all', 'transfer'].map(name => ({ name, inputSchema: anything })),
  resources: ['file:///pub/readme.txt', 'file:///secret/payroll.csv'].map(uri => ({ uri, name: uri })),
  resourceTemplates: [{ uriTemplate: 'file:///{+path}', name: 'files' }],
  prompts: [{ name: 'greet' }],
}
/** How many texts of what was forbidden are told. */
const MAX_TOLD = 20

const seen = { requests: 0, calls: 0, reads: 0, /** @type {string[]} */ forbidden: [], forbiddenCount: 0 }

/** @param {string} url @param {string} text */
function judge(url, text) {
  seen.requests++
  if (values.record !== undefined) appendFileSync(values.record, `${JSON.stringify({ url, text })}\n`)
  const found = forbiddenIn(text, url.startsWith('/allow') ? 'allow' : 'deny')
  if (found.length === 0) return
  seen.forbiddenCount++
  if (seen.forbidden.length < MAX_TOLD) seen.forbidden.push(`${found.join('; ')} ⟵ ${text.slice(0, 600)}`)
}

const server = createServer((request, response) => {
  if (request.method !== 'POST') return void response.writeHead(request.method === 'DELETE' ? 200 : 405).end()
  /** @type {Buffer[]} */
  const chunks = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => {
    const text = Buffer.concat(chunks).toString()
    const url = request.url ?? ''
    judge(url, text)
    const message = JSON.parse(text)
    if (message.id === undefined || message.method === undefined) return void response.writeHead(202).end()
    const [status, body] = answer(message, url.endsWith('/modern'))
    const answered = JSON.stringify({ jsonrpc: '2.0', id: message.id, ...body })
    response
      .writeHead(status, {
        'content-type': 'application/json',
        ...(message.method === 'initialize' && { 'mcp-session-id': `w${seen.requests}` }),
      })
      .end(answered)
  })
})

/** @param {any} message @param {boolean} modern @returns {[number, object]} */
function answer({ method, params }, modern) {
  const complete = modern
    ? { resultType: 'complete', _meta: { 'io.modelcontextprotocol/serverInfo': INFO } }
    : {}
  const fresh = modern ? { ttlMs: 3_600_000, cacheScope: 'public' } : {}
  /** @param {object} result @returns {[number, object]} */
  const ok = result => [200, { result: { ...complete, ...result } }]
  const list = /^(tools|resources|prompts)\/(templates\/)?list$/.exec(method)
  if (list) {
    const key = /** @type {keyof typeof LISTS} */ (list[2] ? 'resourceTemplates' : list[1])
    return ok({ ...fresh, [key]: LISTS[key] })
  }
  switch (method) {
    case 'initialize':
      if (modern) break
      return ok({ protocolVersion: params.protocolVersion, capabilities: CAPABILITIES, serverInfo: INFO })
    case 'server/discover':
      if (!modern) break
      return ok({ ...fresh, supportedVersions: [MODERN], capabilities: CAPABILITIES })
    case 'tools/call':
      seen.calls++
      return ok({ content: [{ type: 'text', text: String(params.arguments?.text ?? '') }] })
    case 'resources/read':
      seen.reads++
      return ok({ ...fresh, contents: [{ uri: params.uri, text: 'a file' }] })
    case 'prompts/get':
      return ok({ messages: [] })
    case 'completion/complete':
      return ok({ completion: { values: [] } })
    case 'ping':
    case 'logging/setLevel':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return ok({})
  }
  return [modern ? 404 : 200, { error: { code: -32601, message: 'Method not found' } }]
}

process.on('message', () => process.send?.({ report: seen }))
process.on('disconnect', () => process.exit())
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object')
    process.send?.({ origin: `http://127.0.0.1:${address.port}` })
})
