import { GatewayError } from './errors.ts'
import type { JsonObject } from './exchange.ts'
import { isJsonObject } from './json-object.ts'

/**
 * A client answered a question of a server with a JSON-RPC error. `text` is that error as the client wrote it; it is
 * relayed unchanged.
 */
export class ClientError extends GatewayError {
  readonly text: string

  constructor(text: string, value: JsonObject, server: string) {
    const message = String(value.message).slice(0, 300)
    super('cannot_ask', `Server "${server}" asked, and the client answered with an error: ${message}`, {
      server,
    })
    this.text = text
  }
}

/** Whether a value is a JSON-RPC error object. */
export function isRpcError(value: unknown): value is JsonObject {
  return isJsonObject(value) && Number.isInteger(value.code) && typeof value.message === 'string'
}
