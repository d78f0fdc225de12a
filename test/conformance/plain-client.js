// @ts-check
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** @typedef {Record<string, any>} Json */

/** Answers one question of a server. @typedef {(method: string, params: Json) => Json | Promise<Json>} Answer */

/**
 * A client without any SDK, over stdio: it sends what it is told and keeps everything it receives as it is, so what a suite sees of
 * a call is the gateway's doing alone.
 *
 * @typedef {object} PlainClient
 * @property {Json} capabilities what the server offers
 * @property {(method: string, params?: Json) => Promise<Json>} request gives the result; questions that come before it go to the
 *   client's `answer`. Rejects with the server's error
 * @property {() => Promise<void>} close ends the server by closing its input
 */

const INFO = { name: 'conformance-driver', version: '1.0.0' }
const CAPABILITIES = {
  elicitation: { form: {}, url: {} },
  sampling: { tools: {}, context: {} },
  roots: { listChanged: true },
}
const REVISIONS = { legacy: '2025-11-25', modern: '2026-07-28' }
const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': REVISIONS.modern,
  'io.modelcontextprotocol/clientInfo': INFO,
  'io.modelcontextprotocol/clientCapabilities': CAPABILITIES,
}

/**
 * Starts a server and greets it.
 *
 * @param {'legacy' | 'modern'} era
 * @param {readonly string[]} args of a Node program that speaks MCP on its stdin and stdout
 * @param {Answer} answer
 * @returns {Promise<PlainClient>}
 */
export async function connect(era, args, answer) {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  /** @type {Map<number, { resolve: (result: Json) => void, reject: (error: Error) => void }>} */
  const waiting = new Map()
  let lastId = 0
  void exited.then(() => {
    for (const { reject } of waiting.values()) reject(new Error('The gateway has ended.'))
  })

  /** @param {Json} message */
  const send = message => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)

  /** @param {string} method @param {Json} params @returns {Promise<Json>} */
  const roundTrip = (method, params) =>
    new Promise((resolve, reject) => {
      lastId += 1
      waiting.set(lastId, { resolve, reject })
      send({ id: lastId, method, params })
    })

  createInterface({ input: child.stdout }).on('line', async line => {
    const message = JSON.parse(line)
    if (message.method === undefined) {
      const { resolve, reject } = waiting.get(message.id) ?? {}
      waiting.delete(message.id)
      if (message.error) reject?.(new Error(`${message.error.message} (${message.error.code})`))
      else resolve?.(message.result)
    } else if (message.id !== undefined) {
      send({ id: message.id, result: await answer(message.method, message.params ?? {}) })
    }
  })

  /** @param {string} method @param {Json} params @returns {Promise<Json>} */
  const modernRequest = async (method, params) => {
    const whole = { ...params, _meta: { ...params['_meta'], ...ENVELOPE } }
    for (;;) {
      const result = await roundTrip(method, whole)
      if (result.resultType !== 'input_required') return result
      const answers = Object.entries(result.inputRequests ?? {}).map(async ([key, question]) => [
        key,
        await answer(question.method, question.params ?? {}),
      ])
      Object.assign(whole, { inputResponses: Object.fromEntries(await Promise.all(answers)) })
      if (result.requestState === undefined) Reflect.deleteProperty(whole, 'requestState')
      else Object.assign(whole, { requestState: result.requestState })
    }
  }

  const modern = era === 'modern'
  const greeting = modern
    ? await modernRequest('server/discover', {})
    : await roundTrip('initialize', {
        protocolVersion: REVISIONS.legacy,
        capabilities: CAPABILITIES,
        clientInfo: INFO,
      })
  if (!modern) send({ method: 'notifications/initialized' })
  return {
    capabilities: greeting.capabilities,
    request: (method, params = {}) => (modern ? modernRequest : roundTrip)(method, params),
    close: async () => {
      child.stdin.end()
      await exited
    },
  }
}
