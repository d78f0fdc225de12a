import type { Dispatcher } from 'undici'
import { MAX_REDIRECTS, redirectTarget } from './redirects.ts'

/** Bytes that are read of a body quoted in an error. The rest is not read. */
const MAX_QUOTED_BYTES = 4096
/**
 * Bytes of a body that a server may send after accepting a message, although none is expected. Beyond them the
 * connection is closed.
 */
const MAX_IGNORED_BYTES = 64 * 1024

export interface SseRequest {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers: readonly string[]
  readonly body: string | null
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>

type Take = (chunk: Buffer, controller: Dispatcher.DispatchController) => void

/**
 * Events of a request of the deprecated transport. Exactly one of `onRefused`, `onBroken` and `onEnd` is called, once.
 */
export interface SseResponse {
  /** The first bytes of the request have been sent. */
  onSent(): void
  /** The final response begins, after redirects. Returns the receiver of its body; `undefined` refuses it. */
  onHead(status: number, headers: Headers): Take | undefined
  /** It was refused. `body` is the beginning of the response body. */
  onRefused(status: number, headers: Headers, body: string): void
  onBroken(error: Error): void
  onEnd(): void
}

/** Sends a request and follows redirects within its origin. Bodies are bounded, and nothing is decompressed. */
export function sendSseRequest(
  dispatcher: Dispatcher,
  request: SseRequest,
  response: SseResponse,
  followed = 0,
): void {
  const { url, method, headers, body } = request
  try {
    dispatcher.dispatch(
      { origin: url.origin, path: url.pathname + url.search, method, headers: headers as string[], body },
      new Handler(request, response, followed, target =>
        sendSseRequest(dispatcher, { ...request, url: target }, response, followed + 1),
      ),
    )
  } catch (error) {
    response.onBroken(error as Error)
  }
}

class Handler implements Dispatcher.DispatchHandler {
  readonly #request: SseRequest
  readonly #response: SseResponse
  readonly #followed: number
  readonly #follow: (target: URL) => void
  #status = 0
  #headers: Headers = {}
  #target: URL | undefined
  #take: Take | undefined
  #quoted: Buffer[] = []
  #bytes = 0
  #over = false

  constructor(request: SseRequest, response: SseResponse, followed: number, follow: (target: URL) => void) {
    this.#request = request
    this.#response = response
    this.#followed = followed
    this.#follow = follow
  }

  onRequestStart(): void {
    this.#response.onSent()
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    // 1xx: the final response follows.
    if (status < 200) return
    this.#status = status
    this.#headers = headers
    const { method, url } = this.#request
    if (this.#followed < MAX_REDIRECTS)
      this.#target = redirectTarget(method, url, status, headers['location'])
    if (!this.#target) this.#take = this.#response.onHead(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#take) return this.#take(chunk, controller)
    this.#bytes += chunk.length
    const room = MAX_QUOTED_BYTES - this.#bytes + chunk.length
    if (room > 0) this.#quoted.push(Buffer.from(chunk.subarray(0, room)))
    if (this.#bytes <= MAX_IGNORED_BYTES) return
    this.#finish()
    controller.abort(new Error('the rest of the body is of no use'))
  }

  onResponseEnd(): void {
    this.#finish()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#over) return
    // A refusal stays a refusal even if its body breaks off.
    if (this.#status !== 0 && !this.#take) return this.#finish()
    this.#over = true
    this.#response.onBroken(error)
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    if (this.#target) this.#follow(this.#target)
    else if (this.#take) this.#response.onEnd()
    else this.#response.onRefused(this.#status, this.#headers, Buffer.concat(this.#quoted).toString())
  }
}
