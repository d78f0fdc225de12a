import { ClientError, isRpcError } from '../core/client-error.ts'
import { GatewayError } from '../core/errors.ts'
import type { AsksConfig } from '../config/types.ts'
import type { InputRequest } from '../core/exchange.ts'
import { find, members } from '../protocol/json-text.ts'
import { notificationText, requestText, type Message } from '../protocol/message.ts'

/** The part of a sent request that its answer needs. */
type Sent = Pick<InputRequest, 'method' | 'server'>

interface OpenAsk {
  readonly sent: Sent
  readonly resolve: (result: string) => void
  readonly reject: (error: GatewayError) => void
  readonly timer: NodeJS.Timeout
}

/**
 * Requests to a legacy client that it has not answered yet. The gateway assigns their ids, so ids of two servers never
 * collide.
 */
export class ClientRequests {
  readonly #limits: () => Pick<AsksConfig, 'answerTimeoutMs' | 'maxPerSession'>
  readonly #open = new Map<number, OpenAsk>()
  /** Rounds whose first request has been sent. */
  readonly #admitted = new WeakSet<object>()
  #next = 1
  #closed = false

  /** `limits` is called for each request. */
  constructor(limits: () => Pick<AsksConfig, 'answerTimeoutMs' | 'maxPerSession'>) {
    this.#limits = limits
  }

  /**
   * Sends the request with `send` and resolves with the raw JSON of the client's result.
   * @throws ClientError when the client answers with an error
   * @throws GatewayError `cannot_ask` when it cannot be sent or is not answered in time, or `close` comes first
   */
  ask(request: InputRequest, send: (text: string) => boolean): Promise<string> {
    if (this.#closed) return Promise.reject(refusal(request, 'asks, but the client left'))
    if (!this.#hasRoom(request)) return Promise.reject(this.#tooMany(request))
    const id = this.#next++
    const sent = { method: request.method, server: request.server }
    const answer = this.#wait(id, sent, send)
    if (send(requestText(id, request.method, request.params))) request.sent?.()
    else this.#take(id)?.reject(refusal(sent, 'asks, but the client has no stream it could be asked on'))
    request.cancellation.onCancel(reason => {
      const { server } = sent
      const error = new GatewayError('cancelled', 'The question was withdrawn.', { server })
      this.#withdraw(id, reason, error, send)
    })
    return answer
  }

  #wait(id: number, sent: Sent, send: (text: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const error = refusal(sent, 'asked, but the client did not answer in time')
        this.#withdraw(id, 'no answer in time', error, send)
      }, this.#limits().answerTimeoutMs)
      timer.unref()
      this.#open.set(id, { sent, resolve, reject, timer })
    })
  }

  #withdraw(id: number, reason: string, error: GatewayError, send: (text: string) => boolean): void {
    const ask = this.#take(id)
    if (!ask) return
    send(notificationText('notifications/cancelled', JSON.stringify({ requestId: id, reason })))
    ask.reject(error)
  }

  /** Takes an answer of the client. `false`: it answers no open request, and is ignored. */
  answer(message: Message): boolean {
    const { id } = message.value
    const ask = typeof id === 'number' ? this.#take(id) : undefined
    if (!ask) return false
    const list = members(message.text)
    const result = find(list, 'result')
    const error = find(list, 'error')
    if (result) ask.resolve(message.text.slice(result.start, result.end))
    else if (error && isRpcError(message.value.error)) {
      const text = message.text.slice(error.start, error.end)
      ask.reject(new ClientError(text, message.value.error, ask.sent.server))
    } else ask.reject(refusal(ask.sent, 'asked, and the client answered with no result and no valid error'))
    return true
  }

  /** Ends all open requests: no more answers will come. */
  close(): void {
    this.#closed = true
    for (const [id, { sent, reject }] of this.#open) {
      this.#take(id)
      reject(refusal(sent, 'asked, but the client left'))
    }
  }

  /** A round fits with all of its requests or not at all. */
  #hasRoom({ round }: InputRequest): boolean {
    const admitted = round !== undefined && this.#admitted.has(round)
    const wanted = admitted ? 1 : (round?.size ?? 1)
    if (this.#open.size + wanted > this.#limits().maxPerSession) return false
    if (round) this.#admitted.add(round)
    return true
  }

  #tooMany({ server, round }: InputRequest): GatewayError {
    const what =
      round && round.size > 1 ? `asks ${round.size} questions at once` : 'is asking too much at once'
    const allowed = `"gateway.asks.maxPerSession" allows ${this.#limits().maxPerSession} open questions for each session`
    return new GatewayError(
      'cannot_ask',
      `Server "${server}" ${what}: ${allowed}, and ${this.#open.size} wait for an answer.`,
      { server },
    )
  }

  #take(id: number): OpenAsk | undefined {
    const ask = this.#open.get(id)
    if (ask) clearTimeout(ask.timer)
    this.#open.delete(id)
    return ask
  }
}

function refusal({ method, server }: Sent, what: string): GatewayError {
  return new GatewayError('cannot_ask', `Server "${server}" ${what} (${method}).`, { server })
}
