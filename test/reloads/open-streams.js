// @ts-check
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { request } from 'node:http'

/** @typedef {import('./callers.js').Entrance} Entrance */

const LEGACY = '2025-11-25'
const MODERN = '2026-07-28'
const URI = 'raw://item/1'
const LONG_MS = 3_600_000

/** A stream of events that is read until it ends. */
class Stream {
  heard = ''
  isClosed = false

  /** @param {import('node:http').IncomingMessage} response */
  constructor(response) {
    this.status = response.statusCode
    response.setEncoding('utf8').on('data', chunk => (this.heard = (this.heard + chunk).slice(-1_000_000)))
    response.on('close', () => (this.isClosed = true))
    response.on('error', () => {})
    this.destroy = () => response.destroy()
  }

  /** How often the update was told. */
  get updates() {
    return this.heard.split('notifications/resources/updated').length - 1
  }
}

/**
 * @param {string} url
 * @param {{ method: string, headers: Record<string, string>, body?: string }} options
 * @returns {Promise<Stream & { session?: string | undefined }>}
 */
function open(url, { method, headers, body }) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, response => {
      const stream = new Stream(response)
      resolve(
        Object.assign(stream, {
          session: /** @type {string | undefined} */ (response.headers['mcp-session-id']),
        }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** What stands open from the first reload to the last. @param {Entrance} entrance */
export async function openStreams({ origin }) {
  const url = `${origin}/mcp`
  const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

  // A legacy session with its stream and subscriptions at both servers.
  const initialize = JSON.stringify({
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'streams', version: '1' } },
  })
  const { session } = await open(url, { method: 'POST', headers: json, body: initialize })
  if (session === undefined) throw new Error('There is no session.')
  const own = { 'mcp-session-id': session, 'mcp-protocol-version': LEGACY }
  const post = (/** @type {object} */ message) =>
    open(url, {
      method: 'POST',
      headers: { ...json, ...own },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    })
  await post({ method: 'notifications/initialized' })
  const events = await open(url, { method: 'GET', headers: { accept: 'text/event-stream', ...own } })
  await post({ id: 1, method: 'resources/subscribe', params: { uri: URI } })

  // The same for a modern client.
  const listen = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'subscriptions/listen',
    params: {
      notifications: { resourceSubscriptions: [URI], toolsListChanged: true },
      _meta: {
        'io.modelcontextprotocol/protocolVersion': MODERN,
        'io.modelcontextprotocol/clientCapabilities': {},
        'io.modelcontextprotocol/clientInfo': { name: 'streams', version: '1' },
      },
    },
  })
  const headers = { ...json, 'mcp-protocol-version': MODERN, 'mcp-method': 'subscriptions/listen' }
  const listening = await open(url, { method: 'POST', headers, body: listen })

  // A call that waits for the answer to an elicitation.
  const client = new Client({ name: 'asked', version: '1' }, { capabilities: { elicitation: {} } })
  /** @type {(result: any) => void} */
  let answer = () => {}
  const answered = new Promise(resolve => (answer = resolve))
  /** @type {() => void} */
  let onAsked = () => {}
  const asked = new Promise(resolve => (onAsked = () => resolve(undefined)))
  client.setRequestHandler(ElicitRequestSchema, () => {
    onAsked()
    return /** @type {Promise<any>} */ (answered)
  })
  await client.connect(/** @type {any} */ (new StreamableHTTPClientTransport(new URL(url))))
  const call = client.callTool(
    {
      name: 'legacy__ask',
      arguments: {
        method: 'elicitation/create',
        params: { message: 'Go on?', requestedSchema: { type: 'object', properties: {} } },
      },
    },
    undefined,
    { timeout: LONG_MS },
  )
  call.catch(() => {})
  await Promise.race([asked, call])

  return {
    /** @returns {Promise<string[]>} what did not stand */
    async end() {
      /** @type {string[]} */
      const wrong = []
      for (const [name, stream] of /** @type {const} */ ([
        ['the stream of a legacy session', events],
        ['the listen stream of a modern client', listening],
      ])) {
        if (stream.status !== 200)
          wrong.push(`${name}: status ${stream.status}: ${stream.heard.slice(0, 200)}`)
        else if (stream.isClosed) wrong.push(`${name} was closed`)
        if (stream.updates === 0) wrong.push(`${name} heard of no update`)
        stream.destroy()
      }
      answer({ action: 'accept', content: {} })
      try {
        const result = await call
        if (!JSON.stringify(result).includes('accept'))
          wrong.push(`the elicitation: ${JSON.stringify(result).slice(0, 200)}`)
      } catch (error) {
        wrong.push(`the call that asked: ${String(error).slice(0, 300)}`)
      }
      await client.close()
      return wrong
    },
  }
}
