import type { Exchange, InputRequest } from './exchange.ts'

/**
 * Asks the client of a call for input on behalf of the call. From then on the call belongs to this client alone: it is
 * not repeated, shared or cached.
 * @throws GatewayError `cannot_ask`, as `Exchange.ask`
 */
export function askClient(call: Exchange, request: InputRequest): Promise<string> {
  call.state.markAsked()
  return call.ask(request)
}
