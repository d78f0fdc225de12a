import { GatewayError } from './errors.ts'

/** The error of a call that has not reached its server when the server is removed from the configuration. */
export function removedServer(server: string): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    `There is no server "${server}" in the configuration any more. List again what there is.`,
    { server, delivery: 'not_sent' },
  )
}
