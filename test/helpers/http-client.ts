import type { Answer } from './stdio-client.ts'
import { textOf } from './stdio-client.ts'

/** A legacy session over Streamable HTTP, without any SDK. */
export interface HttpClient {
  readonly session: string
  /** Answer to `initialize`. */
  readonly greeting: Answer
  request(method: string, params?: object): Promise<Answer>
  /** Text of a tool's result, or the message of the error. */
  call(name: string, args?: object): Promise<string>
  /** Exposed names (or URIs) of a whole list, all pages. */
  names(kind: 'tools' | 'prompts' | 'resources'): Promise<string[]>
  /** Opens the stream of what belongs to no request. */
  listen(): Promise<Listening>
}

/** An open event stream; ends with its scope. */
export interface Listening extends AsyncDisposable {
  /** The next message with this method, those before it are skipped. */
  next(method: string): Promise<Answer>
}

const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

/** Posts a body as it is. */
export function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { ...HEADERS, ...headers }, body })
}

/** Opens a session at `<origin>/mcp`, or at the endpoint of one server. */
export async function openSession(origin: string, view = '', capabilities: object = {}): Promise<HttpClient> {
  const url = `${origin}/mcp${view === '' ? '' : `/${view}`}`
  const params = {
    protocolVersion: '2025-11-25',
    capabilities,
    clientInfo: { name: 'test', version: '1' },
  }
  const opening = await post(url, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }))
  const session = opening.headers.get('mcp-session-id')
  if (session === null) throw new Error(`no session: ${await opening.text()}`)
  const greeting = (await opening.json()) as Answer
  let lastId = 0
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }
  const client: HttpClient = {
    session,
    greeting,
    async request(method, params) {
      const id = ++lastId
      const response = await post(url, JSON.stringify({ jsonrpc: '2.0', id, method, params }), headers)
      return answerOf(response.headers.get('content-type') ?? '', await response.text(), id)
    },
    async call(name, args = {}) {
      return textOf(await client.request('tools/call', { name, arguments: args }))
    },
    async names(kind) {
      const names: string[] = []
      let cursor: string | undefined
      do {
        const { result, error } = await client.request(`${kind}/list`, cursor === undefined ? {} : { cursor })
        if (!result) throw new Error(error?.message)
        for (const entry of result[kind] as { name: string; uri?: string }[])
          names.push(kind === 'resources' ? (entry.uri as string) : entry.name)
        cursor = result['nextCursor'] as string | undefined
      } while (cursor !== undefined)
      return names
    },
    async listen() {
      const ending = new AbortController()
      const accept = 'text/event-stream'
      const response = await fetch(url, { headers: { ...headers, accept }, signal: ending.signal })
      if (!response.body) throw new Error('no stream')
      const messages = messagesOf(response.body)
      return {
        async next(method) {
          for (;;) {
            const { value, done } = await messages.next()
            if (done) throw new Error('the stream has ended')
            if (value.method === method) return value
          }
        },
        async [Symbol.asyncDispose]() {
          ending.abort()
        },
      }
    },
  }
  return client
}

async function* messagesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Answer, undefined> {
  let rest = ''
  for await (const chunk of body.pipeThrough(
    new TextDecoderStream() as never,
  ) as unknown as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('data: {')) yield JSON.parse(line.slice(6)) as Answer
  }
  return undefined
}

function answerOf(type: string, text: string, id: number): Answer {
  if (!type.startsWith('text/event-stream')) return JSON.parse(text) as Answer
  const answers = text
    .split('\n')
    .filter(line => line.startsWith('data: {'))
    .map(line => JSON.parse(line.slice(6)) as Answer)
  const answer = answers.find(candidate => candidate.id === id)
  if (!answer) throw new Error(`no answer in: ${text}`)
  return answer
}
