import { GatewayError } from './errors.ts'

/** The error of a call that has not reached its server when the gateway stops. */
export function shuttingDown(server: string): GatewayError {
  return new GatewayError('shutting_down', 'The gateway is shutting down.', { server })
}
