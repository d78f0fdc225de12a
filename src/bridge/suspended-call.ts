import { randomUUID } from 'node:crypto'
import { ClientError, isRpcError } from '../core/client-error.ts'
import type { CallTrace } from '../core/call-trace.ts'
import { Cancellation } from '../core/cancellation.ts'
import type { Deadline } from '../core/deadlines.ts'
import { Delegate } from '../core/derived-exchange.ts'
import { endpointOf } from '../core/endpoint.ts'
import { GatewayError } from '../core/errors.ts'
import type { CallRequest, Exchange, InputRequest, JsonObject, Outcome } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { Holding } from '../core/shares.ts'
import { lastMembers, rawAt, type JsonMember } from '../protocol/json-text.ts'
import { inputKeyFor } from './input-key.ts'

/** How long the first question waits for others, which are then put into one answer. */
const GATHER_MS = 5

/** The set of all such calls, as seen by one of them. */
export interface SuspendedCallSet {
  /** Whether the client of the call can come back with an answer. */
  canReturn(call: SuspendedCall): boolean
  /** Whether the call, which is counted already, may ask its client. */
  mayAsk(call: SuspendedCall): boolean
  /** The sealed state with which the client comes back. */
  sealed(call: SuspendedCall, exchange: Exchange): Promise<string>
  wait(call: SuspendedCall): void
  noLongerWaits(call: SuspendedCall): void
  /** Removes a call that is over. Called once. */
  forget(call: SuspendedCall, reason?: string): void
}

/** The client of a call, and what it called. */
export interface SuspendedClient {
  /** `''`: all servers. */
  readonly endpoint: string
  readonly principal: Principal
  readonly request: CallRequest
}

interface Question {
  readonly request: InputRequest
  readonly resolve: (result: string) => void
  readonly reject: (error: GatewayError) => void
}

/** A call that its server may suspend with questions for the client. */
export class SuspendedCall extends Delegate implements Deadline, Holding {
  #id: string | undefined
  heapIndex: number | undefined
  due: number | undefined
  /** Its index among the calls that the shutdown of the gateway waits for, while it is suspended. */
  awaited: number | undefined
  /** Number of rounds in which the client has been asked. */
  round = 0
  /** The client's request that waits at the moment. `undefined` while the call is suspended. */
  attached: Exchange | undefined
  readonly #suspendedCalls: SuspendedCallSet
  readonly #cancellation = new Cancellation()
  readonly #questions = new Map<string, Question>()
  #asked = 0
  #resolve: (outcome: Outcome | Promise<Outcome>) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined
  #gathering: NodeJS.Timeout | undefined
  #ended: (() => Outcome) | undefined
  /** Whether its client has received the result, or will not come back for it. */
  #over = false

  constructor(exchange: Exchange, suspendedCalls: SuspendedCallSet) {
    super(exchange)
    this.#suspendedCalls = suspendedCalls
  }

  /** Unguessable. Created on first use. */
  get id(): string {
    return (this.#id ??= randomUUID())
  }

  get holder(): string {
    return this.principal.id
  }

  get client(): SuspendedClient {
    return { principal: this.principal, endpoint: endpointOf(this.view), request: this.inner.request }
  }

  get busy(): boolean {
    return true
  }

  get lastSeen(): number {
    return this.due ?? 0
  }

  override get request(): CallRequest {
    const { progressToken } = (this.attached ?? this.inner).request
    return { ...this.inner.request, progressToken }
  }

  override get cancellation(): Cancellation {
    return this.#cancellation
  }

  /** The trace of the request that will get the result. */
  override get trace(): CallTrace {
    return (this.attached ?? this.inner).trace
  }

  override get canBeAsked(): Exchange['canBeAsked'] {
    if (this.#over || this.#ended !== undefined || this.#cancellation.reason !== undefined) return 'never'
    return this.attached ? 'now' : 'later'
  }

  override notify(method: string, params: string | undefined): void {
    this.attached?.notify(method, params)
  }

  override ask(request: InputRequest): Promise<string> {
    if (this.canBeAsked === 'never')
      return Promise.reject(
        new GatewayError('cancelled', 'The call this was asked for is over.', { server: request.server }),
      )
    if (!this.#suspendedCalls.canReturn(this))
      return Promise.reject(
        new GatewayError(
          'forbidden',
          'The configuration of the gateway no longer permits this call to its client, which cannot be asked.',
          { server: request.server },
        ),
      )
    if (!this.#suspendedCalls.mayAsk(this))
      return Promise.reject(
        new GatewayError(
          'overloaded',
          'Too many calls are waiting for their clients. Try again later, or raise "gateway.asks.maxSuspendedCalls".',
          { server: request.server },
        ),
      )
    const key = inputKeyFor(request, ++this.#asked, taken => this.#questions.has(taken))
    return new Promise((resolve, reject) => {
      this.#questions.set(key, { request, resolve, reject })
      request.cancellation.onCancel(() => {
        if (this.#questions.delete(key))
          reject(new GatewayError('cancelled', 'The question was withdrawn.', { server: request.server }))
      })
      this.#gathering ??= setTimeout(() => this.#put(), GATHER_MS)
    })
  }

  /** Makes a request of the client wait for the end of the call or the next questions. */
  attach(exchange: Exchange): Promise<Outcome> {
    this.attached = exchange
    this.#suspendedCalls.noLongerWaits(this)
    exchange.cancellation.onCancel(reason => {
      if (this.attached !== exchange) return
      this.#cancellation.cancel(reason)
      this.#withdraw(reason)
    })
    const ended = this.#ended
    if (ended) {
      this.#finish()
      return Promise.resolve().then(ended)
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  resume(exchange: Exchange): Promise<Outcome> {
    const text = rawAt(exchange.request.params?.text ?? '{}', 'inputResponses') ?? '{}'
    const texts = text.startsWith('{') ? lastMembers(text) : new Map<string, JsonMember>()
    const answers = exchange.request.params?.value.inputResponses as JsonObject | undefined
    for (const [key, question] of this.#questions) {
      const answer = answers && Object.hasOwn(answers, key) ? answers[key] : undefined
      // A question without an answer, or with one that is no object, is asked again.
      if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) continue
      this.#questions.delete(key)
      // A round carries results only (specification 2026-07-28), none of which has such a member. A client that sends
      // it means an error.
      const { error } = answer as JsonObject
      const member = texts.get(key)
      const given = member ? text.slice(member.start, member.end) : '{}'
      if (isRpcError(error)) {
        const said = rawAt(given, 'error') ?? '{}'
        question.reject(new ClientError(said, error, question.request.server))
      } else question.resolve(given)
    }
    exchange.trace.continues(this.inner.trace)
    const round = this.attach(exchange)
    if (this.#questions.size > 0) this.#gathering ??= setTimeout(() => this.#put(), GATHER_MS)
    return round
  }

  /**
   * Ends the call, because the server has answered, or failed to. The client of a suspended call gets the result with
   * its retry. Its answers still count, because the question may have been about another of its calls.
   */
  end(ended: () => Outcome): void {
    clearTimeout(this.#gathering)
    this.#gathering = undefined
    if (!this.attached && this.#cancellation.reason === undefined) {
      this.#ended = ended
      return
    }
    this.#finish()
    try {
      this.#resolve(ended())
    } catch (error) {
      this.#reject(error)
    }
  }

  /** The client did not come back in time. */
  expire(): void {
    this.giveUp('the client did not come back')
  }

  stop(): void {
    this.giveUp('the gateway stops')
  }

  giveUp(reason: string): void {
    // First, so that open questions end with this reason.
    this.#finish(reason)
    this.#cancellation.cancel(reason)
  }

  #finish(reason?: string): void {
    if (this.#over) return
    this.#over = true
    this.#suspendedCalls.forget(this, reason)
    this.#withdraw(reason ?? 'the call has ended')
  }

  #put(): void {
    this.#gathering = undefined
    const exchange = this.attached
    if (!exchange || this.#questions.size === 0) return
    this.attached = undefined
    this.round++
    this.#suspendedCalls.wait(this)
    const requests = [...this.#questions].map(([key, { request }]) => {
      const params = request.params === undefined ? '' : `,"params":${request.params}`
      return `${JSON.stringify(key)}:{"method":"${request.method}"${params}}`
    })
    const resolve = this.#resolve
    // A round that has been sent is released, together with the text for the client.
    this.#resolve = this.#reject = () => undefined
    resolve(
      this.#suspendedCalls.sealed(this, exchange).then(state => ({
        kind: 'question',
        text: `{"resultType":"input_required","inputRequests":{${requests.join(',')}},"requestState":"${state}"}`,
      })),
    )
  }

  #withdraw(reason: string): void {
    for (const { request, reject } of this.#questions.values())
      reject(
        new GatewayError('cancelled', `The question was dropped: ${reason}.`, { server: request.server }),
      )
    this.#questions.clear()
  }
}
