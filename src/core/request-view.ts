import type { CallRequest, Json, JsonObject } from './exchange.ts'

/**
 * A request as listeners of events see it. A change of it fails or changes nothing, and never the request. The
 * parameters are parsed again when they are read, so a listener that reads none of them costs nothing.
 */
export class RequestView implements CallRequest {
  readonly #request: CallRequest
  #params: Json<JsonObject> | undefined

  constructor(request: CallRequest) {
    this.#request = request
  }

  /** The request behind a view, or the request itself. For listeners of the gateway, which change nothing. */
  static behind(request: CallRequest): CallRequest {
    return #request in request ? request.#request : request
  }

  get method(): string {
    return this.#request.method
  }

  get progressToken(): string | undefined {
    return this.#request.progressToken
  }

  get params(): Json<JsonObject> | undefined {
    const { params } = this.#request
    return params && (this.#params ??= new ParamsView(params.text))
  }
}

class ParamsView implements Json<JsonObject> {
  readonly #text: string
  #value: JsonObject | undefined

  constructor(text: string) {
    this.#text = text
  }

  get text(): string {
    return this.#text
  }

  get value(): JsonObject {
    return (this.#value ??= frozen(JSON.parse(this.#text) as JsonObject))
  }
}

/** Freezes a value with all that it holds. */
function frozen(value: JsonObject): JsonObject {
  const left: object[] = [value]
  for (let next = left.pop(); next; next = left.pop()) {
    Object.freeze(next)
    for (const member of Object.values(next) as unknown[])
      if (typeof member === 'object' && member !== null) left.push(member)
  }
  return value
}
