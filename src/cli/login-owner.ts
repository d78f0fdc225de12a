import type { Config, ServerConfig } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import { clientPrincipal, LOCAL } from '../core/principal.ts'
import { GATEWAY_OWNER } from '../credentials/owner.ts'
import { assertClient } from './clients.ts'
import { notThere } from './not-there.ts'

/** A server that can be logged in to. @throws GatewayError `config` for any other name */
export function serverWithLogin({ servers, file }: Config, name: string): ServerConfig {
  const server = servers.find(each => each.name === name)
  if (!server)
    throw notThere(
      quoted => `There is no server ${quoted} in ${file ?? 'the configuration'}`,
      name,
      servers.map(each => each.name),
    )
  if (server.oauth === false)
    throw new GatewayError(
      'config',
      `Server "${name}" has no login: it is a program, has an "Authorization" header of its own, or sets "oauth": false.`,
    )
  return server
}

/** Why no person logs in at a server: the gateway gets its tokens by itself. `undefined`: a person does. */
export function noPersonFor({ name, oauth }: ServerConfig): string | undefined {
  if (oauth === false || oauth.grant === 'code' || oauth.grant === 'device') return undefined
  return `Server "${name}" needs no login of a person: with "oauth.grant": "${oauth.grant}" the gateway gets its tokens by itself. Nothing was done.`
}

/** The owner of credentials that a command is about. @throws GatewayError `config` for a client that has none */
export function ownerGiven(
  config: Config,
  { name, oauth }: ServerConfig,
  client: string | undefined,
): string {
  const each = oauth !== false && oauth.per === 'client'
  if (client === undefined) return each ? LOCAL.id : GATEWAY_OWNER
  if (!each)
    throw new GatewayError(
      'config',
      `All clients share the login of server "${name}". Leave out --client, or set "oauth": { "per": "client" }.`,
    )
  assertClient(client, config)
  return clientPrincipal(client).id
}
