import { GatewayError } from './errors.ts'

/**
 * The error of a call that goes on, with an answer or for its task, when its server or replica is another one by now.
 * It has been executed in part, so it is not repeated.
 */
export function replacedServer(server: string): GatewayError {
  return new GatewayError(
    'upstream_closed',
    `Server "${server}" is at another location since a reload, so this call cannot go on there. Make the call again; it may have been run in part.`,
    { server, delivery: 'answered' },
  )
}

/** The error of a call that has not reached its server when the server is removed from the configuration. */
export function removedServer(server: string): GatewayError {
  return new GatewayError(
    'upstream_unreachable',
    `There is no server "${server}" in the configuration any more. List again what there is.`,
    { server, delivery: 'not_sent' },
  )
}
