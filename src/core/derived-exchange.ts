import type { CallState } from './call-state.ts'
import type { CallTrace } from './call-trace.ts'
import type { Cancellation } from './cancellation.ts'
import type {
  CallRequest,
  Conversation,
  Exchange,
  InputRequest,
  Json,
  JsonObject,
  McpLogLevel,
} from './exchange.ts'
import type { Principal } from './principal.ts'

/** An exchange that forwards everything that a subclass does not override. */
export class Delegate implements Exchange {
  protected readonly inner: Exchange
  readonly principal: Principal
  readonly modern: boolean
  readonly protocolVersion: string
  readonly features: string
  readonly view: string
  readonly conversation: Conversation | undefined
  readonly logLevel: McpLogLevel | undefined

  constructor(inner: Exchange) {
    this.inner = inner
    this.principal = inner.principal
    this.modern = inner.modern
    this.protocolVersion = inner.protocolVersion
    this.features = inner.features
    this.view = inner.view
    this.conversation = inner.conversation
    this.logLevel = inner.logLevel
  }

  get request(): CallRequest {
    return this.inner.request
  }

  get cancellation(): Cancellation {
    return this.inner.cancellation
  }

  get trace(): CallTrace {
    return this.inner.trace
  }

  get state(): CallState {
    return this.inner.state
  }

  get canBeAsked(): Exchange['canBeAsked'] {
    return this.inner.canBeAsked
  }

  get passed(): number {
    return this.inner.passed
  }

  set passed(count: number) {
    this.inner.passed = count
  }

  notify(method: string, params: string | undefined): void {
    this.inner.notify(method, params)
  }

  ask(request: InputRequest): Promise<string> {
    return this.inner.ask(request)
  }
}

/** The same exchange with a request of the gateway itself: it has no progress and cannot ask the client. */
export class WithRequest extends Delegate {
  readonly #request: CallRequest
  #passed = 0

  /** `params` is raw JSON of an object. */
  constructor(inner: Exchange, method: string, params: string) {
    super(inner)
    this.#request = {
      method,
      params: { text: params, value: JSON.parse(params) as JsonObject },
      progressToken: undefined,
    }
  }

  override get request(): CallRequest {
    return this.#request
  }

  /** These requests run in parallel, so each has its own counter. */
  override get passed(): number {
    return this.#passed
  }

  override set passed(count: number) {
    this.#passed = count
  }
}

/** The same exchange with other parameters. */
export class WithParams extends Delegate {
  readonly #params: Json<JsonObject>

  constructor(inner: Exchange, params: Json<JsonObject>) {
    super(inner)
    this.#params = params
  }

  override get request(): CallRequest {
    return { ...this.inner.request, params: this.#params }
  }
}
