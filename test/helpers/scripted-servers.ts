import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { Inbox } from './inbox.ts'
import { rawAt } from '../../src/protocol/json-text.ts'

/** Legacy servers that say what a test lets them say, message for message. The handshake, the lists and some more go by themselves. */

/** A request that waits for the test to answer it. */
export interface ScriptedRequest {
  /** The whole message as it came. */
  readonly text: string
  /** Raw text. */
  readonly id: string
  readonly method: string
  /** Raw text, `{}` when there are none. */
  readonly params: string
  /** Sends a message on the stream of this request, which on stdio is the only stream there is. */
  say(text: string): void
  /** Answers with `"result":…` or `"error":…`. */
  answer(member: string): void
  /** Sends text as it is where the answer comes, in one event where it comes as one; `end` ends the answer. */
  part(text: string, end?: boolean): void
  /** Resolves when the connection on which the answer is awaited ends (HTTP only). */
  readonly gone: Promise<void>
}

export interface ScriptedServer extends AsyncDisposable {
  /** Entry of `mcpServers`. */
  readonly entry: Readonly<Record<string, unknown>>
  /** Every message as it came. */
  readonly messages: Inbox<string>
  /** Requests that do not go by themselves. */
  readonly requests: Inbox<ScriptedRequest>
  /** The text of every notification. */
  readonly notifications: Inbox<string>
  /** Results by method, given at once. Change it to change the script. */
  readonly results: Map<string, string>
  /** Sends a message outside of any request. */
  say(text: string): void
  /** The request that calls a tool of this name. */
  called(tool: string): Promise<ScriptedRequest>
}

const CAPABILITIES =
  '{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"prompts":{"listChanged":true},"logging":{},"completions":{}}'

/** The next request of a method. */
export const asked = (server: ScriptedServer, method: string): Promise<ScriptedRequest> =>
  server.requests.take(request => request.method === method, method)

/** A tool's definition. */
export const toolText = (name: string, more = ''): string =>
  `{"name":"${name}","inputSchema":{"type":"object"}${more}}`

const results = (): Map<string, string> =>
  new Map([
    [
      'initialize',
      `{"protocolVersion":"2025-11-25","capabilities":${CAPABILITIES},"serverInfo":{"name":"scripted","version":"1"}}`,
    ],
    ['ping', '{}'],
    ['logging/setLevel', '{}'],
    ['tools/list', `{"tools":[${toolText('t')}]}`],
    ['resources/list', '{"resources":[]}'],
    ['resources/templates/list', '{"resourceTemplates":[]}'],
    ['prompts/list', '{"prompts":[]}'],
  ])

/** What both transports share. */
function script(say: (text: string) => void) {
  const server = {
    messages: new Inbox<string>(),
    requests: new Inbox<ScriptedRequest>(),
    notifications: new Inbox<string>(),
    results: results(),
    say,
    called: (tool: string): Promise<ScriptedRequest> =>
      server.requests.take(
        ({ method, params }) => method === 'tools/call' && rawAt(params, 'name') === `"${tool}"`,
        `a call of ${tool}`,
      ),
    /** @returns whether the message asks for an answer */
    take(
      text: string,
      reply: (text: string) => void,
      answer: (text: string) => void,
      gone: Promise<void>,
      part: (text: string, end?: boolean) => void,
    ): boolean {
      server.messages.push(text)
      const id = rawAt(text, 'id')
      const method = rawAt(text, 'method')?.slice(1, -1)
      if (id === undefined) {
        server.notifications.push(text)
        return false
      }
      if (method === undefined) return false
      const end = (member: string): void => answer(`{"jsonrpc":"2.0","id":${id},${member}}`)
      const result = server.results.get(method)
      if (result !== undefined) end(`"result":${result}`)
      else if (method === 'server/discover' || method === 'initialize')
        end('"error":{"code":-32601,"message":"Method not found"}')
      else
        server.requests.push({
          text,
          id,
          method,
          params: rawAt(text, 'params') ?? '{}',
          say: reply,
          answer: end,
          part,
          gone,
        })
      return true
    },
  }
  return server
}

/** Joins its two ends to a socket of the test. */
const STDIO_PROGRAM = `
const socket = require('node:net').connect(Number(process.argv[1]), '127.0.0.1')
process.stdin.pipe(socket)
socket.pipe(process.stdout)
socket.on('close', () => process.exit())
`

export interface ScriptedProcesses extends ScriptedServer {
  /** Ends all processes. */
  hangUp(): void
}

/** Processes that speak for the test over stdio: requests are answered by the one they came to, everything else is said by all. */
export async function scriptedStdio(): Promise<ScriptedProcesses> {
  const sockets = new Set<Socket>()
  const server = script(text => {
    for (const socket of sockets) socket.write(`${text}\n`)
  })
  const never = new Promise<void>(() => {})
  const listener = createServer(socket => {
    sockets.add(socket)
    socket.setEncoding('utf8')
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    let rest = ''
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() as string
      const reply = (text: string): void => void socket.write(`${text}\n`)
      const part = (text: string, end = false): void => void socket.write(end ? `${text}\n` : text)
      for (const line of lines) server.take(line, reply, reply, never, part)
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  return Object.assign(server, {
    entry: { command: process.execPath, args: ['-e', STDIO_PROGRAM, String(port)] },
    hangUp() {
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      listener.close()
      await once(listener, 'close')
    },
  })
}

function openEvents(response: ServerResponse): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' })
}

/** A Streamable HTTP server, with sessions only where told so. A request becomes a stream as soon as something is said on it. */
export async function scriptedHttp({ sessions = false, port: wanted = 0 } = {}): Promise<ScriptedServer> {
  let lastSession = 0
  const streams = new Set<ServerResponse>()
  const server = script(text => {
    for (const stream of streams) stream.write(`data: ${text}\n\n`)
  })
  const listener = createHttpServer((request, response) => {
    if (request.method === 'GET') {
      openEvents(response)
      response.flushHeaders()
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    if (request.method !== 'POST') {
      response.writeHead(405).end()
      return
    }
    const gone = new Promise<void>(resolve => {
      response.on('close', resolve)
    })
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const say = (text: string): void => {
        openEvents(response)
        response.write(`data: ${text}\n\n`)
      }
      const answer = (text: string): void => {
        if (response.headersSent) {
          say(text)
          response.end()
        } else {
          if (sessions && text.includes('"protocolVersion"'))
            response.setHeader('mcp-session-id', `s${++lastSession}`)
          response.writeHead(200, { 'content-type': 'application/json' }).end(text)
        }
      }
      const part = (text: string, end = false): void => {
        if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' })
        response.write(text)
        if (end) response.end()
      }
      if (!server.take(body, say, answer, gone, part)) response.writeHead(202).end()
    })
  })
  listener.listen(wanted, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  return Object.assign(server, {
    entry: { url: `http://127.0.0.1:${port}/mcp` },
    async [Symbol.asyncDispose]() {
      listener.close()
      listener.closeAllConnections()
      await once(listener, 'close')
    },
  })
}

export interface ScriptedDeprecated extends ScriptedServer {
  /** Writes to the event stream as it is. */
  field(text: string): void
}

/** A server of the deprecated HTTP+SSE for one client at a time. */
export async function scriptedDeprecated(): Promise<ScriptedDeprecated> {
  let stream: ServerResponse | undefined
  const say = (text: string): void => void stream?.write(`event: message\ndata: ${text}\n\n`)
  const server = script(say)
  const listener = createHttpServer((request, response) => {
    if (request.method === 'GET') {
      stream = response
      openEvents(response)
      response.write('event: endpoint\ndata: /messages\n\n')
      return
    }
    const gone = new Promise<void>(resolve => {
      response.on('close', resolve)
    })
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      response.writeHead(202).end()
      let begun = false
      const part = (text: string, end = false): void => {
        stream?.write(`${begun ? '' : 'event: message\ndata: '}${text}${end ? '\n\n' : ''}`)
        begun = true
      }
      server.take(body, say, say, gone, part)
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  return Object.assign(server, {
    entry: { url: `http://127.0.0.1:${port}/sse`, type: 'sse' },
    field: (text: string): void => void stream?.write(text),
    async [Symbol.asyncDispose]() {
      listener.close()
      listener.closeAllConnections()
      await once(listener, 'close')
    },
  })
}
