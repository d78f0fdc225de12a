import type { Agent } from 'undici'
import { receptionFrom } from '../../../core/buffer-limit.ts'
import { describeError, GatewayError } from '../../../core/errors.ts'
import type { Reception } from '../../../core/reception.ts'
import { EventParser, type ServerSentEvent } from '../../../protocol/sse.ts'
import { AuthorizedRequests, challengeOf } from '../http/authorized-requests.ts'
import { configuredHeaders } from '../http/configured-headers.ts'
import { LinkConnections } from '../http/connections.ts'
import { flowOf } from '../http/flow-control.ts'
import { httpRefusal, HttpStatusError } from '../http/http-error.ts'
import { NotTaken } from '../shared/not-taken.ts'
import { reachHint } from '../http/out-of-reach.ts'
import { retryAfterMs } from '../http/retry-after.ts'
import { sendSseRequest, type Headers, type SseRequest, type SseResponse } from '../http/sse-requests.ts'
import type { Outgoing, Receiver, Transport } from '../shared/transport.ts'
import { isWebPage, NO_ENDPOINT } from '../http/web-page.ts'
import { SSE_TRAITS } from './traits.ts'
import type { UrlTransportOptions } from '../http/url-transport-options.ts'

/**
 * The deprecated HTTP+SSE transport (revision 2024-11-05) towards a server: a single stream carries every message of
 * the server. Messages to the server are sent to the address in its first event, which must have the same origin. The
 * end of the stream is the end of its session.
 */
export class SseTransport implements Transport {
  readonly kind = 'sse'
  readonly traits = SSE_TRAITS
  readonly sessionful = true
  readonly #options: UrlTransportOptions
  readonly #url: URL
  readonly #configured: readonly string[]
  readonly #authorized: AuthorizedRequests | undefined
  #connections: LinkConnections<Agent> | undefined
  #receiver!: Receiver
  #reception: Reception | undefined
  #version: string | undefined
  /** Address for messages. `undefined` until the server has sent it. */
  #address: URL | undefined
  #closed = false
  #stopped: Promise<void> | undefined
  /** Settles `open`. */
  #opening: { resolve(): void; reject(error: GatewayError): void } | undefined

  constructor(options: UrlTransportOptions) {
    this.#options = options
    this.#url = new URL(options.endpoint.url)
    this.#configured = configuredHeaders(options.endpoint, options.logger)
    const { credentials } = options
    this.#authorized = credentials && new AuthorizedRequests(options.server, credentials)
  }

  async open(receiver: Receiver): Promise<void> {
    this.#receiver = receiver
    const { Agent, buildConnector } = await import('undici')
    if (this.#closed) throw this.#closedError()
    const connections = new LinkConnections(buildConnector, options => new Agent(options), this.#options)
    this.#connections = connections
    try {
      await new Promise<void>((resolve, reject) => {
        this.#opening = { resolve, reject }
        this.#listen(connections)
      })
    } catch (error) {
      this.#opening = undefined
      await this.#stop()
      throw error
    }
  }

  send(message: Outgoing): void {
    const { id } = message
    const connections = this.#connections
    const address = this.#address
    if (!connections || !address || this.#closed) {
      if (id !== undefined) this.#receiver.onFailure(id, this.#closedError())
      return
    }
    const { server } = this.#options
    const headers = ['content-type', 'application/json', ...this.#headers()]
    const { calls, messages, congestion } = connections
    const over = (): void => {
      if (id === undefined) congestion.done()
    }
    if (id === undefined) congestion.sending()
    let sent = false
    this.#send(
      id === undefined ? messages : calls,
      { url: address, method: 'POST', headers, body: message.text },
      {
        onSent: () => (sent = true),
        // The body is ignored, because answers arrive on the stream.
        onHead: () => undefined,
        onRefused: (status, { 'retry-after': retryAfter }, body) => {
          over()
          if (status < 200 || status >= 300)
            this.#fail(id, httpRefusal(server, status, body, retryAfterMs(retryAfter, Date.now())))
        },
        onBroken: error => {
          over()
          this.#fail(id, error instanceof GatewayError ? error : this.#notPosted(error, sent))
        },
        onEnd: over,
      },
    )
  }

  /** Without effect on the connection, because answers arrive on the single stream of the session. */
  abandon(): boolean {
    return false
  }

  unreadMs(_id: number, moment: number): number {
    return this.#reception?.pausedMs(moment) ?? 0
  }

  use(version: string | undefined): void {
    this.#version = version
  }

  listen(): void {}

  async close(): Promise<void> {
    this.#closed = true
    this.#opening?.reject(this.#closedError())
    await this.#stop()
  }

  #stop(): Promise<void> {
    this.#closed = true
    this.#stopped ??= this.#connections?.destroy() ?? Promise.resolve()
    return this.#stopped
  }

  #headers(): readonly string[] {
    const version = this.#version === undefined ? [] : ['mcp-protocol-version', this.#version]
    return [...version, ...this.#configured]
  }

  #listen({ calls, congestion }: LinkConnections<Agent>): void {
    const notTaken = new NotTaken(this.#options, (id, error) => {
      if (!this.#closed) this.#receiver.onFailure(id, error)
    })
    const parser = new EventParser(
      {
        onEvent: event => this.#onEvent(event),
        // The server takes a new stream for a new session, so a retry is useless.
        onRetry: () => undefined,
        onOverflow: () => undefined,
        onSkipped: (head, tail) => notTaken.ended(head, tail),
      },
      this.#options.maxMessageBytes,
    )
    this.#send(
      calls,
      { url: this.#url, method: 'GET', headers: ['accept', EVENT_STREAM, ...this.#headers()], body: null },
      {
        onSent: () => undefined,
        onHead: (status, headers) =>
          status === 200 && isEventStream(headers)
            ? (chunk, controller) => {
                parser.push(chunk)
                this.#reception ??= receptionFrom(
                  this.#options.server,
                  () => this.#receiver.ownerOf(undefined),
                  flowOf(controller),
                  why => notTaken.stopped(parser.skip(), why),
                )
                this.#reception.at(parser.held)
                congestion.heard(controller)
              }
            : undefined,
        onRefused: (status, _headers, body) =>
          this.#notOpened(status, new HttpStatusError(status, body), body),
        onBroken: error => {
          this.#reception?.end()
          this.#broke(error)
        },
        onEnd: () => {
          this.#reception?.end()
          this.#broke(new Error('the server ended it'))
        },
      },
    )
  }

  /** Sends a request under the credentials of the link. */
  #send(dispatcher: Agent, request: SseRequest, response: SseResponse, repeated = false): void {
    const authorized = this.#authorized
    if (!authorized) return sendSseRequest(dispatcher, request, response)
    void (async () => {
      try {
        const { headers, sent } = await authorized.present(request.method, request.url.href, request.headers)
        if (this.#closed) return response.onBroken(this.#closedError())
        const onHead = (status: number, given: Headers): ReturnType<SseResponse['onHead']> => {
          authorized.answered(given)
          return response.onHead(status, given)
        }
        const onRefused = async (status: number, given: Headers, body: string): Promise<void> => {
          const challenge = challengeOf(status, given)
          if (!challenge) return response.onRefused(status, given, body)
          const outcome = await authorized.refused(challenge, sent, repeated)
          if (outcome !== true) response.onBroken(outcome)
          else this.#send(dispatcher, request, response, true)
        }
        const refusable: SseResponse = {
          onSent: () => response.onSent(),
          onHead,
          onRefused: (status, given, body) => void onRefused(status, given, body),
          onBroken: error => response.onBroken(error),
          onEnd: () => response.onEnd(),
        }
        sendSseRequest(dispatcher, { ...request, headers }, refusable)
      } catch (error) {
        response.onBroken(error as GatewayError)
      }
    })()
  }

  #onEvent({ event, data }: ServerSentEvent): void {
    if (this.#closed) return
    if (event === 'endpoint') this.#onAddress(data)
    else if (event === 'message' && data !== '') this.#receiver.onMessage(data, undefined)
  }

  #onAddress(data: string): void {
    const isAddress = data.length <= MAX_ADDRESS_CHARS && URL.canParse(data, this.#url.href)
    const address = isAddress ? new URL(data, this.#url) : undefined
    if (address?.origin === this.#url.origin) {
      this.#address = address
      this.#opening?.resolve()
      this.#opening = undefined
      return
    }
    const { server } = this.#options
    const where = address ? `the origin ${address.origin}` : 'no address'
    this.#end(
      new GatewayError(
        'upstream_protocol',
        `Server "${server}" wants its messages at ${where}; only ${this.#url.origin}, which its "url" names, is accepted. Fix: correct "url", or the server's own public address.`,
        { server, delivery: 'unknown' },
      ),
    )
  }

  #broke(cause: Error): void {
    const { server } = this.#options
    if (this.#address === undefined) this.#notOpened(undefined, cause)
    else
      this.#end(
        new GatewayError('upstream_closed', `The event stream of server "${server}" broke.`, {
          server,
          cause,
          delivery: 'unknown',
        }),
      )
  }

  #notOpened(status: number | undefined, cause: Error, body = ''): void {
    const { server } = this.#options
    if (status === 401 || status === 403) return this.#end(httpRefusal(server, status, '', undefined))
    if (cause instanceof GatewayError) return this.#end(cause)
    const code = (cause as { code?: unknown }).code
    const hint = reachHint(typeof code === 'string' ? code : undefined)
    const message =
      status !== undefined && isWebPage(body)
        ? `Server "${server}" answered with a web page (HTTP ${status}). ${NO_ENDPOINT}`
        : `Server "${server}" offers no event stream${status === undefined ? '' : ` (HTTP ${status})`}. ${hint}`
    this.#end(new GatewayError('upstream_unreachable', message, { server, cause }))
  }

  /** Ends the session, even if it has not begun. */
  #end(error: GatewayError): void {
    if (this.#closed) return
    this.#closed = true
    void this.#stop()
    if (this.#opening) this.#opening.reject(error)
    else this.#receiver.onClose(error)
  }

  #fail(id: number | undefined, error: GatewayError): void {
    if (this.#closed) return
    if (id !== undefined) this.#receiver.onFailure(id, error)
    else
      this.#options.logger.warn('A message to the server could not be delivered.', {
        cause: describeError(error),
      })
  }

  #notPosted(cause: Error, sent: boolean): GatewayError {
    const { server } = this.#options
    const text = `A request could not be posted to server "${server}".`
    const delivery = sent ? 'unknown' : 'not_sent'
    return new GatewayError('upstream_unreachable', text, { server, cause, delivery })
  }

  #closedError(): GatewayError {
    const { server } = this.#options
    return new GatewayError('upstream_closed', `The link to "${server}" is closed.`, { server })
  }
}

const EVENT_STREAM = 'text/event-stream'
/** Maximum length of the address for messages. */
const MAX_ADDRESS_CHARS = 2048

function isEventStream(headers: Headers): boolean {
  const type = headers['content-type']
  return typeof type === 'string' && type.startsWith(EVENT_STREAM)
}
