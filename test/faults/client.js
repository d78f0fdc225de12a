// @ts-check
import { createInterface } from 'node:readline'
import { openLegacy, openModern } from '../crosstalk/client.js'

/**
 * A client of the gateway that makes calls and says how each ended: `result` with what was asked for, the code of an error, or why it is neither.
 */

const KEY = 'io.modelcontextprotocol/'
const ERROR = 'io.github.mcp-manifold/error'
/** A call that takes longer has no answer. */
const PATIENCE_MS = 20_000
const clientInfo = { name: 'faults', version: '1' }

/** @typedef {'read' | 'marked' | 'unmarked'} Kind */
/** @typedef {import('../crosstalk/client.js').Message} Message */
/**
 * @typedef {object} Seen
 * @property {string} outcome
 * @property {string} text of the error
 * @property {number} retryAfterMs as the error has it; else 0
 * @property {number} ms
 */

export class Client {
  #request
  /** @type {() => Promise<void>} */
  close

  /**
   * @param {(method: string, params: object) => Promise<Message | undefined>} request `undefined`: the connection ended without an answer
   * @param {() => Promise<void>} close
   */
  constructor(request, close) {
    this.#request = request
    this.close = close
  }

  /** Names of all tools. @returns {Promise<string[]>} */
  async tools() {
    const answer = await this.#request('tools/list', {})
    return (answer?.result?.tools ?? []).map((/** @type {{ name: string }} */ tool) => tool.name)
  }

  /** @param {string} server @param {Kind} kind @param {string} key @returns {Promise<Seen>} */
  async call(server, kind, key) {
    const [method, params] =
      kind === 'read'
        ? ['resources/read', { uri: `${server}://${key}` }]
        : ['tools/call', { name: `${server}__${kind}`, arguments: { key } }]
    const begun = performance.now()
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    const late = new Promise(resolve => (timer = setTimeout(resolve, PATIENCE_MS, 'late')))
    const answer = await Promise.race([this.#request(method, params), late])
    clearTimeout(timer)
    return { ...read(answer, key), ms: performance.now() - begun }
  }
}

/** @param {Message | 'late' | undefined} answer @param {string} key */
function read(answer, key) {
  if (answer === 'late') return { outcome: 'no answer', text: '', retryAfterMs: 0 }
  if (answer === undefined) return { outcome: 'connection ended', text: '', retryAfterMs: 0 }
  const { result, error } = answer
  const data = error ? error.data : result?._meta?.[ERROR]
  const retryAfterMs = data?.retryAfterMs ?? 0
  if (error)
    return { outcome: data?.code ?? `error ${error.code}`, text: String(error.message), retryAfterMs }
  const text = String(result?.content?.[0]?.text ?? result?.contents?.[0]?.text)
  if (result?.isError) return { outcome: data?.code ?? 'isError', text, retryAfterMs }
  return { outcome: text === key ? 'result' : 'wrong result', text, retryAfterMs }
}

/** @param {import('./replica.js').Era} era @param {import('./processes.js').Gateway} gateway */
export async function openClient(era, gateway) {
  if (gateway.origin === '') return await openStdio(era, gateway.child)
  const client =
    era === 'legacy'
      ? await openLegacy(gateway.origin, {}, () => {})
      : openModern(gateway.origin, {}, undefined)
  return new Client(
    (method, params) => client.request(method, params, () => {}).answer,
    () => client.close(),
  )
}

/** @param {import('./replica.js').Era} era @param {import('node:child_process').ChildProcess} child */
async function openStdio(era, { stdin, stdout }) {
  if (!stdin || !stdout) throw new Error('no pipes')
  /** @type {Map<number, (answer: Message | undefined) => void>} */
  const waiting = new Map()
  let lastId = 0
  const lines = createInterface({ input: stdout })
  lines.on('line', line => {
    const message = JSON.parse(line)
    if (message.method !== undefined) return
    waiting.get(message.id)?.(message)
    waiting.delete(message.id)
  })
  lines.on('close', () => waiting.forEach(resolve => resolve(undefined)))
  stdin.on('error', () => {})
  const send = (/** @type {object} */ message) =>
    void stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  const envelope = {
    [`${KEY}protocolVersion`]: '2026-07-28',
    [`${KEY}clientInfo`]: clientInfo,
    [`${KEY}clientCapabilities`]: {},
  }
  /** @param {string} method @param {object} params @returns {Promise<Message | undefined>} */
  const request = (method, params) => {
    const id = ++lastId
    const answer = new Promise(resolve => waiting.set(id, resolve))
    send({ id, method, params: era === 'modern' ? { ...params, _meta: envelope } : params })
    return answer
  }
  if (era === 'legacy') {
    await request('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo })
    send({ method: 'notifications/initialized' })
  }
  return new Client(request, async () => {
    stdin.end()
  })
}
