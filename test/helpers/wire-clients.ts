import { request } from 'node:http'
import type { Agent, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { PassThrough } from 'node:stream'
import type { RunningGateway } from '../../src/gateway/gateway.ts'
import { encodeHeaderValue } from '../../src/protocol/headers.ts'
import { Inbox } from './inbox.ts'

/** Clients without any SDK: what a test writes goes over the wire as it is, and what comes back is not touched. */

/** A server-sent event as it stood on the wire. */
export interface WireEvent {
  readonly id: string | undefined
  readonly data: string
}

/** An HTTP response from the arrival of its headers on. */
export interface WireResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The whole body, once it has ended; what came of it when the connection breaks. */
  readonly body: Promise<string>
  /** What has come of the body. */
  readonly received: string
  /** Events that carry data, in their order. Comments and empty events are left out. */
  readonly events: Inbox<WireEvent>
  /** The id of the last event of all, empty ones included. */
  readonly lastId: string | undefined
  /** Stops reading, until `resume`. */
  pause(): void
  resume(): void
  /** Breaks the connection. */
  destroy(): void
}

export interface WireRequest {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
  /** Keeps connections; without it, each request has one of its own. */
  readonly agent?: Agent | undefined
}

/** What every request of a client brings along. */
export interface ClientOptions {
  /** For credentials. */
  readonly headers?: OutgoingHttpHeaders
  readonly agent?: Agent | undefined
}

/** Sends one HTTP request. */
export function http(
  url: string,
  { method = 'POST', headers = {}, body, agent }: WireRequest = {},
): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: agent ?? false }, response => {
      const events = new Inbox<WireEvent>()
      let lastId: string | undefined
      let text = ''
      let from = 0
      response.setEncoding('utf8')
      const wholeBody = new Promise<string>(ended => {
        response.on('close', () => ended(text))
      })
      response.on('error', () => {})
      response.on('data', (chunk: string) => {
        text += chunk
        for (let end = text.indexOf('\n\n', from); end >= 0; end = text.indexOf('\n\n', from)) {
          const lines = text.slice(from, end).split('\n')
          from = end + 2
          const id = lines.find(line => line.startsWith('id: '))?.slice(4)
          const data = lines.filter(line => line.startsWith('data: ')).map(line => line.slice(6))
          lastId = id ?? lastId
          if (data.join('') !== '') events.push({ id, data: data.join('\n') })
        }
      })
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: wholeBody,
        events,
        get received() {
          return text
        },
        get lastId() {
          return lastId
        },
        pause: () => void response.pause(),
        resume: () => void response.resume(),
        destroy: () => void response.destroy(),
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

export const JSON_HEADERS = {
  accept: 'application/json, text/event-stream',
  'content-type': 'application/json',
}

/** Text of a request; `params` is text, too. */
export function requestText(id: string, method: string, params: string | undefined): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"${method}"${params === undefined ? '' : `,"params":${params}`}}`
}

/** What the tests of relaying ask of a client, whichever it is. */
export interface WireClient extends AsyncDisposable {
  readonly modern: boolean
  /** Sends a request and resolves with the text of the message that answers it. `id` and `params` are texts. */
  request(id: string, method: string, params?: string): Promise<string>
}

const INITIALIZE = (version: string, capabilities = '{}'): string =>
  `{"protocolVersion":"${version}","capabilities":${capabilities},"clientInfo":{"name":"wire","version":"1"}}`
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}'

/** A legacy session over Streamable HTTP. */
export class LegacySession implements WireClient {
  readonly modern = false
  readonly url: string
  readonly id: string
  /** The answer to `initialize`. */
  greeting = ''
  readonly #version: string
  readonly #options: ClientOptions
  readonly #open = new Set<WireResponse>()

  constructor(url: string, id: string, version: string, options: ClientOptions = {}) {
    this.url = url
    this.id = id
    this.#version = version
    this.#options = options
  }

  static async open(
    origin: string,
    {
      path = '/mcp',
      version = '2025-11-25',
      capabilities = '{}',
      ...options
    }: { path?: string; version?: string; capabilities?: string } & ClientOptions = {},
  ): Promise<LegacySession> {
    const body = requestText('0', 'initialize', INITIALIZE(version, capabilities))
    const { headers = {}, agent } = options
    const response = await http(`${origin}${path}`, { headers: { ...JSON_HEADERS, ...headers }, body, agent })
    const text = await response.body
    const id = response.headers['mcp-session-id']
    if (typeof id !== 'string') throw new Error(`no session: ${response.status} ${text}`)
    const session = new LegacySession(`${origin}${path}`, id, version, options)
    session.greeting = text
    await (
      await session.post(INITIALIZED)
    ).body
    return session
  }

  get headers(): OutgoingHttpHeaders {
    return {
      ...JSON_HEADERS,
      'mcp-session-id': this.id,
      'mcp-protocol-version': this.#version,
      ...this.#options.headers,
    }
  }

  /** Sends a body as it is. */
  async post(body: string, headers: OutgoingHttpHeaders = {}): Promise<WireResponse> {
    const { agent } = this.#options
    return this.#keep(await http(this.url, { headers: { ...this.headers, ...headers }, body, agent }))
  }

  /** Opens the stream of what belongs to no request, or continues a stream after an event. */
  async listen(lastEventId?: string): Promise<WireResponse> {
    const resume = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    return this.#keep(await http(this.url, { method: 'GET', headers: { ...this.headers, ...resume } }))
  }

  async request(id: string, method: string, params?: string): Promise<string> {
    return await answerOf(await this.post(requestText(id, method, params)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const response of this.#open) response.destroy()
    await (
      await http(this.url, { method: 'DELETE', headers: this.headers })
    ).body
  }

  #keep(response: WireResponse): WireResponse {
    this.#open.add(response)
    void response.body.then(() => this.#open.delete(response))
    return response
  }
}

/** The last message of a response, be it JSON or a stream. */
export async function answerOf(response: WireResponse): Promise<string> {
  const body = await response.body
  if (!String(response.headers['content-type']).startsWith('text/event-stream')) return body
  return response.events.all.at(-1)?.data ?? ''
}

const ENVELOPE_KEY = 'io.modelcontextprotocol'
/** The members of `_meta` that make a request a modern one. */
export const ENVELOPE =
  `"${ENVELOPE_KEY}/protocolVersion":"2026-07-28",` +
  `"${ENVELOPE_KEY}/clientInfo":{"name":"wire","version":"1"},` +
  `"${ENVELOPE_KEY}/clientCapabilities":{}`

/** Gives `params` the modern envelope: in front of what `_meta` has, or as a `_meta` in front of everything else. */
export function withEnvelope(params = '{}', more = ''): string {
  if (params.includes('"_meta":{'))
    return params.replace(
      /"_meta":\{(\s*\})?/,
      (_, empty: string | undefined) => `"_meta":{${ENVELOPE}${more}${empty ?? ','}`,
    )
  const comma = /^\s*\{\s*\}/.test(params) ? '' : ','
  return params.replace('{', () => `{"_meta":{${ENVELOPE}${more}}${comma}`)
}

/** A modern client over HTTP: every request by itself. */
export class ModernHttp implements WireClient {
  readonly modern = true
  readonly url: string
  readonly #options: ClientOptions
  readonly #open = new Set<WireResponse>()

  constructor(origin: string, path = '/mcp', options: ClientOptions = {}) {
    this.url = `${origin}${path}`
    this.#options = options
  }

  /** `params` already with its envelope. */
  async post(
    id: string,
    method: string,
    params: string,
    headers: OutgoingHttpHeaders = {},
  ): Promise<WireResponse> {
    const { name, uri } = JSON.parse(params) as { name?: string; uri?: string }
    const named = { 'tools/call': name, 'prompts/get': name, 'resources/read': uri }[method]
    const response = await http(this.url, {
      headers: {
        ...JSON_HEADERS,
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(named !== undefined && { 'mcp-name': encodeHeaderValue(named) }),
        ...this.#options.headers,
        ...headers,
      },
      body: requestText(id, method, params),
      agent: this.#options.agent,
    })
    this.#open.add(response)
    void response.body.then(() => this.#open.delete(response))
    return response
  }

  async request(id: string, method: string, params?: string): Promise<string> {
    return await answerOf(await this.post(id, method, withEnvelope(params)))
  }

  /** Sends a request, `params` with its envelope, and breaks the connection so long after all of it is written. */
  leave(id: string, method: string, params: string, afterMs: number): Promise<void> {
    const { name } = JSON.parse(params) as { name?: string }
    const headers = {
      ...JSON_HEADERS,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name !== undefined && { 'mcp-name': name }),
      ...this.#options.headers,
    }
    return new Promise(resolve => {
      const sent = request(this.url, { method: 'POST', headers, agent: false })
      sent.on('error', () => {})
      sent.on('close', resolve)
      sent.end(requestText(id, method, params), () => setTimeout(() => sent.destroy(), afterMs))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const response of this.#open) response.destroy()
  }
}

/** A session over the deprecated HTTP+SSE. */
export class DeprecatedSession implements WireClient {
  readonly modern = false
  readonly #stream: WireResponse
  readonly #address: string

  constructor(stream: WireResponse, address: string) {
    this.#stream = stream
    this.#address = address
  }

  static async open(
    origin: string,
    { version = '2025-11-25', capabilities = '{}' } = {},
  ): Promise<DeprecatedSession> {
    const stream = await http(`${origin}/sse`, { method: 'GET', headers: { accept: 'text/event-stream' } })
    const session = new DeprecatedSession(stream, `${origin}${(await stream.events.take()).data}`)
    await session.request('"initialize"', 'initialize', INITIALIZE(version, capabilities))
    await session.post(INITIALIZED)
    return session
  }

  /** What the stream has brought and was not taken. */
  get events(): Inbox<WireEvent> {
    return this.#stream.events
  }

  /** The whole stream, once it has ended. */
  get body(): Promise<string> {
    return this.#stream.body
  }

  /** Stops reading the stream, until `resume`. */
  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  /** Sends a body as it is. */
  async post(body: string): Promise<void> {
    const posted = await http(this.#address, { headers: { 'content-type': 'application/json' }, body })
    const text = await posted.body
    if (posted.status !== 202) throw new Error(`not taken: ${posted.status} ${text}`)
  }

  async request(id: string, method: string, params?: string): Promise<string> {
    await this.post(requestText(id, method, params))
    const answer = `{"jsonrpc":"2.0","id":${id},`
    return (await this.events.take(({ data }) => data.startsWith(answer), `the answer to ${id}`)).data
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream.destroy()
    await this.#stream.body
  }
}

/** A client on the gateway's stdio front, in this process. */
export class StdioClient implements WireClient {
  readonly modern: boolean
  readonly lines = new Inbox<string>()
  readonly #input = new PassThrough()
  readonly #served: Promise<void>

  /** @param client a configured client; default: the local user */
  constructor(gateway: RunningGateway, modern: boolean, client?: string) {
    this.modern = modern
    const output = new PassThrough()
    let text = ''
    output.setEncoding('utf8')
    output.on('data', (chunk: string) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() as string
      for (const line of lines) this.lines.push(line)
    })
    this.#served = gateway.serveStdio(this.#input, output, client === undefined ? {} : { client })
  }

  /** Greets as a legacy client. */
  static async legacy(
    gateway: RunningGateway,
    options: { version?: string; capabilities?: string; client?: string } = {},
  ): Promise<StdioClient> {
    const { version = '2025-11-25', capabilities = '{}' } = options
    const client = new StdioClient(gateway, false, options.client)
    await client.request('"initialize"', 'initialize', INITIALIZE(version, capabilities))
    client.send(INITIALIZED)
    return client
  }

  /** Sends a line as it is. */
  send(text: string): void {
    this.#input.write(`${text}\n`)
  }

  /** Takes the answer to a request. */
  answer(id: string): Promise<string> {
    return this.lines.take(line => line.startsWith(`{"jsonrpc":"2.0","id":${id},`), `the answer to ${id}`)
  }

  /** Takes the next notification of a method. */
  notification(method: string): Promise<string> {
    return this.lines.take(line => line.startsWith(`{"jsonrpc":"2.0","method":"${method}"`), method)
  }

  async request(id: string, method: string, params?: string): Promise<string> {
    this.send(requestText(id, method, this.modern ? withEnvelope(params) : params))
    return await this.answer(id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#input.end()
    await this.#served
  }
}
