import type { IncomingMessage, ServerResponse } from 'node:http'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import type { HttpFrontConfig } from '../config/types.ts'
import { describeError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import { kindOf, parseJson, takeApart } from '../protocol/message.ts'
import { HttpRefusal, readBody } from './guards.ts'
import { isDue } from './http-reply.ts'
import type { Service } from './service.ts'
import { Session } from './session.ts'

interface SseSession {
  readonly session: Session
  readonly transport: SSEServerTransport
  readonly response: ServerResponse
  readonly send: (text: string) => void
  lastWrite: number
}

/**
 * The deprecated HTTP+SSE transport (revision 2024-11-05) for old clients, by the official SDK: one stream is one session, requests come by POST
 * and everything goes out on the stream.
 */
export class SseFront {
  readonly #service: Service
  readonly #principal: Principal
  readonly #config: HttpFrontConfig
  readonly #logger: Logger
  readonly #sessions = new Map<string, SseSession>()

  constructor(service: Service, principal: Principal, config: HttpFrontConfig, logger: Logger) {
    this.#service = service
    this.#principal = principal
    this.#config = config
    this.#logger = logger
  }

  get sessions(): number {
    return this.#sessions.size
  }

  async open(response: ServerResponse, view: string): Promise<void> {
    if (this.#sessions.size >= this.#config.maxSessions)
      throw new HttpRefusal(
        503,
        'Too many sessions are open. Raise "gateway.http.maxSessions", or try again later.',
        { 'retry-after': '10' },
      )
    const transport = new SSEServerTransport('/messages', response)
    const send = (text: string): void => {
      entry.lastWrite = Date.now()
      transport
        .send(JSON.parse(text))
        .catch((error: unknown) =>
          this.#logger.debug('A message could not be sent.', { cause: describeError(error) }),
        )
    }
    const session = new Session(this.#service, this.#principal, view, send)
    const entry: SseSession = { session, transport, response, send, lastWrite: Date.now() }
    this.#sessions.set(transport.sessionId, entry)
    response.on('close', () => {
      this.#sessions.delete(transport.sessionId)
      session.close()
    })
    await transport.start()
  }

  async post(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') throw new HttpRefusal(405, 'Use POST here.', { allow: 'POST' })
    const id = new URL(request.url as string, 'http://localhost').searchParams.get('sessionId')
    const entry = id === null ? undefined : this.#sessions.get(id)
    if (!entry) throw new HttpRefusal(404, 'Session not found; open the event stream again.')
    const text = await readBody(request, this.#config.maxBodyBytes)
    const value = parseJson(text)
    const kind = kindOf(value)
    const incoming = kind === 'response' ? undefined : takeApart({ text, value: value as JsonObject })
    response.writeHead(202, { 'content-type': 'text/plain' }).end('Accepted')
    if (!incoming) {
      entry.session.response({ text, value: value as JsonObject })
      return
    }
    if (kind === 'notification') entry.session.notification(incoming)
    else
      entry.session.request(incoming.id as string, incoming, {
        notify: message => {
          entry.send(message)
          return true
        },
        status: () => undefined,
        answer: (head, body, tail) => entry.send(head + body.toString() + tail),
        drop: () => undefined,
      })
  }

  keepAlive(now: number): void {
    for (const entry of this.#sessions.values()) {
      if (!isDue(entry.lastWrite, now, this.#config.keepAliveMs)) continue
      entry.lastWrite = now
      entry.response.write(': keepalive\n\n')
    }
  }

  close(): void {
    for (const { session, response } of this.#sessions.values()) {
      session.close()
      response.end()
    }
    this.#sessions.clear()
  }
}
