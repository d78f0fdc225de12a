// @ts-check
import { connect } from 'node:net'
import { LEGACY, legacyBody, MODERN, modernRequest, oddHeader } from './requests.js'

/** @typedef {import('../crosstalk/random.js').Random} Random */

/** An answer that is not there by then is not waited for: it may be a stream, or a call that a hostile server does not answer. */
const PATIENCE_MS = 150

/** One connection of a hostile client. It says something, waits a little for the answer, and goes on. */
export class HttpAttacker {
  sent = 0
  #random
  #port
  #key
  /** @type {import('node:net').Socket | undefined} */
  #socket
  #heard = ''
  #wake = () => {}
  /** @type {string | undefined} */
  #session
  #id = 0

  /** @param {Random} random @param {number} port @param {string} key */
  constructor(random, port, key) {
    this.#random = random
    this.#port = port
    this.#key = key
  }

  /** Attacks until `over` says so. @param {() => boolean} over */
  async run(over) {
    while (!over()) {
      if (this.#session === undefined || this.#random.chance(0.002)) await this.#open()
      await this.#one()
    }
    this.#socket?.destroy()
  }

  async #open() {
    const params = `{"protocolVersion":"${LEGACY}","capabilities":{"elicitation":{},"sampling":{},"roots":{}},"clientInfo":{"name":"f","version":"1"}}`
    await this.#say(
      'POST',
      '/mcp',
      '',
      `{"jsonrpc":"2.0","id":0,"method":"initialize","params":${params}}`,
      2000,
    )
    this.#session = /\r\nmcp-session-id: ([^\r\n]+)/i.exec(this.#heard)?.[1]
    if (this.#session === undefined) return
    await this.#say(
      'POST',
      '/mcp',
      this.#sessionLine(),
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      2000,
    )
  }

  async #one() {
    const random = this.#random
    const id = String(++this.#id)
    this.sent++
    const kind = random.between(0, 99)
    if (kind < 55)
      return await this.#say(
        'POST',
        this.#path(),
        this.#sessionLine() + this.#oddity(0.02),
        legacyBody(random, id),
      )
    if (kind < 88) {
      const { body, method, name } = modernRequest(random, id)
      const plain =
        name !== undefined && /^[ -~]*$/.test(name)
          ? name
          : `=?base64?${Buffer.from(name ?? '').toString('base64')}?=`
      const head = `mcp-protocol-version: ${MODERN}\r\nmcp-method: ${method}\r\n${name === undefined ? '' : `mcp-name: ${plain}\r\n`}`
      return await this.#say('POST', this.#path(), head + this.#oddity(0.02), body)
    }
    if (kind < 93)
      return await this.#say(
        'POST',
        this.#path(),
        this.#sessionLine() + oddHeader(random),
        legacyBody(random, id),
      )
    if (kind < 95)
      return await this.#say(
        random.pick(['GET', 'PUT', 'OPTIONS', 'HEAD', 'PATCH']),
        random.pick(['/mcp', '/sse', '/readyz', '/', '/mcp/..%2f', `/${'a'.repeat(3000)}`]),
        this.#sessionLine(),
        '',
      )
    if (kind < 96) {
      this.#session = undefined
      return await this.#say('DELETE', '/mcp', this.#sessionLine(), '')
    }
    if (kind < 98)
      return await this.#raw(
        random.pick([
          'GET / HTTP/9\r\n\r\n',
          '\r\n\r\n',
          '\u0016\u0003\u0001',
          'POST /mcp HTTP/1.1\r\ncontent-length: -1\r\n\r\n',
          `POST /mcp HTTP/1.1\r\n${'x: y\r\n'.repeat(300)}`,
          'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        ]),
      )
    // A body that never ends.
    await this.#raw(
      `POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:${this.#port}\r\nauthorization: Bearer ${this.#key}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: 100000\r\n\r\n{"jsonrpc":`,
    )
  }

  #path() {
    return this.#random.chance(0.9)
      ? '/mcp'
      : this.#random.pick(['/mcp/dl', '/mcp/al', '/mcp/hl', '/mcp/nothing', '/messages?sessionId=x', '/sse'])
  }

  /** @param {number} chance */
  #oddity(chance) {
    return this.#random.chance(chance) ? oddHeader(this.#random) : ''
  }

  #sessionLine() {
    return this.#session === undefined
      ? ''
      : `mcp-session-id: ${this.#session}\r\nmcp-protocol-version: ${LEGACY}\r\n`
  }

  /** @param {string} method @param {string} path @param {string} head @param {string} body @param {number} [patience] */
  async #say(method, path, head, body, patience = PATIENCE_MS) {
    const common = `host: 127.0.0.1:${this.#port}\r\nauthorization: Bearer ${this.#key}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n`
    await this.#raw(
      `${method} ${path} HTTP/1.1\r\n${common}content-length: ${Buffer.byteLength(body)}\r\n${head}\r\n${body}`,
      patience,
    )
  }

  /** Writes, and waits until a whole answer, the end or the end of patience is there. @param {string} text */
  #raw(text, patience = PATIENCE_MS) {
    return new Promise(resolve => {
      const socket = this.#connection()
      this.#heard = ''
      const timer = setTimeout(() => {
        socket.destroy()
        done()
      }, patience)
      const done = () => {
        clearTimeout(timer)
        this.#wake = () => {}
        resolve(undefined)
      }
      this.#wake = () => {
        if (socket.destroyed || isWhole(this.#heard)) done()
      }
      socket.write(text)
    })
  }

  #connection() {
    if (this.#socket && !this.#socket.destroyed && this.#socket.writable) return this.#socket
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true })
    socket.setEncoding('latin1')
    socket.on('data', chunk => {
      if (this.#heard.length < 4_000_000) this.#heard += chunk
      if (this.#socket === socket) this.#wake()
    })
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('close', () => this.#socket === socket && this.#wake())
    this.#socket = socket
    return socket
  }
}

/** @param {string} heard */
function isWhole(heard) {
  const end = heard.indexOf('\r\n\r\n')
  if (end === -1) return false
  const head = heard.slice(0, end + 2).toLowerCase()
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1]
  if (length !== undefined) return heard.length >= end + 4 + Number(length)
  if (head.includes('\r\ntransfer-encoding: chunked')) return heard.endsWith('0\r\n\r\n')
  return true
}
