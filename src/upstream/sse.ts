import type { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { GatewayError } from '../core/errors.ts'
import type { HttpEndpoint } from '../config/types.ts'
import type { Outgoing, Receiver, Transport } from './transport.ts'

export interface SseOptions {
  readonly server: string
  readonly endpoint: HttpEndpoint
}

/**
 * The deprecated HTTP+SSE transport (revision 2024-11-05) towards a server, by the official SDK. Messages pass as parsed values here, so
 * numbers beyond double precision do not survive; the newer transports keep every byte.
 */
export class SseTransport implements Transport {
  readonly kind = 'sse'
  readonly sessionful = true
  readonly #options: SseOptions
  #sdk: SSEClientTransport | undefined
  #receiver!: Receiver
  #closed = false

  constructor(options: SseOptions) {
    this.#options = options
  }

  async open(receiver: Receiver): Promise<void> {
    this.#receiver = receiver
    const { SSEClientTransport } = await import('@modelcontextprotocol/sdk/client/sse.js')
    const sdk = new SSEClientTransport(new URL(this.#options.endpoint.url), {
      requestInit: { headers: { ...this.#options.endpoint.headers } },
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
        void sdk.close()
        receiver.onClose(this.#failure('upstream_closed', `The event stream of server "${this.#options.server}" broke.`, error))
      }
    }
    try {
      await sdk.start()
      opened = true
    } catch (error) {
      await sdk.close()
      const status = (error as { code?: unknown }).code
      if (status === 401 || status === 403)
        throw this.#failure('upstream_unauthorized', `Server "${this.#options.server}" refused the gateway's credentials (HTTP ${status}). Set or renew "headers.Authorization" of this server.`, error)
      throw this.#failure(
        'upstream_unreachable',
        `Server "${this.#options.server}" offers no event stream${typeof status === 'number' ? ` (HTTP ${status})` : ''}. Check that it runs and that its "url" is right.`,
        lastError ?? error,
      )
    }
  }

  send(message: Outgoing): void {
    const { id } = message
    const sdk = this.#sdk
    if (!sdk || this.#closed) {
      if (id !== undefined) this.#receiver.onFailure(id, this.#failure('upstream_closed', `The link to "${this.#options.server}" is closed.`))
      return
    }
    sdk.send(JSON.parse(message.text)).catch((error: unknown) => {
      if (id === undefined || this.#closed) return
      const failure = new GatewayError('upstream_unreachable', `A request could not be posted to server "${this.#options.server}".`, {
        server: this.#options.server,
        cause: error,
        delivery: 'unknown',
      })
      this.#receiver.onFailure(id, failure)
    })
  }

  abandon(): void {}

  use(version: string | undefined): void {
    if (version !== undefined) this.#sdk?.setProtocolVersion(version)
  }

  listen(): void {}

  async close(): Promise<void> {
    this.#closed = true
    await this.#sdk?.close()
  }

  #failure(code: 'upstream_closed' | 'upstream_unreachable' | 'upstream_unauthorized', message: string, cause?: unknown): GatewayError {
    return new GatewayError(code, message, { server: this.#options.server, cause, delivery: code === 'upstream_closed' ? 'unknown' : 'not_sent' })
  }
}

/** Errors of the stream carry an `event`; errors of a single POST do not. */
function isStreamError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'event' in error
}
