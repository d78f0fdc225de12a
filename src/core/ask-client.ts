import type { Exchange, InputRequest } from './exchange.ts'

/**
 * Asks the client of a call for input, on behalf of the call. From here on the call is this client's own: it is not repeated, shared or kept.
 * @throws GatewayError `cannot_ask` as `Exchange.ask`
 */
export function askClient(call: Exchange, request: InputRequest): Promise<string> {
  call.state.markAsked()
  return call.ask(request)
}
