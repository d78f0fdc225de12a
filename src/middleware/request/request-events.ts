import type { CallTrace } from '../../core/call-trace.ts'
import type { ClientRequest } from '../../core/client-request.ts'
import { CLOCK } from '../../core/clock.ts'
import { endpointOf } from '../../core/endpoint.ts'
import type { GatewayError } from '../../core/errors.ts'
import type {
  QuotaRefused,
  RequestBegan,
  RequestEnded,
  RequestFacts,
  RequestResult,
} from '../../core/events.ts'
import {
  clientName,
  type CallRequest,
  type Conversation,
  type ClientTransport,
  type JsonObject,
  type Outcome,
} from '../../core/exchange.ts'
import { isJsonObject } from '../../core/json-object.ts'
import type { Principal } from '../../core/principal.ts'
import { RequestView } from '../../core/request-view.ts'
import { TraceView, type TraceFacts } from '../../core/trace-view.ts'
import { META } from '../../protocol/revisions.ts'

/** Properties shared by all requests of a chain. */
export interface RequestContext {
  /** Position of the rule for the named item, if no decision was made at the call itself. */
  readonly ruleOn: (request: Pick<ClientRequest, 'view' | 'request'>) => string | undefined
  /** Whether the requests reach the router. */
  readonly routed: boolean
}

const SESSION_CHARS = 8

/**
 * The properties of a request for events. Copied, since a listener may keep them for longer than the client's
 * connection lasts.
 */
class Facts implements RequestFacts {
  readonly time: number
  readonly principal: Principal
  readonly modern: boolean
  readonly protocolVersion: string | undefined
  readonly view: string
  readonly startedAt: number
  readonly #conversation: Conversation | undefined
  readonly #context: RequestContext
  readonly #request: CallRequest
  readonly #trace: CallTrace
  #view: RequestView | undefined
  #traceView: TraceView | undefined

  constructor(of: ClientRequest, startedAt: number, now: number, context: RequestContext) {
    this.time = Math.floor(CLOCK.wallAt(now))
    this.principal = of.principal
    this.modern = of.modern
    this.protocolVersion = of.protocolVersion
    this.view = of.view
    this.#request = of.request
    this.#trace = of.trace
    this.startedAt = startedAt
    this.#conversation = of.conversation
    this.#context = context
  }

  get routed(): boolean {
    return this.#context.routed
  }

  get request(): CallRequest {
    return (this.#view ??= new RequestView(this.#request))
  }

  get trace(): TraceFacts {
    return (this.#traceView ??= new TraceView(this.#trace))
  }

  get era(): 'legacy' | 'modern' {
    return this.modern ? 'modern' : 'legacy'
  }

  get endpoint(): string {
    return endpointOf(this.view)
  }

  get client(): string {
    if (this.#conversation) return this.#conversation.client ?? ''
    const meta = this.#request.params?.value._meta
    return clientName(isJsonObject(meta) ? meta[META.clientInfo] : undefined)
  }

  get front(): ClientTransport | undefined {
    return this.#conversation?.front
  }

  get session(): string | undefined {
    return this.#conversation?.id.slice(0, SESSION_CHARS)
  }

  get rule(): string | undefined {
    return this.#trace.rule ?? this.#context.ruleOn({ view: this.view, request: this.#request })
  }
}

export class Began extends Facts implements RequestBegan {
  readonly type = 'request.began'

  constructor(of: ClientRequest, startedAt: number, context: RequestContext) {
    super(of, startedAt, startedAt, context)
  }
}

export class Refused extends Facts implements QuotaRefused {
  readonly type = 'quota.refused'
  readonly limit: string
  readonly error: GatewayError

  constructor(
    of: ClientRequest,
    startedAt: number,
    now: number,
    context: RequestContext,
    error: GatewayError,
    limit: string,
  ) {
    super(of, startedAt, now, context)
    this.limit = limit
    this.error = error
  }
}

export class Ended extends Facts implements RequestEnded {
  readonly type = 'request.ended'
  readonly result: RequestResult
  readonly error: GatewayError | undefined
  readonly serverCode: number | undefined
  readonly durationMs: number
  readonly bytesIn: number
  readonly bytesOut: number

  /** Exactly one of `outcome` and `error` is given. */
  constructor(
    of: ClientRequest,
    startedAt: number,
    now: number,
    context: RequestContext,
    outcome: Outcome | undefined,
    error: GatewayError | undefined,
  ) {
    super(of, startedAt, now, context)
    const { params } = of.request
    this.result = resultOf(outcome)
    this.error = error
    this.serverCode = outcome?.kind === 'error' ? codeOf(outcome.value) : undefined
    this.durationMs = now - startedAt
    this.bytesIn = params ? Buffer.byteLength(params.text) : 0
    this.bytesOut = outcome ? of.trace.sizeOf(outcome) : 0
  }
}

function resultOf(outcome: Outcome | undefined): RequestResult {
  if (!outcome) return 'failed'
  if (outcome.kind === 'error') return 'server_error'
  const isError = outcome.kind === 'result' && (outcome.value as JsonObject | null)?.isError === true
  return isError ? 'tool_error' : 'ok'
}

function codeOf(value: unknown): number | undefined {
  const code = (value as JsonObject | null)?.code
  return Number.isInteger(code) ? (code as number) : undefined
}
