// @ts-check
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createSecureContext } from 'node:tls'
import { answerTo, keyOf } from './replica.js'

const JSON_TYPE = { 'content-type': 'application/json' }
/** Time between two bytes of an answer that is slow. */
const DRIP_MS = 100
/** How long a client is told to stay away. */
const RETRY_AFTER_S = 1

/** Faults that strike before the call is run; any other strikes after that. */
const BEFORE = new Set(['reset-before', 'half-open', 'forgotten', 'too-many', '503'])

/**
 * @typedef {object} Certificates
 * @property {{ key: string, cert: string }} good one that the gateway trusts
 * @property {{ key: string, cert: string }} bad one that it does not
 *
 * @typedef {object} HttpReplicaOptions
 * @property {import('./replica.js').Era} era
 * @property {string} name
 * @property {import('./ledger.js').Ledger} ledger
 * @property {string} [host] default 127.0.0.1
 * @property {number} [port] default any
 * @property {number} [latencyMs] default 0
 * @property {Certificates} [certificates] serves https
 */

/** An HTTP server of either era; legacy ones keep sessions. */
export class HttpReplica {
  #options
  #server
  /** @type {Set<string>} */
  #sessions = new Set()
  /** @type {Set<import('node:net').Socket>} */
  #sockets = new Set()
  /** Keys that are refused, and until when. @type {Map<string, number>} */
  #refused = new Map()
  #frozen = false
  #port
  /** TLS handshakes that failed. */
  failedHandshakes = 0

  /** @param {HttpReplicaOptions} options */
  constructor(options) {
    this.#options = options
    this.#port = options.port ?? 0
    const { certificates } = options
    const listener = (
      /** @type {import('node:http').IncomingMessage} */ request,
      /** @type {import('node:http').ServerResponse} */ response,
    ) => void this.#take(request, response)
    this.#server = certificates ? createSecureServer(certificates.good, listener) : createServer(listener)
    this.#server.keepAliveTimeout = 65_000
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('tlsClientError', () => {
      this.failedHandshakes++
      // The next one is offered the right certificate.
      this.#certify('good')
    })
  }

  /** Opens the port; the same one again after `refuse`. */
  async listen() {
    this.#server.listen(this.#port, this.host)
    await once(this.#server, 'listening')
    this.#port = /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port
  }

  get host() {
    return this.#options.host ?? '127.0.0.1'
  }

  get port() {
    return this.#port
  }

  get url() {
    return `${this.#options.certificates ? 'https' : 'http'}://${this.host}:${this.#port}/mcp`
  }

  /** Closes port and connections; what comes is refused. */
  async refuse() {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#drop()
    await closed
  }

  /** The next connection is shown an untrusted certificate. */
  async distrust() {
    this.#certify('bad')
    this.#drop()
  }

  /** Answers again; connections that were left hanging are gone. */
  thaw() {
    if (!this.#frozen) return
    this.#frozen = false
    this.#drop()
  }

  async close() {
    if (this.#server.listening) await this.refuse()
  }

  #drop() {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** @param {'good' | 'bad'} which */
  #certify(which) {
    const { certificates } = this.#options
    if (certificates && 'setSecureContext' in this.#server) {
      createSecureContext(certificates[which])
      this.#server.setSecureContext(certificates[which])
    }
  }

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async #take(request, response) {
    response.on('error', () => {})
    let body = ''
    try {
      for await (const chunk of request.setEncoding('utf8')) body += chunk
    } catch {
      return
    }
    // Accepted, and never answered.
    if (this.#frozen) return
    const { era } = this.#options
    const session = String(request.headers['mcp-session-id'])
    if (request.method !== 'POST') return this.#takeOther(request.method, session, response)
    /** @type {import('./replica.js').Message} */
    const message = JSON.parse(body)
    if (era === 'legacy') {
      if (message.method === 'initialize') {
        const opened = randomUUID()
        this.#sessions.add(opened)
        response.setHeader('mcp-session-id', opened)
      } else if (message.method === 'server/discover') return void response.writeHead(400).end()
      else if (!this.#sessions.has(session)) return void response.writeHead(404).end()
    }
    if (message.id === undefined) return void response.writeHead(202).end()
    const { text, refused } = answerTo(era, message)
    const key = keyOf(message)
    if (key === undefined) return send(response, refused && era === 'modern' ? 404 : 200, text)
    await this.#call(key, text, response)
  }

  /** @param {string | undefined} method @param {string} session @param {import('node:http').ServerResponse} response */
  #takeOther(method, session, response) {
    if (this.#options.era === 'modern') return void response.writeHead(405).end()
    if (!this.#sessions.has(session)) return void response.writeHead(404).end()
    if (method === 'DELETE') {
      this.#sessions.delete(session)
      return void response.end()
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
  }

  /** @param {string} key @param {string} text of the answer @param {import('node:http').ServerResponse} response */
  async #call(key, text, response) {
    const { ledger, name, latencyMs = 0 } = this.#options
    const until = this.#refused.get(key) ?? 0
    if (until > performance.now()) return tooMany(response)
    const fault = ledger.claim(key)
    if (fault !== undefined && BEFORE.has(fault)) return this.#strikeBefore(fault, key, response)
    ledger.ran(key, name)
    if (fault !== undefined) return strikeAfter(fault, text, response)
    if (latencyMs > 0) await new Promise(resolve => setTimeout(resolve, latencyMs))
    send(response, 200, text)
  }

  /** @param {string} fault @param {string} key @param {import('node:http').ServerResponse} response */
  #strikeBefore(fault, key, response) {
    switch (fault) {
      case 'reset-before':
        return void response.socket?.resetAndDestroy()
      case 'half-open':
        this.#frozen = true
        return
      case 'forgotten':
        this.#sessions.clear()
        return void response.writeHead(404).end()
      case 'too-many':
        // A little less, since clocks and timers differ by that.
        this.#refused.set(key, performance.now() + RETRY_AFTER_S * 1000 - 20)
        return tooMany(response)
      default:
        return void response.writeHead(Number(fault)).end()
    }
  }
}

/** @param {import('node:http').ServerResponse} response */
function tooMany(response) {
  response.writeHead(429, { 'retry-after': String(RETRY_AFTER_S) }).end()
}

/** @param {import('node:http').ServerResponse} response @param {number} status @param {string} text */
function send(response, status, text) {
  response.writeHead(status, { ...JSON_TYPE, 'content-length': Buffer.byteLength(text) }).end(text)
}

/** @param {string} fault @param {string} text of the answer @param {import('node:http').ServerResponse} response */
function strikeAfter(fault, text, response) {
  const socket = /** @type {import('node:net').Socket} */ (response.socket)
  const half = text.slice(0, text.length / 2)
  switch (fault) {
    case 'reset-after':
      return void socket.resetAndDestroy()
    case 'mid-answer':
      response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(text) })
      return void response.write(half, () => setTimeout(() => socket.resetAndDestroy(), 20))
    case 'stream-ends':
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      return void response.end(': nothing follows\n\n')
    case 'slow-headers':
      socket.write('HTTP/1.1 200 OK\r\nx-slow: ')
      return drip(socket, 'a'.repeat(1000))
    case 'slow-body':
      response.writeHead(200, { ...JSON_TYPE, 'content-length': Buffer.byteLength(text) })
      response.flushHeaders()
      return drip(socket, text)
    case 'content-type':
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Welcome!</p>')
    case 'truncated':
      return send(response, 200, half)
    case 'kill-running':
      return void process.kill(process.pid, 'SIGKILL')
    case 'stopped':
      return void process.kill(process.pid, 'SIGSTOP')
    default:
      return void response.writeHead(Number(fault)).end()
  }
}

/** @param {import('node:net').Socket} socket @param {string} text */
function drip(socket, text) {
  let at = 0
  const timer = setInterval(() => {
    if (socket.destroyed || at === text.length) clearInterval(timer)
    else socket.write(text.charAt(at++))
  }, DRIP_MS)
}
