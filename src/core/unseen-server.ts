import { GatewayError } from './errors.ts'

/** A server that asks a client which a reload has denied it to. */
export function unseenServer(server: string): GatewayError {
  return new GatewayError('cannot_ask', `The client may not use server "${server}" any more.`, { server })
}
