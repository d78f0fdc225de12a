// @ts-check
import { Agent, request } from 'node:http'
import { StreamState } from './stream-state.js'

/**
 * Clients of both eras on raw HTTP, for runs with many of them. Each hands every message it receives to `hear`, with the call on whose
 * stream it came, before anything is made of it.
 */

/** @typedef {{ id?: unknown, method?: string, params?: any, result?: any, error?: any }} Message */

/**
 * A request under way.
 *
 * @typedef {object} Sent
 * @property {Promise<Message | undefined>} answer `undefined` when the stream ended without one
 * @property {() => void} abort breaks the connection
 * @property {StreamState} state of its stream
 */

const HEADERS = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' }

/**
 * @typedef {{ status: number, session: string | undefined }} Done
 *
 * @param {string} url
 * @param {{ agent: Agent, method?: string, headers?: Record<string, string>, body?: object, each?: (message: Message) => void, state?: StreamState }} options
 * @returns {{ done: Promise<Done>, opened: Promise<void>, abort: () => void }}
 */
function exchange(url, { agent, method = 'POST', headers = {}, body, each = () => {}, state }) {
  /** @type {(value: void) => void} */
  let open = () => {}
  const opened = new Promise(resolve => {
    open = resolve
  })
  /** @type {import('node:http').ClientRequest} */
  let sent
  /** @type {Promise<Done>} */
  const done = new Promise(resolve => {
    sent = request(url, { method, agent, headers: { ...HEADERS, ...headers } }, response => {
      open()
      const stream = String(response.headers['content-type']).startsWith('text/event-stream')
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (/** @type {string} */ chunk) => {
        text += chunk
        if (!stream) return
        const events = text.split('\n\n')
        text = events.pop() ?? ''
        for (const event of events) {
          state?.heard(event)
          for (const line of event.split('\n'))
            if (line.startsWith('data: {')) each(JSON.parse(line.slice(6)))
        }
      })
      /** @type {string | undefined} */
      let broken
      response.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
        broken = `broken (${error.code ?? error.message})`
      })
      response.on('close', () => {
        const whole = stream ? 'ended by the gateway' : `answered HTTP ${response.statusCode}`
        state?.ended(broken ?? (response.complete ? whole : 'broken off'))
        if (!stream && response.complete && text.startsWith('{')) each(JSON.parse(text))
        const session = response.headers['mcp-session-id']
        resolve({
          status: response.statusCode ?? 0,
          session: typeof session === 'string' ? session : undefined,
        })
      })
    })
    sent.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
      open()
      state?.ended(`failed (${error.code ?? error.message})`)
      resolve({ status: 0, session: undefined })
    })
    sent.end(body && JSON.stringify(body))
  })
  const abort = () => {
    state?.left()
    sent.destroy()
  }
  return { done, opened, abort }
}

/** How often a client tries to resume a stream that has ended. */
const RESUMES = 5
const RESUME_AFTER_MS = 1000

/**
 * The standalone stream of a session. When it ends, it is continued after its last event, as the official clients do.
 *
 * @param {string} url
 * @param {{ agent: Agent, headers: Record<string, string>, each: (message: Message) => void }} options
 */
function standaloneStream(url, { agent, headers, each }) {
  const state = new StreamState('its standalone stream')
  const open = () => {
    const { lastEventId } = state
    const resuming = lastEventId === undefined ? headers : { ...headers, 'last-event-id': lastEventId }
    return exchange(url, { agent, method: 'GET', headers: resuming, each, state })
  }
  let current = open()
  const { opened } = current
  const follow = async () => {
    for (let tries = 0; tries < RESUMES; tries++) {
      const before = state.messages
      await current.done
      if (state.leftAt !== undefined) return
      if (state.messages > before) tries = 0
      await new Promise(resolve => setTimeout(resolve, state.retryMs ?? RESUME_AFTER_MS).unref())
      if (state.leftAt !== undefined) return
      current = open()
      state.resumed++
    }
  }
  void follow()
  return { state, opened, abort: () => current.abort() }
}

/**
 * What both kinds of clients are for the run.
 *
 * @typedef {object} Client
 * @property {boolean} modern
 * @property {(method: string, params: object, hear: (message: Message) => void) => Sent & { id: number }} request
 * @property {() => Promise<void>} close
 */

/**
 * A legacy session with its standalone stream.
 *
 * @param {string} origin
 * @param {object} capabilities
 * @param {(message: Message) => void} hearUnrelated
 */
export async function openLegacy(origin, capabilities, hearUnrelated) {
  const agent = new Agent({ keepAlive: true })
  const url = `${origin}/mcp`
  const version = '2025-11-25'
  const params = { protocolVersion: version, capabilities, clientInfo: { name: 'crosstalk', version: '1' } }
  const opening = exchange(url, { agent, body: { jsonrpc: '2.0', id: 0, method: 'initialize', params } })
  const { status, session } = await opening.done
  if (session === undefined) throw new Error(`no session: HTTP ${status}`)
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': version }
  /** @param {object} body */
  const post = body => exchange(url, { agent, headers, body: { jsonrpc: '2.0', ...body } })
  await post({ method: 'notifications/initialized' }).done
  const standalone = standaloneStream(url, { agent, headers, each: hearUnrelated })
  await standalone.opened
  let lastId = 0
  return {
    modern: false,
    standalone: standalone.state,
    /** @type {Client['request']} */
    request(method, params, hear) {
      const id = ++lastId
      const body = { jsonrpc: '2.0', id, method, params }
      return { id, ...send(url, { agent, headers, body }, id, hear) }
    },
    /** Answers a question. @param {unknown} id @param {object} result */
    reply: (id, result) => post({ id, result }).done,
    /** @param {string} method @param {object} params */
    notify: (method, params) => post({ method, params }).done,
    async close() {
      standalone.abort()
      await exchange(url, { agent, method: 'DELETE', headers }).done
      agent.destroy()
    },
  }
}

const KEY = 'io.modelcontextprotocol/'

/**
 * A modern client: every request by itself.
 *
 * @param {string} origin
 * @param {object} capabilities
 * @param {string | undefined} logLevel
 * @param {string | undefined} key what it shows
 */
export function openModern(origin, capabilities, logLevel, key) {
  const agent = new Agent({ keepAlive: true })
  const url = `${origin}/mcp`
  let lastId = 0
  const envelope = {
    [`${KEY}protocolVersion`]: '2026-07-28',
    [`${KEY}clientInfo`]: { name: 'crosstalk', version: '1' },
    [`${KEY}clientCapabilities`]: capabilities,
    ...(logLevel !== undefined && { [`${KEY}logLevel`]: logLevel }),
  }
  return {
    modern: true,
    /** @type {Client['request']} */
    request(method, params, hear) {
      const id = ++lastId
      const { name, uri, _meta } = /** @type {any} */ (params)
      const named = name ?? uri
      const headers = {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
        ...(named !== undefined && { 'mcp-name': named }),
      }
      const body = { jsonrpc: '2.0', id, method, params: { ...params, _meta: { ..._meta, ...envelope } } }
      return { id, ...send(url, { agent, headers, body }, id, hear) }
    },
    async close() {
      agent.destroy()
    },
  }
}

/**
 * @param {string} url
 * @param {Parameters<typeof exchange>[1]} options
 * @param {number} id
 * @param {(message: Message) => void} hear
 * @returns {Sent}
 */
function send(url, options, id, hear) {
  /** @type {Message | undefined} */
  let answer
  const state = new StreamState(`its stream of request ${id}`)
  const sent = exchange(url, {
    ...options,
    state,
    each: message => {
      if (message.method === undefined && message.id === id && answer === undefined) answer = message
      else hear(message)
    },
  })
  return { answer: sent.done.then(() => answer), abort: sent.abort, state }
}

/** @typedef {Awaited<ReturnType<typeof openLegacy>>} LegacyClient */
/** @typedef {ReturnType<typeof openModern>} ModernClient */
