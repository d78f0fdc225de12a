import type { Json, JsonObject } from '../../core/exchange.ts'

/** A JSON-RPC error of a server in answer to a request of the gateway itself. */
export class UpstreamRpcError extends Error {
  readonly rpcCode: number
  readonly data: unknown
  /** The error object itself. */
  readonly error: Json

  constructor(server: string, method: string, error: Json) {
    const value = typeof error.value === 'object' && error.value !== null ? error.value : {}
    const { code, message, data } = value as JsonObject
    const said = typeof message === 'string' ? message.slice(0, 300) : 'no message'
    super(
      `Server "${server}" answered ${method} with error ${typeof code === 'number' ? code : 'of no code'}: ${said}`,
    )
    this.name = 'UpstreamRpcError'
    this.rpcCode = typeof code === 'number' ? code : 0
    this.data = data
    this.error = error
  }
}
