import { ClientError, isRpcError } from '../core/client-error.ts'
import { GatewayError } from '../core/errors.ts'
import type { AsksConfig } from '../config/types.ts'
import type { InputRequest } from '../core/exchange.ts'
import { find, members } from '../protocol/json-text.ts'
import { notificationText, requestText, type Message } from '../protocol/message.ts'

interface OpenAsk {
  readonly request: InputRequest
  readonly resolve: (result: string) => void
  readonly reject: (error: GatewayError) => void
  readonly timer: NodeJS.Timeout
}

/** What a legacy client has been asked and has not answered: the ids are the gateway's own, so that two servers' never meet. */
export class Asks {
  readonly #limits: AsksConfig
  readonly #open = new Map<number, OpenAsk>()
  /** Rounds of which the first question was asked. */
  readonly #admitted = new WeakSet<object>()
  #next = 1
  #closed = false

  constructor(limits: AsksConfig) {
    this.#limits = limits
  }

  /**
   * Sends the request with `send` and resolves with the raw JSON of the client's result.
   * @throws ClientError when the client answers with an error
   * @throws GatewayError `cannot_ask` when it cannot be sent or is not answered in time, or `close` comes first
   */
  ask(request: InputRequest, send: (text: string) => boolean): Promise<string> {
    if (this.#closed) return Promise.reject(refusal(request, 'asks, but the client left'))
    if (!this.#hasRoom(request)) return Promise.reject(tooMany(request, this.#limits.maxPerSession))
    const id = this.#next++
    return new Promise((resolve, reject) => {
      const withdraw = (reason: string, error: GatewayError): void => {
        if (!this.#take(id)) return
        send(notificationText('notifications/cancelled', JSON.stringify({ requestId: id, reason })))
        reject(error)
      }
      const timer = setTimeout(
        () => withdraw('no answer in time', refusal(request, 'asked, but the client did not answer in time')),
        this.#limits.answerTimeoutMs,
      )
      timer.unref()
      this.#open.set(id, { request, resolve, reject, timer })
      if (!send(requestText(id, request.method, request.params))) {
        this.#take(id)
        reject(refusal(request, 'asks, but the client has no stream it could be asked on'))
        return
      }
      request.cancellation.onCancel(reason =>
        withdraw(
          reason,
          new GatewayError('cancelled', 'The question was withdrawn.', { server: request.server }),
        ),
      )
    })
  }

  /** Takes an answer of the client. Answers to questions nobody asked are ignored; `false` says so. */
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
      ask.reject(new ClientError(text, message.value.error, ask.request.server))
    } else
      ask.reject(refusal(ask.request, 'asked, and the client answered with no result and no valid error'))
    return true
  }

  /** No answer comes any more. */
  close(): void {
    this.#closed = true
    for (const [id, { request, reject }] of this.#open) {
      this.#take(id)
      reject(refusal(request, 'asked, but the client left'))
    }
  }

  /** A round has room for all of its questions or for none. */
  #hasRoom({ round }: InputRequest): boolean {
    const admitted = round !== undefined && this.#admitted.has(round)
    const wanted = admitted ? 1 : (round?.size ?? 1)
    if (this.#open.size + wanted > this.#limits.maxPerSession) return false
    if (round) this.#admitted.add(round)
    return true
  }

  #take(id: number): OpenAsk | undefined {
    const ask = this.#open.get(id)
    if (ask) clearTimeout(ask.timer)
    this.#open.delete(id)
    return ask
  }
}

function refusal(request: InputRequest, what: string): GatewayError {
  return new GatewayError('cannot_ask', `Server "${request.server}" ${what} (${request.method}).`, {
    server: request.server,
  })
}

function tooMany({ server, round }: InputRequest, maxPerSession: number): GatewayError {
  const what = round && round.size > 1 ? `asks ${round.size} questions at once` : 'is asking too much at once'
  return new GatewayError(
    'cannot_ask',
    `Server "${server}" ${what}; "gateway.asks.maxPerSession" allows ${maxPerSession} open questions for each session.`,
    { server },
  )
}
