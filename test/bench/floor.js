// @ts-check
/**
 * The floor: what a proxy on `node:http` and `undici` costs that does nothing but rename the tool. One parse, one stringify, the answer is
 * passed back as bytes. Usage: `node floor.js <upstream url> [modern]`. On the modern wire (revision 2026-07-28) the protocol's headers are
 * passed on as well, with the tool's name rewritten in `Mcp-Name`, too.
 */
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { announce, readBody } from './serving.js'

const upstream = new URL(process.argv[2] ?? '')
const pool = new Pool(upstream.origin, { headersTimeout: 0, bodyTimeout: 0 })
const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const PREFIX = 'up__'
const modern = process.argv[3] === 'modern'

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    response.writeHead(405).end()
    return
  }
  readBody(request, body => {
    const message = JSON.parse(body)
    const name = message.params?.name
    if (typeof name === 'string' && name.startsWith(PREFIX)) message.params.name = name.slice(PREFIX.length)
    const sent = modern ? modernHeaders(request.headers) : headers
    forward(JSON.stringify(message), sent, response).catch(error => response.destroy(error))
  })
})

/** @param {import('node:http').IncomingHttpHeaders} received */
function modernHeaders(received) {
  const name = received['mcp-name']
  // No spread: one with more members after it is slow, and this is what others are measured by.
  return {
    'content-type': headers['content-type'],
    accept: headers.accept,
    'mcp-protocol-version': received['mcp-protocol-version'],
    'mcp-method': received['mcp-method'],
    'mcp-name': typeof name === 'string' && name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name,
  }
}

/**
 * @param {string} body
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @param {import('node:http').ServerResponse} response
 */
async function forward(body, headers, response) {
  const answer = await pool.request({ path: upstream.pathname, method: 'POST', headers, body })
  const bytes = Buffer.from(await answer.body.arrayBuffer())
  response.writeHead(answer.statusCode, {
    'content-type': 'application/json',
    'content-length': bytes.length,
  })
  response.end(bytes)
}

announce(server)
