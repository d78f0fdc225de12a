// @ts-check
/**
 * A server that answers as no server should, seeded. Its greeting and lists are right often enough for it to be used.
 *
 *   node hostile-server.js --seed <number>            over HTTP: /legacy, /modern and /sse; tells its parent where it listens and, when asked, what it did
 *   node hostile-server.js --seed <number> --stdio
 */
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createRandom } from '../crosstalk/random.js'
import { mutate, odd } from './mutations.js'

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, stdio: { type: 'boolean', default: false } },
})
const random = createRandom(Number(values.seed))
const done = { answers: 0, messages: 0 }

const MODERN = '2026-07-28'
const CAPABILITIES =
  '{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"prompts":{"listChanged":true},"logging":{},"completions":{}}'
const LISTS = {
  tools:
    '{"tools":[{"name":"poke","inputSchema":{"type":"object"}},{"name":"prod","description":"x","inputSchema":{"type":"object","properties":{"a":{"type":"string"}}},"annotations":{"readOnlyHint":true}}]}',
  resources:
    '{"resources":[{"uri":"hostile:///one","name":"one"},{"uri":"hostile:///two","name":"two","size":1}]}',
  templates: '{"resourceTemplates":[{"uriTemplate":"hostile:///{+a}{+b}{+c}x","name":"t"}]}',
  prompts: '{"prompts":[{"name":"greet","arguments":[{"name":"who","required":false}]}]}',
}
const RESULTS = [
  '{"content":[{"type":"text","text":"fine"}],"isError":false}',
  '{"content":[{"type":"resource_link","uri":"file:///secret/payroll.csv","name":"l"},{"type":"resource","resource":{"uri":"manifold://usage","text":"t"}}]}',
  '{"content":[],"structuredContent":{"a":[1,2,{"b":null}]},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}',
  '{"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{}}}}},"requestState":"s"}',
  '{"contents":[{"uri":"hostile:///one","text":"t"}]}',
  '{"messages":[{"role":"user","content":{"type":"text","text":"t"}}]}',
  '{"task":{"taskId":"t1","status":"working","createdAt":"2026-01-01T00:00:00Z","ttl":1000}}',
]
const ERRORS = [
  '{"code":-32603,"message":"no"}',
  '{"code":-32042,"message":"url","data":{"elicitations":[{"mode":"url","url":"https://x.example","elicitationId":"e","message":"m"}]}}',
  '{"code":-32022,"message":"version","data":{"supported":["1"]}}',
  '{"code":-32601,"message":"unknown"}',
  '{"code":"text","message":{}}',
]
const UNASKED = [
  '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1,"total":2}}',
  '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"l","data":"d"}}',
  '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"hostile:///one"}}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"r"}}',
  '{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t1","status":"completed","createdAt":"2026-01-01T00:00:00Z","ttl":1}}',
  '{"jsonrpc":"2.0","id":7,"method":"ping"}',
  '{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{"a":{"type":"string"}}}}}',
  '{"jsonrpc":"2.0","id":8,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}',
  '{"jsonrpc":"2.0","id":9,"method":"roots/list"}',
  '{"jsonrpc":"2.0","id":1,"result":{}}',
]

/** An unsolicited message. */
function unasked() {
  done.messages++
  return mutate(random.pick(UNASKED), random)
}

/**
 * What is said to a request: the right thing, something near it, or nothing.
 * @param {any} message @param {boolean} modern @returns {string | undefined}
 */
function answerTo(message, modern) {
  done.answers++
  const right = rightAnswer(message, modern)
  const envelope = `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},${right}}`
  // A server that cannot be greeted is not used, and then nothing else of it is tried.
  const gentle = /^(initialize|server\/discover)$/.test(message.method)
    ? 0.9
    : String(message.method).endsWith('list')
      ? 0.6
      : 0.15
  if (random.chance(gentle)) return envelope
  if (random.chance(0.02)) return undefined
  if (random.chance(0.1)) return envelope.replace(/"id":[^,]+/, `"id":${odd(random, 50)}`)
  return mutate(envelope, random, { deepest: 3000, changes: 4 })
}

/** @param {any} message @param {boolean} modern */
function rightAnswer({ method, params }, modern) {
  const result = (/** @type {string} */ text) =>
    `"result":${modern ? text.replace('{', '{"resultType":"complete","ttlMs":0,"cacheScope":"public",') : text}`
  switch (method) {
    case 'initialize':
      return modern
        ? `"error":{"code":-32022,"message":"Unsupported","data":{"supported":["${MODERN}"]}}`
        : `"result":{"protocolVersion":${JSON.stringify(params?.protocolVersion ?? '2025-11-25')},"capabilities":${CAPABILITIES},"serverInfo":{"name":"h","version":"1"},"instructions":"i"}`
    case 'server/discover':
      return modern
        ? result(
            `{"supportedVersions":["${MODERN}"],"capabilities":${CAPABILITIES},"serverInfo":{"name":"h","version":"1"}}`,
          )
        : '"error":{"code":-32601,"message":"Method not found"}'
    case 'tools/list':
      return result(LISTS.tools)
    case 'resources/list':
      return result(LISTS.resources)
    case 'resources/templates/list':
      return result(LISTS.templates)
    case 'prompts/list':
      return result(LISTS.prompts)
    case 'ping':
    case 'logging/setLevel':
    case 'resources/subscribe':
      return '"result":{}'
  }
  return random.chance(0.25) ? `"error":${random.pick(ERRORS)}` : `"result":${random.pick(RESULTS)}`
}

/** @param {any} text */
function parsed(text) {
  try {
    const message = JSON.parse(text)
    return typeof message === 'object' && message !== null ? message : {}
  } catch {
    return {}
  }
}

/** The bytes of an event stream, now and then none that a specification has. @param {string} text */
function event(text) {
  const shape = random.between(0, 19)
  if (shape === 0)
    return `retry: ${random.pick(['0', '1', '-1', '1e99', 'x'])}\n\nid: ${odd(random, 40)}\ndata: ${text}\n\n`
  if (shape === 1) return `: ${'c'.repeat(random.between(0, 400))}\r\ndata: ${text}\r\n\r\n`
  if (shape === 2) return `event: ${odd(random, 20)}\ndata: ${text}\n\n`
  if (shape === 3) return `data: ${text.slice(0, 20)}\ndata: ${text.slice(20)}\n\n`
  if (shape === 4) return `data\n\ndata:\n\nid\n\ndata: ${text}\r\r`
  return `event: message\ndata: ${text.replaceAll('\n', ' ')}\n\n`
}

/** @param {import('node:http').ServerResponse} response @param {any} message @param {boolean} modern @param {Record<string, string>} more */
function respond(response, message, modern, more) {
  const text = answerTo(message, modern)
  if (text === undefined) return
  const greeting = /^(initialize|server\/discover|.*list)$/.test(message.method)
  const shape = greeting && random.chance(0.9) ? 99 : random.between(0, 24)
  if (shape === 0) return void response.destroy()
  if (shape === 1) {
    const status = random.pick([
      204, 301, 307, 400, 401, 403, 404, 405, 406, 409, 413, 429, 500, 502, 503, 504,
    ])
    const headers = {
      'retry-after': random.pick(['0', '-1', '1e9', 'soon']),
      'www-authenticate': odd(random, 30).replace(/[^ -~]/g, '?'),
      location: '/legacy',
    }
    return void response
      .writeHead(status, headers)
      .end(status === 204 ? undefined : random.pick([text, '<html>', '', '{"error":']))
  }
  if (shape === 2) {
    response.writeHead(200, {
      'content-type': random.pick([
        'text/html',
        'application/json; charset=utf-16',
        'x',
        'text/event-stream;a',
      ]),
    })
    return void response.end(text)
  }
  if (shape === 3) {
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(text) + 10),
    })
    return void response.write(text, () => response.destroy())
  }
  if (shape === 4) {
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-encoding': random.pick(['gzip', 'br', 'x']),
    })
    return void response.end(text)
  }
  if (shape < 14) {
    response.writeHead(200, { 'content-type': 'text/event-stream', ...more })
    for (let left = random.between(0, 6); left > 0; left--) response.write(event(unasked()))
    const bytes = Buffer.from(event(text))
    const cut = random.between(0, bytes.length)
    response.write(bytes.subarray(0, cut))
    if (random.chance(0.05)) return void response.destroy()
    setImmediate(() => response.end(bytes.subarray(cut)))
    return
  }
  response.writeHead(200, { 'content-type': 'application/json', ...more })
  response.end(text)
}

/** Open streams of the deprecated transport. @type {Map<string, import('node:http').ServerResponse>} */
const streams = new Map()
let sessions = 0

function serveHttp() {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    response.on('error', () => {})
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      if (url.pathname === '/sse') {
        const id = `s${++sessions}`
        streams.set(id, response)
        response.on('close', () => streams.delete(id))
        response.write(
          `event: endpoint\ndata: ${random.chance(0.97) ? `/messages?id=${id}` : odd(random, 40).replaceAll('\n', '')}\n\n`,
        )
        return
      }
      const timer = setInterval(() => {
        if (random.chance(0.1)) return void response.end()
        response.write(event(unasked()))
      }, 50)
      response.on('close', () => clearInterval(timer))
      return
    }
    /** @type {Buffer[]} */
    const chunks = []
    request.on('error', () => {})
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const message = parsed(Buffer.concat(chunks).toString())
      const isRequest = message.id !== undefined && message.method !== undefined
      if (url.pathname === '/messages') {
        response.writeHead(202).end()
        const stream = streams.get(url.searchParams.get('id') ?? '')
        const text = isRequest ? answerTo(message, false) : undefined
        if (text === undefined || !stream) return
        while (random.chance(0.3)) stream.write(event(unasked()))
        stream.write(`event: message\ndata: ${text.replaceAll('\n', ' ')}\n\n`)
        if (random.chance(0.01)) stream.destroy()
        return
      }
      const modern = url.pathname === '/modern'
      if (!isRequest) return void response.writeHead(202).end()
      respond(
        response,
        message,
        modern,
        message.method === 'initialize' ? { 'mcp-session-id': `h${++sessions}` } : {},
      )
    })
  })
  server.on('clientError', (_, socket) => socket.destroy())
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object')
      process.send?.({ origin: `http://127.0.0.1:${address.port}` })
  })
  process.on('message', () => process.send?.({ report: done }))
  process.on('disconnect', () => process.exit())
}

function serveStdio() {
  process.stdout.on('error', () => process.exit())
  const say = (/** @type {string} */ text) => void process.stdout.write(`${text}\n`)
  createInterface({ input: process.stdin })
    .on('line', line => {
      const message = parsed(line)
      if (message.id === undefined || message.method === undefined) return
      const text = answerTo(message, false)
      if (text === undefined) return
      const greeting = /^(initialize|server\/discover|.*list)$/.test(message.method)
      if (!greeting)
        for (let left = random.between(0, 3); left > 0; left--)
          say(random.chance(0.2) ? odd(random, 2000) : unasked())
      say(text.replaceAll('\n', ' '))
      if (!greeting && random.chance(0.02))
        process.stderr.write(`${'noise '.repeat(random.between(1, 500))}\n`)
      if (!greeting && random.chance(0.0005)) process.exit(random.between(0, 3))
    })
    .on('close', () => process.exit())
}

if (values.stdio) serveStdio()
else serveHttp()
