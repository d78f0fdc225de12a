import { ClientError } from '../core/client-error.ts'
import { CallState } from '../core/call-state.ts'
import { CallTrace } from '../core/call-trace.ts'
import { Cancellation } from '../core/cancellation.ts'
import { MISSING_CAPABILITY } from '../core/rpc-codes.ts'
import { GatewayError } from '../core/errors.ts'
import type {
  CallRequest,
  Conversation,
  Exchange,
  InputRequest,
  JsonObject,
  McpLogLevel,
} from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import { failureObject, failureResult } from '../protocol/failures.ts'
import { rawAt } from '../protocol/json-text.ts'
import { errorText, notificationText, type Incoming } from '../protocol/message.ts'
import { errorFor, headFor, resultFor } from '../protocol/results.ts'
import type { Service } from './service.ts'

/** Destination of the notifications and the answer of one request. */
export interface Reply {
  /**
   * Sends a message ahead of the answer. `false`: the client cannot take one, or can no longer. `text` is a whole
   * message. While the client does not read, a message replaces an earlier one with the same `topic`.
   */
  notify(text: string, topic?: string): boolean
  /** Sets the HTTP status of an answer that is not sent yet. Without effect on other transports. */
  status(code: number): void
  /** Sends the answer: a whole message in parts, so that a long body is not copied. Called once. */
  answer(head: string, body: string | Buffer, tail: string): void
  /** Ends without an answer, because the client has cancelled. */
  drop(): void
}

/** What a call takes from its client's session or connection, apart from the request itself. */
export interface CallContext extends Pick<
  Exchange,
  'principal' | 'modern' | 'protocolVersion' | 'features' | 'view' | 'conversation' | 'logLevel'
> {
  /** Sends a request to the client over the stream of this call. Absent where the transport has no way to. */
  readonly ask?: ((request: InputRequest, reply: Reply) => Promise<string>) | undefined
}

/** One request of a client, from its arrival to its answer. */
export class Call implements Exchange {
  readonly request: CallRequest
  readonly principal: Principal
  readonly modern: boolean
  readonly protocolVersion: string
  readonly features: string
  readonly view: string
  readonly conversation: Conversation | undefined
  readonly logLevel: McpLogLevel | undefined
  readonly cancellation = new Cancellation()
  readonly trace = new CallTrace()
  readonly state = new CallState()
  passed = 0
  readonly #id: string
  readonly #reply: Reply
  readonly #ask: CallContext['ask']
  #done = false
  /** Set by `stop`. The call is cancelled as soon as it is answered. */
  #stopped = false

  /** `id` is the raw JSON of the request's id. */
  constructor(id: string, incoming: Incoming, context: CallContext, reply: Reply) {
    this.#id = id
    this.#reply = reply
    this.request = {
      method: incoming.method,
      params: incoming.params,
      progressToken: progressTokenOf(incoming),
    }
    this.principal = context.principal
    this.modern = context.modern
    this.protocolVersion = context.protocolVersion
    this.features = context.features
    this.#ask = context.ask
    this.view = context.view
    this.conversation = context.conversation
    this.logLevel = context.logLevel
  }

  notify(method: string, params: string | undefined): void {
    if (this.#done) return
    const topic = method === 'notifications/progress' ? this.request.progressToken : undefined
    void this.#reply.notify(notificationText(method, params), topic)
  }

  get canBeAsked(): Exchange['canBeAsked'] {
    return this.#ask !== undefined && !this.#done ? 'now' : 'never'
  }

  ask(request: InputRequest): Promise<string> {
    if (this.#ask && !this.#done) return this.#ask(request, this.#reply)
    return Promise.reject(
      new GatewayError(
        'cannot_ask',
        `Server "${request.server}" asks for ${request.method}, but the client has no way to answer.`,
        {
          server: request.server,
        },
      ),
    )
  }

  /** Runs the request to its end. Never rejects. `handler` answers it; default: the service. */
  async run(service: Service, handler: Pick<Service, 'handle'> = service): Promise<void> {
    const number = service.calls.add(this)
    try {
      const outcome = await handler.handle(this)
      if (outcome.kind === 'error') {
        // The only error of a server to which modern HTTP assigns a status of its own.
        if (this.modern && (outcome.value as JsonObject).code === MISSING_CAPABILITY) this.#reply.status(400)
        this.#answer('"error":', errorFor(this.modern, outcome))
        return
      }
      const left = this.state.remaining?.text(this.trace.endedAt || undefined)
      if (outcome.kind === 'result')
        this.#answer('"result":', resultFor(this, this.request.method, outcome, service.serverInfo, left))
      else if (outcome.kind === 'cached') this.#answer(`"result":${headFor(outcome, left)}`, outcome.text)
      else this.#answer('"result":', outcome.text)
    } catch (caught) {
      this.fail(GatewayError.from(caught), service.serverInfo)
    } finally {
      service.calls.remove(number)
    }
  }

  /** Answers with the failure at once, and cancels the work on the request. */
  stop(error: GatewayError, serverInfo: string): void {
    this.#stopped = true
    this.fail(error, serverInfo)
    this.cancellation.cancel(
      error.code === 'shutting_down' ? 'the gateway stops' : 'the client is no longer served',
      error,
    )
  }

  /** Answers with an error of the gateway. */
  fail(error: GatewayError, serverInfo: string): void {
    if (this.#done) return
    if (this.cancellation.reason !== undefined || error.code === 'cancelled') {
      this.#done = true
      this.#reply.drop()
      return
    }
    // A round of a modern server cannot carry an error, so the call ends with the error of its client.
    if (error instanceof ClientError) this.#answer('"error":', error.text)
    else if (this.request.method === 'tools/call' && error.kind.actionable) {
      this.#answer('"result":', failureResult(error, this.modern, serverInfo).text)
    } else {
      if (error.kind.rpc === MISSING_CAPABILITY) this.#reply.status(400)
      this.#answer('"error":', failureObject(error))
    }
  }

  #answer(member: string, body: string | Buffer): void {
    if (this.#done) return
    this.#done = true
    // A connection whose client does not read may keep the call in memory.
    if (!this.#stopped) this.cancellation.end()
    this.trace.letGo()
    if (this.cancellation.reason !== undefined) this.#reply.drop()
    else this.#reply.answer(`{"jsonrpc":"2.0","id":${this.#id},${member}`, body, '}')
  }
}

/** Answers a request that never became a call. */
export function refuse(reply: Reply, id: string, error: GatewayError): void {
  reply.answer(errorText(id, failureObject(error)), '', '')
}

function progressTokenOf(incoming: Incoming): string | undefined {
  const meta = incoming.params?.value._meta as JsonObject | null | undefined
  const token = meta?.progressToken
  if (!incoming.params || (typeof token !== 'string' && typeof token !== 'number')) return undefined
  return rawAt(incoming.params.text, '_meta', 'progressToken')
}
