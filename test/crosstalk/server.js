// @ts-check
/**
 * The one server that all clients of a cross-talk run share. Raw JSON-RPC, both eras, both transports:
 *
 *   node server.js --era legacy|modern --transport stdio|http [--port 0] --shared <port> --ran <file>
 *
 * Its tool `work` does what the steps in its arguments say and marks everything it sends with the nonce of the call. What it is told in answer to a
 * question has to bear the mark of that question; anything else is reported to the shared state. Each execution is written to the file of `--ran`, one
 * line before it begins. Over HTTP it prints `listening <url>`.
 */
import { appendFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { joinSharedState } from './shared-state.js'
import { serveHttp } from './server-http.js'
import { serveStdio } from './server-stdio.js'

const { values } = parseArgs({
  options: {
    era: { type: 'string', default: 'legacy' },
    transport: { type: 'string', default: 'stdio' },
    port: { type: 'string', default: '0' },
    shared: { type: 'string', default: '0' },
    ran: { type: 'string', default: '' },
  },
})

const MODERN = '2026-07-28'
const KEY = 'io.modelcontextprotocol/'
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']
const modern = values.era === 'modern'

/**
 * A conversation (legacy), or all there is (modern).
 *
 * @typedef {object} Peer
 * @property {(message: object) => void} send sends what belongs to no request
 * @property {Set<string>} subscribed
 * @property {Map<string | number, Call>} calls
 * @property {Map<number, (answer: any) => void>} asked
 * @property {number} nextId
 */

/**
 * A request in progress, and where its messages go.
 *
 * @typedef {object} Call
 * @property {string | number} id
 * @property {Record<string, any>} params
 * @property {(message: object) => void} send
 * @property {boolean} cancelled
 */

/** @typedef {{ uris: Set<string>, lists: boolean, send: (method: string, params: object) => void }} Listener */

/** @type {Set<Peer>} */
const peers = new Set()
/** @type {Set<Listener>} */
const listeners = new Set()
/** Touches that the shared state has not passed on yet, by nonce. @type {Map<string, () => void>} */
const touching = new Map()
let extras = 0

const tell = await joinSharedState(Number(values.shared), word => {
  if (word.type === 'extras') {
    const before = extras
    extras = word.number
    if (before === 0) return
    for (const peer of modern ? [] : peers) peer.send(notification('notifications/tools/list_changed'))
    for (const listener of listeners)
      if (listener.lists) listener.send('notifications/tools/list_changed', {})
  } else if (word.type === 'touch') {
    const { uri, nonce } = word
    setImmediate(() => touching.get(nonce)?.())
    const params = { uri, _meta: { nonce } }
    for (const peer of peers)
      if (peer.subscribed.has(uri)) peer.send(notification('notifications/resources/updated', params))
    for (const listener of listeners)
      if (listener.uris.has(uri)) listener.send('notifications/resources/updated', params)
  }
})

/** @param {string} method @param {object} [params] */
function notification(method, params) {
  return { jsonrpc: '2.0', method, ...(params && { params }) }
}

/** @param {string} text */
const violation = text => tell({ type: 'violation', text })

/** @param {(message: object) => void} send @returns {Peer} */
function join(send) {
  const peer = { send, subscribed: new Set(), calls: new Map(), asked: new Map(), nextId: 1 }
  peers.add(peer)
  return peer
}

/** @param {Peer} peer */
function leave(peer) {
  for (const call of peer.calls.values()) call.cancelled = true
  peers.delete(peer)
}

const wait = (/** @type {number} */ ms) => new Promise(resolve => setTimeout(resolve, ms))

/**
 * @param {Peer} peer
 * @param {Call} call
 * @returns {Promise<object>} result
 */
async function work(peer, call) {
  const { params } = call
  const { nonce, client, steps, stubborn } = params.arguments
  const token = params._meta?.progressToken
  const level = modern ? params._meta[`${KEY}logLevel`] : 'debug'
  const state = {
    nonce,
    at: 0,
    round: 0,
    progress: 0,
    logs: /** @type {string[]} */ ([]),
    loose: 0,
    answers: 0,
  }
  if (params.requestState !== undefined) {
    Object.assign(state, JSON.parse(Buffer.from(params.requestState, 'base64').toString()))
    if (state.nonce !== nonce) violation(`the state of ${state.nonce} came with ${nonce}`)
    for (const [key, answer] of Object.entries(params.inputResponses ?? {})) {
      checkAnswer(`${nonce}#${key.slice(1)}`, client, steps[state.at].kind, answer)
      state.answers++
    }
    state.at++
  }
  appendFileSync(values.ran, `${nonce} ${state.round}\n`)
  const progress = () =>
    call.send(
      notification('notifications/progress', {
        progressToken: token,
        progress: ++state.progress,
        message: nonce,
      }),
    )
  while (state.at < steps.length) {
    const step = steps[state.at]
    if (call.cancelled && !stubborn) return {}
    if (step.do === 'wait') await wait(step.ms)
    else if (step.do === 'progress') {
      if (token !== undefined) progress()
    } else if (step.do === 'log') {
      if (level !== undefined && LEVELS.indexOf(step.level) >= LEVELS.indexOf(level)) {
        state.logs.push(step.level)
        call.send(notification('notifications/message', { level: step.level, data: { nonce } }))
      }
    } else if (step.do === 'ask') {
      const questions = Array.from({ length: step.count }, (_, k) => question(step.kind, `${nonce}#${k + 1}`))
      if (modern) {
        state.round++
        return {
          resultType: 'input_required',
          inputRequests: Object.fromEntries(questions.map((asked, k) => [`q${k + 1}`, asked])),
          requestState: Buffer.from(JSON.stringify(state)).toString('base64'),
        }
      }
      const answers = questions.map(({ method, params: asked }, k) => {
        const id = peer.nextId++
        call.send({ jsonrpc: '2.0', id, method, params: asked })
        return new Promise(resolve => peer.asked.set(id, resolve)).then(answer => {
          if (answer.error) tell({ type: 'refusal', nonce, text: answer.error.message })
          else checkAnswer(`${nonce}#${k + 1}`, client, step.kind, answer.result)
          state.answers++
        })
      })
      if (step.chatter && token !== undefined) {
        await wait(20)
        progress()
        state.loose++
      }
      await Promise.all(answers)
    }
    state.at++
  }
  const { logs, loose, answers } = state
  return {
    content: [{ type: 'text', text: nonce }],
    structuredContent: { nonce, progress: state.progress, logs, loose, answers },
  }
}

/** @param {string} kind @param {string} mark */
function question(kind, mark) {
  if (kind === 'roots') return { method: 'roots/list', params: { _meta: { mark } } }
  if (kind === 'sampling')
    return {
      method: 'sampling/createMessage',
      params: { maxTokens: 10, messages: [{ role: 'user', content: { type: 'text', text: mark } }] },
    }
  const requestedSchema = { type: 'object', properties: { mark: { type: 'string' } } }
  return { method: 'elicitation/create', params: { message: mark, requestedSchema } }
}

/** @param {string} mark @param {number} client @param {string} kind @param {any} answer */
function checkAnswer(mark, client, kind, answer) {
  if (answer?._meta?.mark !== mark) violation(`to ${mark} came the answer ${JSON.stringify(answer)}`)
  else if (kind === 'roots' && answer.roots?.[0]?.uri !== `file:///client/${client}`)
    violation(`to ${mark} of client ${client} came the roots ${JSON.stringify(answer)}`)
}

const CAPABILITIES = {
  tools: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  logging: {},
}
const serverInfo = { name: 'crosstalk', version: '1' }
const inputSchema = { type: 'object' }

/**
 * @param {Peer} peer
 * @param {Call} call
 * @param {string} method
 * @returns {Promise<object | undefined>} `undefined` for a method that does not exist
 */
async function answer(peer, call, method) {
  const { params } = call
  switch (method) {
    case 'initialize':
      return modern ? undefined : { protocolVersion: '2025-11-25', capabilities: CAPABILITIES, serverInfo }
    case 'server/discover':
      if (!modern) return undefined
      return {
        supportedVersions: [MODERN],
        capabilities: CAPABILITIES,
        serverInfo,
        ttlMs: 0,
        cacheScope: 'private',
      }
    case 'ping':
    case 'logging/setLevel':
      return {}
    case 'tools/list':
      return { tools: ['work', 'touch', `extra-${extras}`].map(name => ({ name, inputSchema })) }
    case 'resources/list':
      return { resources: URIS.map(uri => ({ uri, name: uri })) }
    case 'resources/templates/list':
      return { resourceTemplates: [{ uriTemplate: 'xt:///{+path}', name: 'any' }] }
    case 'resources/read':
      return { contents: [{ uri: params.uri, text: params._meta.nonce }], ttlMs: 0, cacheScope: 'private' }
    case 'resources/subscribe':
      peer.subscribed.add(params.uri)
      return {}
    case 'resources/unsubscribe':
      peer.subscribed.delete(params.uri)
      return {}
    case 'tools/call':
      if (params.name === 'work') return await work(peer, call)
      await new Promise(resolve => {
        touching.set(params.arguments.nonce, () => resolve(undefined))
        tell({ type: 'touch', uri: params.arguments.uri, nonce: params.arguments.nonce })
      })
      touching.delete(params.arguments.nonce)
      return { content: [{ type: 'text', text: params.arguments.nonce }] }
    default:
      return undefined
  }
}

/** @type {string[]} */
const URIS = Array.from({ length: 6 }, (_, k) => `xt:///common/${k}`)

/**
 * Takes one message; what comes of it goes to `send`.
 *
 * @param {Peer} peer
 * @param {any} message
 * @param {(message: object) => void} send
 * @param {(cancel: () => void) => void} [onGone] hears of the end of the request's connection
 */
async function take(peer, message, send, onGone) {
  const { id, method, params = {} } = message
  if (method === undefined) {
    const resolve = peer.asked.get(id)
    peer.asked.delete(id)
    if (resolve) resolve(message)
    else violation(`an answer to no question: ${JSON.stringify(message)}`)
    return
  }
  if (id === undefined) {
    if (method !== 'notifications/cancelled') return
    const cancelled = peer.calls.get(params.requestId)
    if (cancelled) cancelled.cancelled = true
    return
  }
  /** @type {Call} */
  const call = { id, params, send, cancelled: false }
  peer.calls.set(id, call)
  onGone?.(() => {
    call.cancelled = true
  })
  if (method === 'subscriptions/listen' && modern) return listen(call, onGone)
  const result = await answer(peer, call, method)
  peer.calls.delete(id)
  if (call.cancelled) return
  if (result === undefined)
    send({ jsonrpc: '2.0', id, error: { code: -32601, message: `no method ${method}` } })
  else send({ jsonrpc: '2.0', id, result: modern ? { resultType: 'complete', ...result } : result })
}

/** @param {Call} call @param {((cancel: () => void) => void) | undefined} onGone */
function listen(call, onGone) {
  const wanted = call.params.notifications
  const _meta = { [`${KEY}subscriptionId`]: call.id }
  /** @type {Listener} */
  const listener = {
    uris: new Set(wanted.resourceSubscriptions ?? []),
    lists: wanted.toolsListChanged === true,
    send: (method, params) => {
      if (call.cancelled) listeners.delete(listener)
      else
        call.send(
          notification(method, { ...params, _meta: { .../** @type {any} */ (params)._meta, ..._meta } }),
        )
    },
  }
  listeners.add(listener)
  onGone?.(() => listeners.delete(listener))
  listener.send('notifications/subscriptions/acknowledged', { notifications: wanted })
}

const serving = { join, leave, take, modern }
/** @typedef {typeof serving} Serving */
if (values.transport === 'stdio') serveStdio(serving)
else await serveHttp(serving, Number(values.port))
