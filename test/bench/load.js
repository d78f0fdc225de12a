// @ts-check
/**
 * The load generator, a process of its own. It takes one job a message from its parent and answers with what it measured.
 * Each connection is a client: it connects, does the handshake of its wire, then sends one call after the other. Every answer is checked.
 */
import { readFileSync } from 'node:fs'
import { Connection, header } from './connection.js'
import { quantile } from './statistics.js'

/**
 * @typedef {object} Job
 * @property {string} url MCP endpoint
 * @property {'legacy' | 'modern'} wire
 * @property {string} tool exposed name of the echo tool
 * @property {number} connections
 * @property {number} seconds measured time
 * @property {number} pid process whose CPU time is taken
 * @property {readonly string[]} [keys] API keys; each connection shows another one
 * @property {boolean} [same] each connection makes the same call again and again, another one than its neighbours
 * @property {number} [size] characters that every answer has besides
 *
 * @typedef {object} Measured
 * @property {number} calls
 * @property {number} perSecond
 * @property {number | null} cpuMicros CPU time of the target for one call, user and system; `null` where the system does not tell
 * @property {number} ownMicros CPU time of the load generator for one call
 * @property {number} p50 milliseconds
 * @property {number} p99 milliseconds
 */

const LEGACY = '2025-11-25'
const MODERN = '2026-07-28'
const TICKS_PER_SECOND = 100
/** Ids and values are of fixed width, so that a request is a template with two holes. */
const ID_WIDTH = 9
const VALUE_WIDTH = 12

let calls = 0

/** One client: a connection, its session, and the template of its calls. */
class Caller {
  #connection
  #job
  #url
  #key
  /** @type {string | undefined} */
  #session
  #template = Buffer.alloc(0)
  #at
  #idAt = 0
  #valueAt = 0

  /** @param {Job} job @param {string | undefined} key @param {number} at its number */
  constructor(job, key, at) {
    this.#job = job
    this.#at = at
    this.#key = key
    this.#url = new URL(job.url)
    this.#connection = new Connection(this.#url.hostname, Number(this.#url.port))
  }

  async open() {
    if (this.#job.wire === 'legacy') {
      const params = {
        protocolVersion: LEGACY,
        capabilities: {},
        clientInfo: { name: 'bench', version: '1.0.0' },
      }
      const answer = await this.#post({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
      if (answer.status !== 200) throw new Error(`initialize: HTTP ${answer.status} ${answer.body}`)
      this.#session = header(answer.head, 'mcp-session-id')
      const noted = await this.#post({ jsonrpc: '2.0', method: 'notifications/initialized' })
      if (noted.status !== 202)
        throw new Error(`notifications/initialized: HTTP ${noted.status} ${noted.body}`)
    }
    this.#prepare()
  }

  /** One call, checked: the answer must carry this call's id and this call's value. */
  async call() {
    const id = String(1e8 + (calls++ % 9e8))
    const number = this.#job.same ? this.#at : Number(id)
    const value = String((number * 7919) % 1e12).padStart(VALUE_WIDTH, '0')
    this.#template.write(id, this.#idAt, 'latin1')
    this.#template.write(value, this.#valueAt, 'latin1')
    const { status, head, body } = await this.#connection.send(this.#template)
    if (!isAnswer(status, head, body, Number(id), value, this.#job.size ?? 0))
      throw new Error(`wrong answer to id ${id}, value ${value}: HTTP ${status} ${body.slice(0, 300)}`)
  }

  async close() {
    if (this.#session !== undefined) await this.#connection.send(this.#head('DELETE', {}, 0))
    this.#connection.close()
  }

  #prepare() {
    const id = '1'.repeat(ID_WIDTH)
    const value = 'v'.repeat(VALUE_WIDTH)
    const { wire, tool } = this.#job
    /** @type {Record<string, unknown>} */
    const params = { name: tool, arguments: { text: value } }
    if (wire === 'modern')
      params['_meta'] = {
        'io.modelcontextprotocol/protocolVersion': MODERN,
        'io.modelcontextprotocol/clientCapabilities': {},
        'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
      }
    const body = JSON.stringify({ jsonrpc: '2.0', id: Number(id), method: 'tools/call', params })
    const head = this.#head(
      'POST',
      wire === 'modern' ? { 'mcp-method': 'tools/call', 'mcp-name': tool } : {},
      body.length,
    )
    this.#template = Buffer.from(head + body, 'latin1')
    this.#idAt = head.length + body.indexOf(id)
    this.#valueAt = head.length + body.indexOf(value)
  }

  /** @param {object} message */
  #post(message) {
    const body = JSON.stringify(message)
    return this.#connection.send(this.#head('POST', {}, body.length) + body)
  }

  /** @param {string} method @param {Record<string, string>} extra @param {number} length */
  #head(method, extra, length) {
    /** @type {Record<string, string>} */
    const headers = {
      host: this.#url.host,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'content-length': String(length),
      'mcp-protocol-version': this.#job.wire === 'modern' ? MODERN : LEGACY,
      ...extra,
    }
    if (this.#key !== undefined) headers['authorization'] = `Bearer ${this.#key}`
    if (this.#session !== undefined) headers['mcp-session-id'] = this.#session
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    return `${method} ${this.#url.pathname} HTTP/1.1\r\n${lines.join('')}\r\n`
  }
}

/**
 * Whether an answer is the right one. A large one is not parsed: on the core that the upstream shares, that would be most of what is measured.
 * @param {number} status @param {string} head @param {string} body @param {number} id @param {string} value @param {number} size
 */
function isAnswer(status, head, body, id, value, size) {
  if (status !== 200) return false
  if (size > 0)
    return (
      body.length > size &&
      body.length < size + 1000 &&
      body.includes(`"id":${id}`) &&
      body.includes(`"text":"${value}"`)
    )
  const message = parseMessage(head, body)
  return message?.id === id && message.result?.content?.[0]?.text === value
}

/** @param {string} head @param {string} body */
function parseMessage(head, body) {
  if (!header(head, 'content-type')?.startsWith('text/event-stream')) return JSON.parse(body)
  // The response is the last message of the stream.
  const at = body.lastIndexOf('data: ')
  return at === -1 ? undefined : JSON.parse(body.slice(at + 6, body.indexOf('\n', at)))
}

/** CPU seconds of a process, or `undefined` where there is no `/proc`. @param {number} pid */
function cpuSeconds(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the command in parentheses and may contain anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  } catch {
    return undefined
  }
}

/**
 * @param {Job} job
 * @returns {Promise<Measured>}
 */
async function run(job) {
  const callers = Array.from(
    { length: job.connections },
    (_, at) => new Caller(job, job.keys?.[at % job.keys.length], at),
  )
  await Promise.all(callers.map(caller => caller.open()))
  /** @type {number[]} */
  const times = []
  const cpuBefore = cpuSeconds(job.pid)
  const ownBefore = process.cpuUsage()
  const start = performance.now()
  const end = start + job.seconds * 1000
  await Promise.all(
    callers.map(async caller => {
      for (let now = performance.now(); now < end;) {
        await caller.call()
        const after = performance.now()
        times.push(after - now)
        now = after
      }
    }),
  )
  const elapsed = (performance.now() - start) / 1000
  const own = process.cpuUsage(ownBefore)
  const cpuAfter = cpuSeconds(job.pid)
  await Promise.all(callers.map(caller => caller.close()))
  const sorted = Float64Array.from(times).sort()
  return {
    calls: times.length,
    perSecond: times.length / elapsed,
    cpuMicros:
      cpuBefore === undefined || cpuAfter === undefined
        ? null
        : ((cpuAfter - cpuBefore) * 1e6) / times.length,
    ownMicros: (own.user + own.system) / times.length,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
  }
}

process.on('message', job => {
  run(/** @type {Job} */ (job)).then(
    measured => process.send?.({ measured }),
    error => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit())
