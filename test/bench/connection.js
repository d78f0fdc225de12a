// @ts-check
import { connect } from 'node:net'

const HEAD_END = '\r\n\r\n'

/**
 * One keep-alive HTTP/1.1 connection on a bare socket, for one request at a time. It knows `Content-Length` and chunked bodies and nothing
 * else, so that the load generator costs a fraction of what it measures. Text is latin-1: the benchmark sends and expects ASCII only.
 */
export class Connection {
  #socket
  #pending = ''
  /** Length of the whole answer, as soon as it is known. */
  #length = 0
  /** @type {{ resolve(answer: Answer): void, reject(error: Error): void } | undefined} */
  #waiter

  /** @param {string} host @param {number} port */
  constructor(host, port) {
    this.#socket = connect({ host, port, noDelay: true })
    this.#socket.on('data', chunk => this.#read(chunk))
    this.#socket.on('error', error => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new Error('connection closed by the server')))
  }

  /**
   * Sends a whole request. The buffer may be written again once the answer is there.
   * @param {Buffer | string} request
   * @returns {Promise<Answer>}
   */
  send(request) {
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
      this.#socket.write(request)
    })
  }

  close() {
    this.#socket.destroy()
  }

  /** @param {Error} error */
  #fail(error) {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.reject(error)
  }

  /** @param {Buffer} chunk */
  #read(chunk) {
    this.#pending += chunk.toString('latin1')
    if (this.#pending.length < this.#length) return
    const answer = parseAnswer(this.#pending)
    if (!answer) {
      // A large one comes in many parts.
      this.#length = lengthOf(this.#pending)
      return
    }
    this.#pending = ''
    this.#length = 0
    const waiter = this.#waiter
    this.#waiter = undefined
    if (waiter) waiter.resolve(answer)
    else this.#socket.destroy(new Error('answer without a request'))
  }
}

/** @param {string} text everything received since the request @returns {number} 0 while it is not known, or not told beforehand */
function lengthOf(text) {
  const end = text.indexOf(HEAD_END)
  const length = end === -1 ? undefined : header(text.slice(0, end + 2).toLowerCase(), 'content-length')
  return length === undefined ? 0 : end + HEAD_END.length + Number(length)
}

/** @typedef {{ status: number, head: string, body: string }} Answer `head` is in lower case. */

/**
 * @param {string} text everything received since the request
 * @returns {Answer | undefined} `undefined` while the answer is incomplete
 */
function parseAnswer(text) {
  const end = text.indexOf(HEAD_END)
  if (end === -1) return undefined
  const head = text.slice(0, end + 2).toLowerCase()
  const status = Number(head.slice(9, 12))
  const start = end + HEAD_END.length
  const length = header(head, 'content-length')
  if (length !== undefined) {
    const stop = start + Number(length)
    return text.length < stop ? undefined : { status, head, body: text.slice(start, stop) }
  }
  if (header(head, 'transfer-encoding') === 'chunked') {
    const body = joinChunks(text, start)
    return body === undefined ? undefined : { status, head, body }
  }
  return { status, head, body: '' }
}

/**
 * @param {string} head in lower case, each line ended by CRLF
 * @param {string} name in lower case
 */
export function header(head, name) {
  const at = head.indexOf(`\r\n${name}:`)
  if (at === -1) return undefined
  return head.slice(at + name.length + 3, head.indexOf('\r\n', at + 2)).trim()
}

/** @param {string} text @param {number} at */
function joinChunks(text, at) {
  let body = ''
  for (;;) {
    const line = text.indexOf('\r\n', at)
    if (line === -1) return undefined
    const size = Number.parseInt(text.slice(at, line), 16)
    if (text.length < line + 2 + size + 2) return undefined
    if (size === 0) return body
    body += text.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
  }
}
