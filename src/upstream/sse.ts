import type { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import type { Agent } from 'undici'
import { GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { HttpEndpoint } from '../config/replica-types.ts'
import { dial } from './dial.ts'
import { LineSplitter } from './lines.ts'
import { responseId } from './response-id.ts'
import { tooLarge } from './too-large.ts'
import type { Outgoing, Receiver, Transport } from './transport.ts'

export interface SseOptions {
  readonly server: string
  readonly endpoint: HttpEndpoint
  readonly maxMessageBytes: number
  readonly logger: Logger
}

/**
 * The deprecated HTTP+SSE transport (revision 2024-11-05) towards a server, by the official SDK. Messages pass as parsed values here, so
 * numbers beyond double precision do not survive; the newer transports keep every byte.
 */
export class SseTransport implements Transport {
  readonly kind = 'sse'
  readonly sessionful = true
  readonly #options: SseOptions
  /** Connections of this transport alone, so that they end with it. */
  #agent: Agent | undefined
  #sdk: SSEClientTransport | undefined
  #receiver!: Receiver
  #closed = false
  #stopped: Promise<void> | undefined
  /** Ends `open` when the transport is closed before the server has said where messages go. */
  #abandonOpening = (): void => {}

  constructor(options: SseOptions) {
    this.#options = options
  }

  async open(receiver: Receiver): Promise<void> {
    this.#receiver = receiver
    const { server, endpoint } = this.#options
    const [{ SSEClientTransport }, { Agent, fetch }] = await Promise.all([
      import('@modelcontextprotocol/sdk/client/sse.js'),
      import('undici'),
    ])
    if (this.#closed) throw this.#closedError()
    const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: dial(endpoint) })
    this.#agent = agent
    const sdk = new SSEClientTransport(new URL(endpoint.url), {
      requestInit: { headers: { ...endpoint.headers } },
      fetch: async (url, init) =>
        // The types of undici's fetch and of Node's own differ in name only.
        this.#bounded((await fetch(url, { ...init, dispatcher: agent } as never)) as unknown as Response),
    })
    this.#sdk = sdk
    sdk.onmessage = message => {
      if (!this.#closed) receiver.onMessage(JSON.stringify(message), undefined)
    }
    let opened = false
    let lastError: unknown
    sdk.onerror = error => {
      lastError = error
      // The SDK reconnects its event source by itself, but the server takes a new stream for a new session.
      if (opened && !this.#closed && isStreamError(error)) {
        this.#closed = true
        void this.#stop()
        const message = `The event stream of server "${server}" broke.`
        receiver.onClose(
          new GatewayError('upstream_closed', message, { server, cause: error, delivery: 'unknown' }),
        )
      }
    }
    const abandoned = new Promise<never>((_, reject) => {
      this.#abandonOpening = () => reject(this.#closedError())
    })
    try {
      await Promise.race([sdk.start(), abandoned])
      opened = true
    } catch (error) {
      await this.#stop()
      throw error instanceof GatewayError ? error : this.#startError(error, lastError)
    }
  }

  send(message: Outgoing): void {
    const { id } = message
    const sdk = this.#sdk
    if (!sdk || this.#closed) {
      if (id !== undefined) this.#receiver.onFailure(id, this.#closedError())
      return
    }
    sdk.send(JSON.parse(message.text)).catch((error: unknown) => {
      if (id === undefined || this.#closed) return
      const { server } = this.#options
      const text = `A request could not be posted to server "${server}".`
      this.#receiver.onFailure(
        id,
        new GatewayError('upstream_unreachable', text, { server, cause: error, delivery: 'unknown' }),
      )
    })
  }

  /** Answers come on the one stream of the session. */
  abandon(): boolean {
    return false
  }

  use(version: string | undefined): void {
    if (version !== undefined) this.#sdk?.setProtocolVersion(version)
  }

  listen(): void {}

  async close(): Promise<void> {
    this.#closed = true
    this.#abandonOpening()
    await this.#stop()
  }

  #stop(): Promise<void> {
    this.#stopped ??= (async () => {
      await this.#sdk?.close()
      await this.#agent?.destroy()
    })()
    return this.#stopped
  }

  /** The stream without messages that are too large, which are reported instead. */
  #bounded(response: Response): Response {
    const { body, status, headers } = response
    if (!body || !headers.get('content-type')?.startsWith('text/event-stream')) return response
    const { server, maxMessageBytes } = this.#options
    let splitter!: LineSplitter
    const lines = new TransformStream<Uint8Array, Uint8Array>({
      start: controller => {
        splitter = new LineSplitter(maxMessageBytes, {
          onLine: (bytes, start, end) =>
            controller.enqueue(Buffer.concat([bytes.subarray(start, end), NEWLINE])),
          onLongLine: (head, tail, size) => {
            const error = tooLarge(server, maxMessageBytes, size)
            const id = responseId(head.toString().replace(/^data: ?/, ''), tail.toString())
            this.#options.logger.warn(error.message, { request: id })
            if (id !== undefined && !this.#closed) this.#receiver.onFailure(id, error)
          },
        })
      },
      transform: chunk => splitter.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)),
    })
    return new Response(body.pipeThrough(lines), { status, headers })
  }

  #startError(error: unknown, lastError: unknown): GatewayError {
    const { server } = this.#options
    const status = (error as { code?: unknown }).code
    const cause = lastError ?? error
    if (status === 401 || status === 403) {
      const message = `Server "${server}" refused the gateway's credentials (HTTP ${status}). Set or renew "headers.Authorization" of this server.`
      return new GatewayError('upstream_unauthorized', message, { server, cause })
    }
    const message = `Server "${server}" offers no event stream${typeof status === 'number' ? ` (HTTP ${status})` : ''}. Check that it runs and that its "url" is right.`
    return new GatewayError('upstream_unreachable', message, { server, cause })
  }

  #closedError(): GatewayError {
    const { server } = this.#options
    return new GatewayError('upstream_closed', `The link to "${server}" is closed.`, { server })
  }
}

const NEWLINE = Buffer.from('\n')

/** Errors of the stream carry an `event`; errors of a single POST do not. */
function isStreamError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'event' in error
}
