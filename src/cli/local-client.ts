import type { Readable, Writable } from 'node:stream'
import { ERROR_KINDS, GatewayError, type ErrorCode } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { rawAt } from '../protocol/json-text.ts'
import { VERSION } from '../version.ts'
import { ToldError } from './told-error.ts'
import type { JsonObject } from '../core/exchange.ts'

/** A result: parsed, and as the gateway has sent it, without what parsing loses. */
export interface ClientResult {
  readonly value: JsonObject
  readonly text: string
}

/** What the gateway says or asks beside its answers. */
export interface Hearing {
  progress(params: JsonObject): void
  log(params: JsonObject): void
  /** Answers `elicitation/create`. */
  elicit(params: JsonObject): Promise<JsonObject>
}

const REVISION = '2025-11-25'
/** The gateway sends nothing larger: it bounds what it takes from servers. */
const MAX_LINE_CHARS = 256 * 1024 * 1024

interface Pending {
  readonly resolve: (result: ClientResult) => void
  readonly reject: (error: Error) => void
}

/** The client that a command is: one legacy session over a pair of streams, a message a line. */
export class LocalClient {
  readonly #output: Writable
  readonly #hearing: Hearing
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #rest = ''
  #ended: Error | undefined

  constructor(input: Readable, output: Writable, hearing: Hearing) {
    this.#output = output
    this.#hearing = hearing
    input.setEncoding('utf8')
    input.on('data', (chunk: string) => this.#take(chunk))
    for (const stream of [input, output]) {
      stream.on('error', () => this.#end())
      stream.on('close', () => this.#end())
    }
    input.on('end', () => this.#end())
  }

  /** Opens the session. Returns what the gateway has said of itself. */
  async open(): Promise<JsonObject> {
    const { value } = await this.request('initialize', {
      protocolVersion: REVISION,
      capabilities: { elicitation: { form: {}, url: {} } },
      clientInfo: { name: 'mcp-manifold-cli', title: 'The commands of Manifold', version: VERSION },
    })
    this.#send({ method: 'notifications/initialized' })
    return value
  }

  /**
   * Sends a request whose parameters are an object, or its text. Once `cancelled` is aborted the gateway is told, and
   * the request is not waited for.
   * @throws GatewayError, or ToldError, with what the gateway or a server has answered
   */
  request(method: string, params: object | string, cancelled?: AbortSignal): Promise<ClientResult> {
    const id = this.#nextId++
    if (this.#ended) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      const onCancel = (): void => {
        this.#pending.delete(id)
        this.#send({
          method: 'notifications/cancelled',
          params: { requestId: id, reason: 'The user has cancelled.' },
        })
        reject(new Cancelled())
      }
      const done = (): void => cancelled?.removeEventListener('abort', onCancel)
      this.#pending.set(id, {
        resolve: result => (done(), resolve(result)),
        reject: error => (done(), reject(error)),
      })
      const text = typeof params === 'string' ? params : JSON.stringify(params)
      this.#output.write(`{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${text}}\n`)
      cancelled?.addEventListener('abort', onCancel, { once: true })
    })
  }

  #send(message: object): void {
    if (!this.#ended) this.#output.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }

  #take(chunk: string): void {
    const lines = chunk.split('\n')
    lines[0] = this.#rest + (lines[0] ?? '')
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > MAX_LINE_CHARS)
      return this.#end(new Error('an answer of the gateway is too large'))
    for (const line of lines) if (line !== '') this.#line(line)
  }

  #line(line: string): void {
    let message: unknown
    try {
      message = JSON.parse(line)
    } catch {
      return this.#end(new Error('the gateway has sent what is no JSON'))
    }
    if (!isJsonObject(message)) return
    const { id, method, params, result, error } = message
    const given = isJsonObject(params) ? params : {}
    if (typeof method === 'string') {
      if (id === undefined) this.#notified(method, given)
      else void this.#asked(id, method, given)
      return
    }
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined
    if (!pending) return
    this.#pending.delete(id as number)
    if (isJsonObject(result)) pending.resolve({ value: result, text: rawAt(line, 'result') ?? '{}' })
    else pending.reject(refusalOf(error))
  }

  #notified(method: string, params: JsonObject): void {
    if (method === 'notifications/progress') this.#hearing.progress(params)
    else if (method === 'notifications/message') this.#hearing.log(params)
  }

  async #asked(id: unknown, method: string, params: JsonObject): Promise<void> {
    if (method === 'ping') return this.#send({ id, result: {} })
    if (method !== 'elicitation/create')
      return this.#send({ id, error: { code: -32601, message: 'A command does not offer this.' } })
    try {
      this.#send({ id, result: await this.#hearing.elicit(params) })
    } catch {
      this.#send({ id, result: { action: 'cancel' } })
    }
  }

  #end(why?: Error): void {
    if (this.#ended) return
    this.#ended = new GatewayError(
      'config',
      `The conversation with the gateway has ended${why ? `: ${why.message}` : ' before it has answered'}. Try again.`,
    )
    for (const { reject } of this.#pending.values()) reject(this.#ended)
    this.#pending.clear()
  }
}

/** The user has given the request up. */
export class Cancelled extends Error {}

/** An error of the gateway has its code, which a page explains. One of a server is relayed without. */
function refusalOf(error: unknown): Error {
  const { message, data } = isJsonObject(error) ? error : {}
  const why = typeof message === 'string' && message !== '' ? message : 'The gateway gave no reason.'
  const { code } = isJsonObject(data) ? data : {}
  return isErrorCode(code) ? new GatewayError(code, why) : new ToldError(why)
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_KINDS, code)
}
