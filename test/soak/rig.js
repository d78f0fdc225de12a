// @ts-check
import { fork, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rssOf } from '../helpers/rss.js'

const BIN = fileURLToPath(new URL('../../bin/mcp-manifold.cjs', import.meta.url))
const UPSTREAM = fileURLToPath(new URL('upstream.js', import.meta.url))
export const LEGACY = '2025-11-25'
export const MODERN = '2026-07-28'

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()
process.on('exit', () => running.forEach(child => child.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))

/** @param {number} ms */
export const wait = ms => new Promise(resolve => setTimeout(resolve, ms))

/** @template {import('node:child_process').ChildProcess} T @param {T} child @returns {T} */
function keep(child) {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** A gateway in a process of its own before an upstream, and the memory it holds. */
export class Rig {
  /** @type {{ atMs: number, mb: number }[]} */
  curve = []
  /** Set once the gateway has ended by itself. @type {string | undefined} */
  ended
  #directory
  #gateway
  #upstream
  #timer
  #begun = performance.now()

  /** @param {string} directory @param {import('node:child_process').ChildProcess} gateway @param {import('node:child_process').ChildProcess} upstream @param {number} port @param {string[]} keys */
  constructor(directory, gateway, upstream, port, keys) {
    this.#directory = directory
    this.#gateway = gateway
    this.#upstream = upstream
    this.port = port
    this.keys = keys
    gateway.once('exit', (code, signal) => (this.ended = `the gateway ended: ${code ?? signal}`))
    this.#timer = setInterval(() => this.sample(), 50)
  }

  /**
   * @param {object} [more] members of the configuration
   * @param {number} [clients] how many clients with keys; none for a gateway that asks for no key
   */
  static async open(more = {}, clients = 0) {
    const directory = mkdtempSync(join(tmpdir(), 'soak-'))
    const upstream = keep(fork(UPSTREAM))
    const [{ origin }] = /** @type {any} */ (await once(upstream, 'message'))
    const keys = Array.from({ length: clients }, () => `mfd_${randomBytes(32).toString('base64url')}`)
    const digest = (/** @type {string} */ key) => `sha256:${createHash('sha256').update(key).digest('hex')}`
    const config = {
      mcpServers: {
        legacy: { url: `${origin}/legacy` },
        modern: { url: `${origin}/modern` },
        pipe: { command: process.execPath, args: [UPSTREAM, '--stdio'] },
      },
      ...(clients > 0 && {
        clients: Object.fromEntries(
          keys.map((key, at) => [`c${at}`, { keys: [digest(key)], allow: ['*/*'] }]),
        ),
      }),
      gateway: { http: { port: 0 }, state: 'memory', log: 'error', audit: { file: 'off' } },
      ...more,
    }
    const file = join(directory, 'servers.json')
    writeFileSync(file, JSON.stringify(config))
    const gateway = keep(
      spawn(process.execPath, [BIN, 'serve', '--config', file], { stdio: ['ignore', 'pipe', 'inherit'] }),
    )
    const port = await new Promise((resolve, reject) => {
      let said = ''
      gateway.stdout?.on('data', chunk => {
        said = (said + chunk).slice(-5000)
        const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1]
        if (found !== undefined) resolve(Number(found))
      })
      gateway.once('exit', () => reject(new Error(`the gateway ended: ${said}`)))
    })
    const rig = new Rig(directory, gateway, upstream, port, keys)
    // Lists are there, and what is loaded with the first calls, before anything is measured.
    const client = await rig.client(0)
    for (let left = 300; left > 0; left--)
      await client.call(['legacy__echo', 'modern__echo', 'pipe__echo'][left % 3] ?? '', { text: 'warm' })
    client.close()
    rig.settle()
    return rig
  }

  /** Resident megabytes at this moment. */
  sample() {
    const mb = rssOf(this.#gateway.pid)
    // A process that has ended holds nothing, and says so elsewhere.
    if (mb > 0) this.curve.push({ atMs: performance.now() - this.#begun, mb })
    return mb
  }

  /** Begins the curve anew; what the gateway holds now is its base. */
  settle() {
    this.curve = []
    this.#begun = performance.now()
    this.base = this.sample()
  }

  /** Above the base, in megabytes. */
  get peak() {
    return Math.max(...this.curve.map(({ mb }) => mb)) - (this.base ?? 0)
  }

  /** A connection with a session. @param {number} at which client's key it shows @param {object} [capabilities] */
  async client(at, capabilities = {}) {
    const client = new WireClient(this.port, this.keys[at % Math.max(1, this.keys.length)])
    await client.open(capabilities)
    return client
  }

  async close() {
    clearInterval(this.#timer)
    this.#gateway.removeAllListeners('exit')
    if (this.#gateway.exitCode === null && this.#gateway.signalCode === null) {
      const gone = once(this.#gateway, 'exit')
      this.#gateway.kill('SIGTERM')
      const timer = setTimeout(() => this.#gateway.kill('SIGKILL'), 3000)
      await gone
      clearTimeout(timer)
    }
    this.#upstream.kill('SIGKILL')
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** A client on a bare socket that also knows how not to read. */
export class WireClient {
  /** @type {string | undefined} */
  session
  #port
  #key
  #socket
  #heard = ''
  #wanted = 0
  #id = 0
  /** @type {(text: string) => void} */
  #resolve = () => {}
  #reject = (/** @type {Error} */ _error) => {}

  /** @param {number} port @param {string | undefined} key */
  constructor(port, key) {
    this.#port = port
    this.#key = key
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', chunk => {
      this.#heard += chunk
      // A large answer comes in many parts, and is looked at when it can be whole.
      if (this.#heard.length < this.#wanted) return
      this.#wanted = wantedLength(this.#heard)
      if (this.#heard.length >= this.#wanted) this.#resolve(this.#heard)
    })
    this.#socket.on('error', error => this.#reject(error))
    this.#socket.on('close', () => this.#reject(new Error('the connection was closed')))
  }

  get closed() {
    return this.#socket.destroyed
  }

  /** @param {object} capabilities */
  async open(capabilities) {
    const params = { protocolVersion: LEGACY, capabilities, clientInfo: { name: 'soak', version: '1' } }
    const answer = await this.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
    this.session = /\r\nmcp-session-id: ([^\r\n]+)/i.exec(answer)?.[1]
    if (this.session === undefined) throw new Error(`no session: ${answer.slice(0, 300)}`)
    await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' })
  }

  /** @param {object} message @returns {Promise<string>} the whole answer, its head included */
  post(message) {
    return new Promise((resolve, reject) => {
      this.#heard = ''
      this.#wanted = 0
      this.#resolve = resolve
      this.#reject = reject
      this.send(message)
    })
  }

  /** A request of the modern era, which has no session. @param {object} message @param {Record<string, string>} headers @returns {Promise<string>} */
  modern(message, headers) {
    const { session } = this
    return new Promise((resolve, reject) => {
      this.#heard = ''
      this.#wanted = 0
      this.#resolve = resolve
      this.#reject = reject
      const body = JSON.stringify(message)
      this.session = undefined
      this.write(
        this.head('POST', Buffer.byteLength(body), { ...headers, 'mcp-protocol-version': MODERN }) + body,
      )
      this.session = session
    })
  }

  /** @returns {Promise<void>} resolves with the next thing that comes, or when the connection is gone */
  heard() {
    return new Promise(resolve => {
      this.#socket.once('data', () => resolve())
      this.#socket.once('close', () => resolve())
    })
  }

  /** Writes a request and waits for nothing. @param {object | string} message @returns {boolean} whether the socket takes more */
  send(message) {
    const body = typeof message === 'string' ? message : JSON.stringify(message)
    return this.#socket.write(this.head('POST', Buffer.byteLength(body)) + body)
  }

  /** @param {string} method @param {number} length @param {Record<string, string>} [more] */
  head(method, length, more = {}) {
    const lines = {
      host: `127.0.0.1:${this.#port}`,
      'content-type': 'application/json',
      accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
      'content-length': String(length),
      ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
      ...(this.session !== undefined && { 'mcp-session-id': this.session, 'mcp-protocol-version': LEGACY }),
      ...more,
    }
    return `${method} /mcp HTTP/1.1\r\n${Object.entries(lines)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`
  }

  /** @param {string} text */
  write(text) {
    return this.#socket.write(text)
  }

  /** A call whose answer must carry the text it was given. @param {string} name @param {Record<string, unknown>} args */
  async call(name, args) {
    const id = ++this.#id
    const answer = await this.post({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name, arguments: args },
    })
    if (
      !answer.includes(`"id":${id}`) ||
      (typeof args['text'] === 'string' && !answer.includes(`"text":"${args['text']}"`))
    )
      throw new Error(`wrong answer to ${name}: ${answer.slice(0, 400)}`)
    return answer
  }

  /** Stops reading: what the gateway writes stays with the gateway once the buffers of the system are full. */
  stopReading() {
    this.#socket.pause()
  }

  /** @returns {Promise<void>} resolves once the gateway has closed the connection */
  gone() {
    return new Promise(resolve => {
      if (this.#socket.destroyed) return resolve()
      this.#socket.once('close', () => resolve())
    })
  }

  close() {
    this.#reject = () => {}
    this.#socket.destroy()
  }
}

/** How long an answer is, as far as that can be said. @param {string} heard of an answer @returns {number} more than there is while it is not whole */
function wantedLength(heard) {
  const end = heard.indexOf('\r\n\r\n')
  if (end === -1) return heard.length + 1
  const head = heard.slice(0, end + 2).toLowerCase()
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1]
  if (length !== undefined) return end + 4 + Number(length)
  if (!head.includes('\r\ntransfer-encoding: chunked')) return heard.length
  return heard.slice(-7).endsWith('\r\n0\r\n\r\n') ? heard.length : heard.length + 1
}
